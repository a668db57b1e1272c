/** A bramble server of the measurement's own, on a fresh data directory. */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { realClock, sleep } from "#base/clock.ts";
import { endProcess, goesOn, whenOver } from "#test/bench/ends.ts";
import { benchDir, endNode, forget, takeMachine } from "#test/bench/machine.ts";
import type { PrivateContainerd } from "#test/support/containerd.ts";

/** What apibench and podbench need to know of a server. */
export interface Target {
  readonly url: string;
  readonly token: string;
}

export interface BenchServer extends Target {
  readonly pid: number;
  readonly dataDir: string;
  /** From the start of the process to the first `ok` of `/readyz`. */
  readonly startMs: number;
  /** Stops it and takes away all that it made. */
  end(): Promise<void>;
}

/** Ranges that no default and no other test of this repository uses. */
const RANGES = [
  ["--cluster-cidr", "10.212.0.0/16"],
  ["--service-cidr", "10.213.0.0/16"],
  ["--cluster-dns", "10.213.0.10"],
].flat();
const READY_MS_MAX = 60_000;
const READY_LOOK_MS = 2;

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/** One request of a client that asks no certificate; undefined where nobody answers. */
export async function ask(target: Target, path: string, init: RequestInit = {}) {
  const headers = { authorization: `Bearer ${target.token}`, ...init.headers };
  const options = { ...init, headers, tls: { rejectUnauthorized: false } };
  return fetch(target.url + path, options).catch(() => undefined);
}

/** Resolves when `/readyz` says ok. */
export async function ready(target: Target, alive: () => boolean): Promise<void> {
  const end = performance.now() + READY_MS_MAX;
  while (performance.now() < end && alive()) {
    const answer = await ask(target, "/readyz");
    if (answer?.ok === true && (await answer.text()) === "ok") return;
    await sleep(realClock, READY_LOOK_MS);
  }
  throw new Error(`${target.url} did not become ready`);
}

export interface ServerOptions {
  readonly binary: string;
  /** Without it there is no node agent. */
  readonly containerd?: PrivateContainerd;
  /** More flags; they win over those that are always given. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export async function startServer(options: ServerOptions): Promise<BenchServer> {
  const { binary, containerd } = options;
  if (containerd !== undefined) await takeMachine();
  const port = await freePort();
  goesOn();
  const dataDir = benchDir("server");
  const node = containerd
    ? [
        ["--containerd-address", containerd.address],
        ["--containerd-namespace", containerd.namespace],
      ].flat()
    : ["--no-agent"];
  const startedMs = performance.now();
  const argv = [binary, "server", "--data-dir", dataDir, "--https-port", String(port)];
  const log = Bun.file(`${dataDir}.log`);
  const child = Bun.spawn(
    [...argv, "--node-name", "bench", ...RANGES, ...node, ...(options.flags ?? [])],
    {
      env: { ...process.env, ...options.env },
      // A node ends by its removal; another may go with its group.
      detached: containerd !== undefined,
      stdin: "ignore",
      stdout: log,
      stderr: log,
    },
  );
  const end = whenOver(async () => {
    if (containerd !== undefined) return endNode({ binary, dataDir, containerd }, child);
    await endProcess(child);
    forget(dataDir);
  });
  const url = `https://127.0.0.1:${port}`;
  try {
    await ready({ url, token: "" }, () => child.exitCode === null);
  } catch (error) {
    const text = await log.text();
    await end();
    throw new Error(`${error instanceof Error ? error.message : error}: ${text.slice(-600)}`);
  }
  const startMs = performance.now() - startedMs;
  const token = readFileSync(join(dataDir, "admin-token"), "utf8").trim();
  return { url, token, pid: child.pid, dataDir, startMs, end };
}
