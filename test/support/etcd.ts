/** A real etcd for a test: one or three members on loopback, in a directory that goes with them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { freePort } from "#test/support/instance.ts";
import { type TempDir, tempDir } from "#test/support/store.ts";

export interface EtcdMember {
  readonly url: string;
  /** As when the power goes. */
  kill(): Promise<void>;
  start(): void;
  /** The process hangs, its connections stay. */
  pause(): void;
  resume(): void;
}

export interface EtcdCluster {
  readonly urls: readonly string[];
  readonly members: readonly EtcdMember[];
  stop(): Promise<void>;
}

const READY_MS_MAX = 60_000;

/** Debian's, or what BRAMBLE_TEST_ETCD names. Fails with what is missing. */
export function etcdProgram(): string {
  const found = process.env["BRAMBLE_TEST_ETCD"] ?? Bun.which("etcd");
  if (found === null) throw new Error("etcd is missing (apt-get install etcd-server)");
  return found;
}

/** PEM texts, as clients and members of an etcd with TLS show them. */
export interface EtcdPems {
  ca: string;
  cert: string;
  key: string;
}

export async function healthy(url: string, tls?: EtcdPems): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(1_000);
    const answer = await fetch(`${url}/health`, { signal, ...(tls && { tls }) });
    return (await answer.text()).includes('"true"');
  } catch {
    return false;
  }
}

function tlsFlags(dir: string, tls: EtcdPems): string[] {
  for (const [name, pem] of Object.entries(tls)) writeFileSync(join(dir, `${name}.pem`), pem);
  const path = (name: keyof EtcdPems) => join(dir, `${name}.pem`);
  return [
    ...["--client-cert-auth", "--trusted-ca-file", path("ca")],
    ...["--cert-file", path("cert"), "--key-file", path("key")],
  ];
}

export async function startEtcd(
  options: {
    members?: number;
    program?: string;
    flags?: readonly string[];
    /** Then clients have to show a certificate of this authority. */
    tls?: EtcdPems;
  } = {},
): Promise<EtcdCluster> {
  const { members: count = 1, program = etcdProgram(), flags = [], tls } = options;
  const dir: TempDir = tempDir();
  const names = Array.from({ length: count }, (_, i) => `m${i}`);
  const ports = await Promise.all(names.flatMap(() => [freePort(), freePort()]));
  const scheme = tls === undefined ? "http" : "https";
  const secured = tls === undefined ? [] : tlsFlags(dir.path, tls);
  const clientUrl = (i: number) => `${scheme}://127.0.0.1:${ports[i * 2]}`;
  const peerUrl = (i: number) => `http://127.0.0.1:${ports[i * 2 + 1]}`;
  const initial = names.map((name, i) => `${name}=${peerUrl(i)}`).join(",");
  const members = names.map((name, i): EtcdMember & { end(): Promise<void> } => {
    const data = join(dir.path, name);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    const argv = [
      ...["--name", name, "--data-dir", data, "--log-level", "error"],
      ...["--listen-client-urls", clientUrl(i), "--advertise-client-urls", clientUrl(i)],
      ...["--listen-peer-urls", peerUrl(i), "--initial-advertise-peer-urls", peerUrl(i)],
      ...["--initial-cluster", initial, "--unsafe-no-fsync"],
      ...flags,
      ...secured,
    ];
    let child: Subprocess | undefined;
    const end = async () => {
      child?.kill("SIGKILL");
      await child?.exited;
      child = undefined;
    };
    return {
      url: clientUrl(i),
      start() {
        const log = Bun.file(join(dir.path, `${name}.log`));
        child = Bun.spawn([program, ...argv], { stdout: "ignore", stderr: log });
      },
      kill: end,
      pause: () => child?.kill("SIGSTOP"),
      resume: () => child?.kill("SIGCONT"),
      end,
    };
  });
  const stop = async () => {
    await Promise.all(members.map((member) => member.end()));
    dir.remove();
  };
  for (const member of members) member.start();
  const limit = Date.now() + READY_MS_MAX;
  while (!(await Promise.all(members.map(({ url }) => healthy(url, tls)))).every(Boolean)) {
    if (Date.now() > limit) {
      await stop();
      throw new Error("etcd did not become healthy");
    }
    await Bun.sleep(50);
  }
  return { urls: members.map(({ url }) => url), members, stop };
}
