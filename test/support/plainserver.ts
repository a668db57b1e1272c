/** `bramble server` without a node: the compiled binary's control plane alone, on a free port. */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  eventually,
  freePlace,
  freePort,
  mustRun,
  type RunOptions,
  run,
} from "#test/support/instance.ts";
import { BRAMBLE, type Result } from "#test/support/lab.ts";

const READY_MS_MAX = 60_000;

export interface PlainServer {
  readonly dir: string;
  readonly dataDir: string;
  readonly url: string;
  readonly kubeconfig: string;
  readonly pid: number;
  log(): string;
  /** With these flags beside its own. Resolves when it is ready. @throws with its log. */
  start(...flags: string[]): Promise<void>;
  /** Runs it to its end: for what is refused at the start. */
  fails(...flags: string[]): Promise<Result>;
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** The unmodified kubectl, as the admin unless a kubeconfig is named. */
  kubectl(argv: readonly string[], options?: RunOptions & { kubeconfig?: string }): Promise<Result>;
  must(...argv: string[]): Promise<string>;
  close(): Promise<void>;
}

export async function plainServer(options: { dataDir?: string } = {}): Promise<PlainServer> {
  const dir = mkdtempSync(join(tmpdir(), "bramble-plain-"));
  const dataDir = options.dataDir ?? join(dir, "data");
  const logPath = join(dir, "log");
  const kubeconfig = join(dataDir, "kubeconfig");
  const port = await freePort();
  const place = await freePlace();
  const url = `https://127.0.0.1:${port}`;
  const argv = [
    ...[BRAMBLE, "server", "--no-agent", "--data-dir", dataDir, "--https-port", String(port)],
    ...["--bind-address", "127.0.0.1", "--disable", "discovery,dns,proxy,storage,ingress"],
    ...["--cluster-cidr", place.clusterCidr, "--service-cidr", place.serviceCidr],
    ...["--cluster-dns", place.clusterDns],
  ];
  let child: Bun.Subprocess | undefined;
  const log = (): string => readFileSync(logPath, "utf8");

  async function stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    child?.kill(signal);
    await child?.exited;
    child = undefined;
  }

  const kubectl: PlainServer["kubectl"] = (words, { kubeconfig: other, ...more } = {}) =>
    run(["kubectl", ...words], {
      ...more,
      env: { ...more.env, KUBECONFIG: other ?? kubeconfig, HOME: dir },
    });

  return {
    dir,
    dataDir,
    url,
    kubeconfig,
    log,
    stop,
    kubectl,
    get pid() {
      return child?.pid ?? 0;
    },
    async start(...flags) {
      const file = openSync(logPath, "a");
      const started = Bun.spawn([...argv, ...flags], { stdout: file, stderr: file });
      closeSync(file);
      child = started;
      await eventually("the server is ready", READY_MS_MAX, async () => {
        if (started.exitCode !== null) throw new Error(`the server ended: ${log()}`);
        const answer = await fetch(`${url}/readyz`, { tls: { rejectUnauthorized: false } });
        return answer.ok;
      });
    },
    fails: (...flags) => run([...argv, ...flags], { timeoutMs: READY_MS_MAX }),
    must: (...words) =>
      mustRun(["kubectl", ...words], { env: { KUBECONFIG: kubeconfig, HOME: dir } }),
    async close() {
      await stop("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
