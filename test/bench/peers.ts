/** Kubernetes' own API server on etcd, as its defaults are, for the same load in the same run. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { goesOn, whenOver } from "#test/bench/ends.ts";
import { benchDir, forget } from "#test/bench/machine.ts";
import { must, peerPrograms } from "#test/bench/programs.ts";
import { freePort, ready, type Target } from "#test/bench/server.ts";

export interface Peer extends Target {
  /** While others are measured it takes no part of the machine. */
  pause(): void;
  resume(): Promise<void>;
  end(): Promise<void>;
}

export const PEER_TOKEN = "peer-token";

function start(argv: string[], log: string): Bun.Subprocess {
  goesOn();
  const child = Bun.spawn(argv, {
    stdin: "ignore",
    stdout: Bun.file(log),
    stderr: Bun.file(log),
  });
  whenOver(async () => {
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await child.exited;
  });
  return child;
}

function etcdFlags(dir: string, client: number, peer: number): string[] {
  const [clients, peers] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  return [
    ["--data-dir", join(dir, "etcd"), "--log-level", "error"],
    ["--listen-client-urls", clients, "--advertise-client-urls", clients],
    ["--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers],
    ["--initial-cluster", `default=${peers}`],
  ].flat();
}

/** What else than its speed is looked at. */
export interface PeerOptions {
  readonly serviceCidr?: string;
  /** Pods need the account of their namespace, as in a whole cluster. */
  readonly serviceAccounts?: boolean;
}

/** Where it listens, and the addresses of its etcd, with commas between. */
export interface PeerPlace {
  readonly etcd: string;
  readonly address: string;
  readonly port: number;
}

/** Keys and tokens of it go to `dir`. */
export async function apiserverFlags(
  dir: string,
  { etcd, address, port }: PeerPlace,
  { serviceCidr = "10.215.0.0/16", serviceAccounts = false }: PeerOptions = {},
): Promise<string[]> {
  const key = join(dir, "sa.key");
  await must(["openssl", "genrsa", "-out", key, "2048"]);
  await must(["openssl", "rsa", "-in", key, "-pubout", "-out", join(dir, "sa.pub")]);
  writeFileSync(join(dir, "tokens.csv"), `${PEER_TOKEN},admin,1,"system:masters"\n`, {
    mode: 0o600,
  });
  return [
    ["--etcd-servers", etcd],
    ["--secure-port", String(port), "--bind-address", address],
    ["--cert-dir", join(dir, "certs"), "--token-auth-file", join(dir, "tokens.csv")],
    ["--service-cluster-ip-range", serviceCidr, "--service-account-issuer", "https://peer"],
    ["--service-account-key-file", join(dir, "sa.pub")],
    ["--service-account-signing-key-file", key],
    ["--authorization-mode", "RBAC", "--anonymous-auth=false"],
    // Nobody makes the service accounts that it would wait for.
    serviceAccounts ? [] : ["--disable-admission-plugins", "ServiceAccount"],
  ].flat();
}

export async function startPeer(options: PeerOptions = {}): Promise<Peer> {
  const { apiserver, etcd } = await peerPrograms();
  const dir = benchDir("peer");
  const end = whenOver(() => forget(dir));
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()];
  const store = start([etcd, ...etcdFlags(dir, client, peer)], join(dir, "etcd.log"));
  const place = { etcd: `http://127.0.0.1:${client}`, address: "127.0.0.1", port };
  const flags = await apiserverFlags(dir, place, options);
  const api = start([apiserver, ...flags], join(dir, "apiserver.log"));
  const target = { url: `https://127.0.0.1:${port}`, token: PEER_TOKEN };
  const alive = () => api.exitCode === null && store.exitCode === null;
  try {
    await ready(target, alive);
  } catch (error) {
    const log = await Bun.file(join(dir, "apiserver.log")).text();
    throw new Error(`kube-apiserver: ${log.slice(-800)}`, { cause: error });
  }
  return {
    ...target,
    pause() {
      api.kill("SIGSTOP");
      store.kill("SIGSTOP");
    },
    async resume() {
      store.kill("SIGCONT");
      api.kill("SIGCONT");
      await ready(target, alive);
    },
    async end() {
      for (const child of [api, store]) {
        child.kill("SIGCONT");
        child.kill("SIGKILL");
        await child.exited;
      }
      await end();
    },
  };
}
