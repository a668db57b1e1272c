/**
 * The compiled binary as people run it: `bramble server` on free ports and addresses, with a
 * containerd of its own. Two at once on one machine do not meet.
 */
import { closeSync, existsSync, openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type PrivateContainerd, startContainerd } from "#test/support/containerd.ts";
import { BRAMBLE, type Result } from "#test/support/lab.ts";

const ROOT = join(import.meta.dir, "../..");
const READY_MS_MAX = 60_000;
const COMMAND_MS_MAX = 150_000;
const NODE_PORTS = 20;

export interface RunOptions {
  stdin?: string;
  env?: Record<string, string>;
  timeoutMs?: number;
}

/** Runs a program to its end. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
  const child = Bun.spawn([...argv], {
    stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    timeout: options.timeoutMs ?? COMMAND_MS_MAX,
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

/** As `run`; answers stdout. @throws Error with its words for a status other than 0. */
export async function mustRun(argv: readonly string[], options?: RunOptions): Promise<string> {
  const { exitCode, stdout, stderr } = await run(argv, options);
  if (exitCode !== 0) throw new Error(`${argv.join(" ")}: status ${exitCode}: ${stderr}${stdout}`);
  return stdout;
}

const given = new Set<number>();

/** One that this process was not given before: nobody listens on it, and nobody else is to. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = await new Promise<number>((resolve, reject) => {
      const server = createServer().once("error", reject);
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
      });
    });
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}

/** Polls until `check` answers something else than undefined or false. */
export async function eventually<T>(
  what: string,
  limitMs: number,
  check: () => Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + limitMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await check();
      if (found !== undefined && found !== false) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > end) {
      throw new Error(`${what}: not within ${limitMs} ms`, { cause: last });
    }
    await Bun.sleep(50);
  }
}

export interface Instance {
  readonly dir: string;
  readonly dataDir: string;
  readonly kubeconfig: string;
  readonly port: number;
  /** Of the Ingress: HTTP, HTTPS. */
  readonly ingressPorts: readonly [number, number];
  readonly url: string;
  readonly clusterCidr: string;
  /** The first of its node ports; there are 20. */
  readonly nodePort: number;
  readonly containerd: PrivateContainerd;
  /** The flags it is started with. */
  readonly flags: readonly string[];
  readonly process: Bun.Subprocess | undefined;
  log(): Promise<string>;
  /** Starts the server and waits until it is ready. */
  start(...more: string[]): Promise<void>;
  /** SIGTERM, or another signal; waits for its end. Answers its status. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<number>;
  /** The unmodified kubectl. */
  kubectl(argv: readonly string[], options?: RunOptions): Promise<Result>;
  /** As `kubectl`, but throws for a status other than 0; answers stdout. */
  must(...argv: string[]): Promise<string>;
  apply(manifest: string): Promise<string>;
  bramble(argv: readonly string[], options?: RunOptions): Promise<Result>;
  loadImage(tag: string): Promise<void>;
  /** Removes everything. Idempotent. */
  close(): Promise<void>;
}

export interface Place {
  clusterCidr: string;
  serviceCidr: string;
  clusterDns: string;
  /** The first of 20 node ports. */
  nodePort: number;
}

/** A place in the private addresses, by process, where no route of another instance is. */
export async function freePlace(): Promise<Place> {
  const routes = await mustRun(["ip", "route"]);
  for (let at = process.pid % 2048; ; at = (at + 1) % 2048) {
    const second = 128 + (at >> 4);
    const third = (at & 15) * 16;
    const taken = Array.from({ length: 16 }, (_, i) => `10.${second}.${third + i}.`);
    if (taken.some((prefix) => routes.includes(` ${prefix}`) || routes.startsWith(prefix)))
      continue;
    return {
      clusterCidr: `10.${second}.${third}.0/21`,
      serviceCidr: `10.${second}.${third + 8}.0/21`,
      clusterDns: `10.${second}.${third + 8}.10`,
      nodePort: 30_000 + (at % 130) * NODE_PORTS,
    };
  }
}

class BrambleInstance implements Instance {
  readonly containerd: PrivateContainerd;
  readonly flags: readonly string[];
  readonly port: number;
  readonly ingressPorts: readonly [number, number];
  readonly clusterCidr: string;
  readonly nodePort: number;
  process: Bun.Subprocess | undefined;

  constructor(containerd: PrivateContainerd, ports: [number, number, number], place: Place) {
    this.containerd = containerd;
    const [port, http, https] = ports;
    this.port = port;
    this.ingressPorts = [http, https];
    this.clusterCidr = place.clusterCidr;
    this.nodePort = place.nodePort;
    this.flags = [
      ...["--data-dir", this.dataDir, "--https-port", String(port), "--node-name", "e2e"],
      ...["--containerd-address", containerd.address, "--containerd-namespace", "e2e"],
      ...["--cluster-cidr", place.clusterCidr, "--service-cidr", place.serviceCidr],
      ...["--cluster-dns", place.clusterDns],
      ...["--http-port", String(http), "--tls-port", String(https)],
      ...["--service-node-port-range", `${this.nodePort}-${this.nodePort + NODE_PORTS - 1}`],
    ];
  }

  get dir(): string {
    return this.containerd.dir;
  }
  get dataDir(): string {
    return `${this.containerd.dir}/data`;
  }
  get kubeconfig(): string {
    return `${this.dataDir}/kubeconfig`;
  }
  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get #logPath(): string {
    return `${this.dir}/server.log`;
  }

  /** Of all its starts. */
  log(): Promise<string> {
    return readFile(this.#logPath, "utf8");
  }

  async start(...more: string[]): Promise<void> {
    const file = openSync(this.#logPath, "a");
    const child = Bun.spawn([BRAMBLE, "server", ...this.flags, ...more], {
      stdin: "ignore",
      stdout: file,
      stderr: file,
    });
    closeSync(file);
    this.process = child;
    const ready = await eventually("the server is ready", READY_MS_MAX, async () => {
      if (child.exitCode !== null || child.signalCode !== null) return "ended";
      const options = { tls: { rejectUnauthorized: false } };
      const { ok } = await fetch(`${this.url}/readyz`, options);
      return ok && existsSync(this.kubeconfig) && "ready";
    });
    if (ready === "ended") throw new Error(`the server ended: ${await this.log()}`);
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number> {
    const child = this.process;
    this.process = undefined;
    if (child === undefined) return 0;
    child.kill(signal);
    return child.exited;
  }

  kubectl(argv: readonly string[], options?: RunOptions): Promise<Result> {
    return run(["kubectl", "--kubeconfig", this.kubeconfig, ...argv], options);
  }

  must(...argv: string[]): Promise<string> {
    return mustRun(["kubectl", "--kubeconfig", this.kubeconfig, ...argv]);
  }

  apply(manifest: string): Promise<string> {
    const argv = ["kubectl", "--kubeconfig", this.kubeconfig, "apply", "-f", "-"];
    return mustRun(argv, { stdin: manifest });
  }

  bramble(argv: readonly string[], options: RunOptions = {}): Promise<Result> {
    const env = { KUBECONFIG: this.kubeconfig, ...options.env };
    return run([BRAMBLE, ...argv], { ...options, env });
  }

  async loadImage(tag: string): Promise<void> {
    const tar = join(this.dir, `web-${tag}.tar`);
    await mustRun([join(ROOT, "install/web-image.sh"), tar, tag]);
    await mustRun([BRAMBLE, "image", "load", tar, "--data-dir", this.dataDir]);
  }

  async close(): Promise<void> {
    try {
      await this.stop();
      if (existsSync(`${this.dataDir}/instance.json`)) {
        await mustRun([BRAMBLE, "delete", "--data-dir", this.dataDir]);
      }
    } finally {
      await this.containerd.close();
    }
  }
}

export interface InstanceOptions {
  /** Tags of the demonstration's web server that are loaded. */
  images?: readonly string[];
  flags?: readonly string[];
  name?: string;
  /** Its data directory is a file system of its own of this size. */
  dataBytes?: number;
  /** Signals to the group of this process do not reach its containerd. */
  detached?: boolean;
}

export async function startInstance(options: InstanceOptions = {}): Promise<Instance> {
  if (!existsSync(BRAMBLE)) throw new Error(`${BRAMBLE} is missing: bun run build`);
  if (Bun.which("kubectl") === null) throw new Error("kubectl is missing");
  const { detached = false } = options;
  const containerd = await startContainerd(options.name ?? "e2e", { detached });
  const instance = new BrambleInstance(
    containerd,
    [await freePort(), await freePort(), await freePort()],
    await freePlace(),
  );
  try {
    if (options.dataBytes !== undefined) {
      await mustRun(["mkdir", instance.dataDir]);
      const size = `size=${options.dataBytes},mode=0700`;
      await mustRun(["mount", "-t", "tmpfs", "-o", size, "data", instance.dataDir]);
    }
    await instance.start(...(options.flags ?? []));
    for (const tag of options.images ?? []) await instance.loadImage(tag);
    return instance;
  } catch (error) {
    await instance.close();
    throw error;
  }
}
