/** Several servers in the lab, on an etcd of its LAN or of its nodes. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { etcdProgram } from "#test/support/etcd.ts";
import { addressOf, BRAMBLE, type Lab, startLab, until } from "#test/support/lab.ts";

const LAN = "192.168.77.1";
const READY_MS_MAX = 60_000;
const KUBECTL = Bun.which("kubectl") ?? "kubectl";

export interface ServerLab {
  lab: Lab;
  /** kubectl of a laptop on the LAN that asks this node's server. */
  kubectl(server: string, ...argv: string[]): Promise<string>;
  /** As `kubectl`, until it is stopped; its output goes to `file`. */
  follow(server: string, file: string, ...argv: string[]): Subprocess;
  startServer(node: string, ...flags: string[]): Promise<void>;
  /** Of all servers' admin; there once a server was started. */
  adminToken(): string;
  /** Client addresses of etcd's members. */
  readonly etcd: readonly string[];
  /** A program of one's own in a node, until the lab is taken down; `name` is its log's. */
  spawn(node: string, name: string, ...argv: string[]): void;
  /** The etcd member of a node that was booted again. */
  startMember(node: string): Promise<void>;
  startAgent(node: string, ...flags: string[]): Promise<void>;
  readyNodes(server: string, count: number, limitMs: number): Promise<void>;
  down(): Promise<void>;
}

interface Parts {
  readonly dir: string;
  readonly members: readonly string[];
  readonly etcd: string;
}

class RunningLab implements ServerLab {
  readonly lab: Lab;
  readonly #dir: string;
  readonly #members: readonly string[];
  readonly #program: string;
  readonly #children: Subprocess[] = [];
  #secret: string | undefined;
  #admin: string | undefined;
  #token: string | undefined;

  constructor(lab: Lab, { dir, members, etcd }: Parts) {
    this.lab = lab;
    this.#members = members;
    this.#program = etcd;
    this.#dir = dir;
  }

  spawn(node: string, name: string, ...argv: string[]): void {
    this.#children.push(this.lab.spawn(node, join(this.#dir, `${name}.log`), ...argv));
  }

  /** A member in a node or on the LAN; its data is on the node's disk, and outlives a cut. */
  async startMember(node: string): Promise<void> {
    const url = (each: string, port: number) =>
      `http://${each === "lan" ? LAN : addressOf(each)}:${port}`;
    const data = node === "lan" ? join(this.#dir, "etcd") : "/var/lib/etcd";
    const argv = [
      ...["--name", node, "--data-dir", data, "--log-level", "error"],
      ...["--listen-client-urls", url(node, 2379), "--advertise-client-urls", url(node, 2379)],
      ...["--listen-peer-urls", url(node, 2380)],
      ...["--initial-advertise-peer-urls", url(node, 2380)],
      ...["--initial-cluster", this.#members.map((each) => `${each}=${url(each, 2380)}`).join()],
    ];
    this.spawn(node, `${node}-etcd`, this.#program, ...argv);
  }

  async startEtcd(): Promise<void> {
    await Promise.all(this.#members.map((node) => this.startMember(node)));
    for (const url of this.etcd) await this.#answers(`${url}/health`, '"true"');
  }

  get etcd(): string[] {
    const address = (node: string) => (node === "lan" ? LAN : addressOf(node));
    return this.#members.map((node) => `http://${address(node)}:2379`);
  }

  async #answers(url: string, words: string): Promise<void> {
    await until(`${url} answers`, READY_MS_MAX, async () => {
      const answer = await this.lab.exec("lan", "curl", "-sk", "--max-time", "1", url);
      return answer.stdout.includes(words);
    });
  }

  async startServer(node: string, ...flags: string[]): Promise<void> {
    const secret = this.#secret === undefined ? [] : ["--server-token", this.#secret];
    const datastore = ["--datastore", `etcd=${this.etcd.join()}`];
    this.spawn(node, node, BRAMBLE, "server", ...datastore, ...secret, ...flags);
    await this.#answers(`https://${addressOf(node)}:6443/readyz`, "ok");
    this.#secret ??= (await this.#read(node, "server-token")).trim();
    this.#admin ??= (await this.#read(node, "admin-token")).trim();
    const config = (await this.#read(node, "kubeconfig")).replace("127.0.0.1", addressOf(node));
    writeFileSync(this.#config(node), config, { mode: 0o600 });
  }

  #read(node: string, file: string): Promise<string> {
    return until(`${node} has its ${file}`, READY_MS_MAX, async () => {
      const found = await this.lab.exec(node, "cat", `/var/lib/bramble/${file}`);
      return found.exitCode === 0 && found.stdout;
    });
  }

  adminToken(): string {
    if (this.#admin === undefined) throw new Error("no server was started");
    return this.#admin;
  }

  async startAgent(node: string, ...flags: string[]): Promise<void> {
    this.#token ??= (await this.lab.must("n1", BRAMBLE, "token", "create")).trim();
    this.spawn(node, node, BRAMBLE, "agent", "--token", this.#token, ...flags);
  }

  #config(server: string): string {
    return join(this.#dir, `${server}.kubeconfig`);
  }

  kubectl(server: string, ...argv: string[]): Promise<string> {
    const asked = [KUBECTL, "--kubeconfig", this.#config(server), "--request-timeout", "20s"];
    return this.lab.must("lan", ...asked, ...argv);
  }

  follow(server: string, file: string, ...argv: string[]): Subprocess {
    const child = this.lab.spawn(
      "lan",
      file,
      KUBECTL,
      "--kubeconfig",
      this.#config(server),
      ...argv,
    );
    this.#children.push(child);
    return child;
  }

  async readyNodes(server: string, count: number, limitMs: number): Promise<void> {
    const path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}";
    await until(`${count} nodes are Ready`, limitMs, async () => {
      const states = (await this.kubectl(server, "get", "nodes", "-o", path)).split(" ");
      return states.filter((state) => state === "True").length === count;
    });
  }

  async down(): Promise<void> {
    for (const child of this.#children) {
      child.kill();
      // One whose program is halted is halted with it, and hears nothing.
      child.kill("SIGCONT");
    }
    await Promise.all(this.#children.map((child) => child.exited));
    await this.lab.down();
  }
}

/** A lab with an etcd; servers and agents are started when asked for. */
export async function startServerLab(options: {
  nodes: number;
  dir: string;
  images: readonly string[];
  /** Where etcd runs: one member on the LAN where left out. */
  members?: readonly string[];
  /** The program; where left out that of all tests. */
  etcd?: string;
}): Promise<ServerLab> {
  const { nodes, dir, members = ["lan"], etcd = etcdProgram() } = options;
  mkdirSync(dir, { recursive: true });
  const running = new RunningLab(await startLab(nodes, options), { dir, members, etcd });
  try {
    await running.startEtcd();
  } catch (error) {
    await running.down();
    throw error;
  }
  return running;
}
