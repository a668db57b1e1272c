/** A bramble cluster on lab nodes: the server on n1, an agent on each other node. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import {
  addressOf,
  BRAMBLE,
  type Lab,
  type LabOptions,
  startLab,
  until,
} from "#test/support/lab.ts";
import { startLabEtcd } from "#test/support/labetcd.ts";

export interface StartOptions {
  flags?: readonly string[];
  /** Words before the program, such as `env` with variables. */
  before?: readonly string[];
}

export interface LabCluster {
  lab: Lab;
  /** For clients on the lab's LAN. */
  kubeconfig: string;
  /** kubectl as a laptop on the LAN runs it; throws with its words when it fails. */
  kubectl(...argv: string[]): Promise<string>;
  startServer(options?: StartOptions): Promise<void>;
  /** n1 has another address from now on. */
  serverAt(address: string): void;
  startAgent(node: string, ...flags: string[]): Promise<void>;
  /** Ends a node's server or agent as its operator does, and waits for its end. */
  stop(node: string): Promise<void>;
  /** The process that `lab exec` runs for a node's server or agent. */
  process(node: string): Subprocess | undefined;
  readyNodes(count: number, limitMs: number): Promise<void>;
  down(): Promise<void>;
}

export type Datastore = "sqlite" | "etcd";

/** Which one the cluster tests run on. */
function chosenDatastore(): Datastore {
  const chosen = process.env["BRAMBLE_TEST_DATASTORE"] ?? "sqlite";
  if (chosen === "sqlite" || chosen === "etcd") return chosen;
  throw new Error(`BRAMBLE_TEST_DATASTORE is sqlite or etcd, not ${chosen}`);
}

const KUBECTL = Bun.which("kubectl") ?? "kubectl";
const SERVER_READY_MS_MAX = 60_000;

/** Starts n1's server; agents join when asked to. Logs and the kubeconfig go to `dir`. */
export async function startCluster(
  options: LabOptions & {
    nodes: number;
    dir: string;
    kubectl?: string;
    datastore?: Datastore;
    /** Words before each server and agent. */
    before?: readonly string[];
  },
): Promise<LabCluster> {
  const { dir, datastore = chosenDatastore() } = options;
  mkdirSync(dir, { recursive: true });
  const lab = await startLab(options.nodes, options);
  const etcd = datastore === "etcd" ? await startLabEtcd(lab, dir) : undefined;
  const onDatastore = etcd === undefined ? [] : ["--datastore", `etcd=${etcd.url}`];
  const kubeconfig = join(dir, "kubeconfig");
  const processes = new Map<string, Subprocess>();
  const binary = options.kubectl ?? KUBECTL;
  let token: string | undefined;
  let server = addressOf("n1");

  const spawn = (node: string, argv: readonly string[], before: readonly string[] = []) => {
    const words = [...(options.before ?? []), ...before, BRAMBLE, ...argv];
    processes.set(node, lab.spawn(node, join(dir, `${node}.log`), ...words));
  };
  const kubectl = async (...argv: string[]) =>
    lab.must("lan", binary, "--kubeconfig", kubeconfig, ...argv);

  const cluster: LabCluster = {
    lab,
    kubeconfig,
    kubectl,
    process: (node) => processes.get(node),
    async stop(node) {
      processes.get(node)?.kill();
      await processes.get(node)?.exited;
      const running = ["pgrep", "-f", `^${BRAMBLE} (server|agent)`];
      await until(`${node} has stopped`, SERVER_READY_MS_MAX, async () => {
        return (await lab.exec(node, ...running)).exitCode === 1;
      });
    },
    async startServer({ flags = [], before = [] } = {}) {
      spawn("n1", ["server", ...onDatastore, ...flags], before);
      const url = `https://${server}:6443/readyz`;
      await until("the server is ready", SERVER_READY_MS_MAX, async () => {
        const answer = await lab.exec("lan", "curl", "-sk", "--max-time", "1", url);
        return answer.stdout === "ok";
      });
      const text = await lab.must("n1", "cat", "/var/lib/bramble/kubeconfig");
      writeFileSync(kubeconfig, text.replace("127.0.0.1", server), { mode: 0o600 });
    },
    serverAt(address) {
      const text = readFileSync(kubeconfig, "utf8");
      writeFileSync(kubeconfig, text.replace(server, address), { mode: 0o600 });
      server = address;
    },
    async startAgent(node, ...flags) {
      token ??= (await lab.must("n1", BRAMBLE, "token", "create")).trim();
      spawn(node, ["agent", "--token", token, ...flags]);
    },
    async readyNodes(count, limitMs) {
      const path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}";
      await until(`${count} nodes are Ready`, limitMs, async () => {
        const states = (await kubectl("get", "nodes", "-o", path)).split(" ");
        return states.filter((state) => state === "True").length === count;
      });
    },
    async down() {
      const all = [...processes.values(), ...(etcd === undefined ? [] : [etcd.process])];
      for (const child of all) child.kill();
      await Promise.all(all.map((child) => child.exited));
      await lab.down();
    },
  };
  return cluster;
}
