/**
 * A server and an agent on lab nodes whose clock a test sets while they run; and what the agent
 * asks of the server: which requests, and by which certificate.
 */
import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { until } from "#test/support/lab.ts";
import { setClock } from "#test/support/setclock.ts";
import { webImage } from "#test/support/webimage.ts";

export const HOUR_MS = 3_600_000;
/** A node looks once a minute whether its certificate is due. */
export const ROTATED_MS_MAX = 120_000;
export const SETTLED_MS_MAX = 60_000;
const CERTIFICATE = "/var/lib/bramble/node/node.crt";
const MANIFEST = join(import.meta.dir, "../long/clocks.yaml");
const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
  - level: Metadata
    users: ["system:node:n2"]
    omitStages: [RequestReceived]
`;

/** A request of n2's agent, as the audit has it. */
export interface Entry {
  verb: string;
  requestURI: string;
  user: { extra?: Record<string, string[]> };
}

/** By which certificate; undefined: by a token. */
export const shownIn = ({ user }: Entry): string | undefined =>
  user.extra?.["authentication.kubernetes.io/credential-id"]?.[0];

export interface ClockSite {
  cluster: LabCluster;
  /**
   * The clock is ahead by so much from now on. At 0 it was five minutes past an hour when all this
   * began, so that no hour ends by itself.
   */
  ahead(ms: number): void;
  /** What the clock shows that is ahead by 0. */
  rightMs(): number;
  asked(from?: number): Entry[];
  /** n2's certificate as its file has it: how the audit names it, and its end. */
  certificate(): Promise<{ id: string; endMs: number }>;
  /** Until the agent's last request came with this one. */
  shows(id: string): Promise<unknown>;
  /** Which containers run. */
  containers(): Promise<string>;
  /** Waits until n2 has shown itself some times, and answers what it asked meanwhile. */
  heartbeats(from: number): Promise<Entry[]>;
  /** Both nodes are Ready, and a command in a pod of n2 answers. */
  allWell(): Promise<void>;
  tunnelsOpened(): number;
  close(): Promise<void>;
}

const isBeat = ({ verb, requestURI }: Entry): boolean =>
  verb !== "get" && requestURI.includes("/leases/");

async function start(dir: string, before: readonly string[]): Promise<LabCluster> {
  const policy = join(dir, "policy.yaml");
  writeFileSync(policy, POLICY);
  const image = await webImage(dir);
  const cluster = await startCluster({ nodes: 2, dir, images: [image], before });
  const flags = ["--audit-policy-file", policy, "--audit-log-path", join(dir, "audit.log")];
  try {
    await cluster.startServer({ flags });
    await cluster.startAgent("n2");
    await cluster.readyNodes(2, SETTLED_MS_MAX);
    await cluster.kubectl("create", "-f", MANIFEST);
    await cluster.kubectl("rollout", "status", "daemonset/web", "--timeout=60s");
    return cluster;
  } catch (error) {
    await cluster.down();
    throw error;
  }
}

export async function startClockSite(): Promise<ClockSite> {
  const dir = mkdtempSync(join(tmpdir(), "bramble-clocks-"));
  const clock = setClock(join(dir, "faketime"));
  const offsetMs = HOUR_MS - (Date.now() % HOUR_MS) + HOUR_MS / 12;
  clock.ahead(offsetMs);
  const cluster = await start(dir, clock.before);
  const asked = (from = 0): Entry[] => {
    const path = join(dir, "audit.log");
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, "utf8").split("\n").slice(from, -1);
    return lines.map((line) => JSON.parse(line) as Entry);
  };
  return {
    cluster,
    ahead: (ms) => clock.ahead(offsetMs + ms),
    rightMs: () => Date.now() + offsetMs,
    asked,
    async certificate() {
      const read = new X509Certificate(await cluster.lab.must("n2", "cat", CERTIFICATE));
      const hash = read.fingerprint256.replaceAll(":", "").toLowerCase();
      return { id: `X509SHA256=${hash}`, endMs: Date.parse(read.validTo) };
    },
    shows: (id) =>
      until(`n2 shows ${id}`, SETTLED_MS_MAX, async () => {
        const last = asked().at(-1);
        return last !== undefined && shownIn(last) === id;
      }),
    async containers() {
      const list = ["nerdctl", "-n", "bramble", "ps", "-q", "--no-trunc"];
      const all = ["n1", "n2"].map((node) => cluster.lab.must(node, ...list));
      return (await Promise.all(all)).join();
    },
    async heartbeats(from) {
      await until("n2 shows itself", SETTLED_MS_MAX, async () => {
        return asked(from).filter(isBeat).length >= 3;
      });
      return asked(from);
    },
    async allWell() {
      await cluster.readyNodes(2, SETTLED_MS_MAX);
      const path = "jsonpath={.items[?(@.spec.nodeName=='n2')].metadata.name}";
      const pod = await cluster.kubectl("get", "pods", "-l", "app=web", "-o", path);
      await until("a command in n2's pod answers", SETTLED_MS_MAX, async () => {
        return (await cluster.kubectl("exec", pod, "--", "/bin/true")) === "";
      });
    },
    tunnelsOpened: () => readFileSync(join(dir, "n2.log"), "utf8").split("tunnel open").length - 1,
    async close() {
      await cluster.down();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
