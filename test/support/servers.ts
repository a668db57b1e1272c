/** Several `bramble server` processes without nodes on one etcd; without it each is on its own. */
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, freePort, mustRun } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";
import { type TempDir, tempDir } from "#test/support/store.ts";

const READY_MS_MAX = 60_000;

export interface TestServer {
  readonly name: string;
  readonly dataDir: string;
  readonly url: string;
  /** Ends with the words of the server when it does not become ready. */
  start(...flags: string[]): Promise<void>;
  kill(signal?: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): Promise<void>;
  log(): string;
  kubectl(...argv: string[]): Promise<string>;
}

export interface TestServers {
  add(name: string, address: string): Promise<TestServer>;
  stop(): Promise<void>;
}

export function testServers(urls: readonly string[] = []): TestServers {
  const dir: TempDir = tempDir();
  const all: TestServer[] = [];

  async function add(name: string, address: string): Promise<TestServer> {
    const port = await freePort();
    const dataDir = join(dir.path, name);
    const logPath = join(dir.path, `${name}.log`);
    let child: Bun.Subprocess | undefined;
    const flags = [
      ...["--data-dir", dataDir, "--https-port", String(port), "--node-name", name],
      ...["--node-ip", address, "--no-agent", "--disable", "discovery"],
      ...(urls.length > 0 ? ["--datastore", `etcd=${urls.join(",")}`] : []),
    ];
    const server: TestServer = {
      name,
      dataDir,
      url: `https://127.0.0.1:${port}`,
      log: () => readFileSync(logPath, "utf8"),
      async start(...more) {
        const file = openSync(logPath, "a");
        const started = Bun.spawn([BRAMBLE, "server", ...flags, ...more], {
          stdio: ["ignore", file, file],
        });
        closeSync(file);
        child = started;
        const state = await eventually("the server is ready", READY_MS_MAX, async () => {
          if (started.exitCode !== null) return "ended";
          const tls = { rejectUnauthorized: false };
          const { ok } = await fetch(`https://127.0.0.1:${port}/readyz`, { tls });
          return ok && existsSync(join(dataDir, "kubeconfig")) && "ready";
        });
        if (state === "ended") throw new Error(server.log().trim());
      },
      async kill(signal = "SIGKILL") {
        child?.kill(signal);
        if (signal !== "SIGSTOP" && signal !== "SIGCONT") await child?.exited;
      },
      kubectl: (...argv) =>
        mustRun(["kubectl", "--kubeconfig", join(dataDir, "kubeconfig"), ...argv]),
    };
    all.push(server);
    return server;
  }

  return {
    add,
    async stop() {
      await Promise.all(all.map((server) => server.kill()));
      dir.remove();
    },
  };
}
