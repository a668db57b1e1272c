/** An etcd on the lab's LAN, which stays while nodes are cut. */
import { join } from "node:path";
import type { Subprocess } from "bun";
import { etcdProgram } from "#test/support/etcd.ts";
import { type Lab, until } from "#test/support/lab.ts";

const LAN = "192.168.77.1";
const CLIENT = `http://${LAN}:2379`;
const PEER = `http://${LAN}:2380`;
const READY_MS_MAX = 60_000;

export interface LabEtcd {
  readonly url: string;
  readonly process: Subprocess;
}

/** Data and log go to `dir`; with the lab it ends. */
export async function startLabEtcd(lab: Lab, dir: string): Promise<LabEtcd> {
  const argv = [
    etcdProgram(),
    ...["--data-dir", join(dir, "etcd"), "--log-level", "error", "--unsafe-no-fsync"],
    ...["--listen-client-urls", CLIENT, "--advertise-client-urls", CLIENT],
    ...["--listen-peer-urls", PEER, "--initial-advertise-peer-urls", PEER],
    ...["--initial-cluster", `default=${PEER}`],
  ];
  const process = lab.spawn("lan", join(dir, "etcd.log"), ...argv);
  await until("etcd is healthy", READY_MS_MAX, async () => {
    const answer = await lab.exec("lan", "curl", "-s", "--max-time", "1", `${CLIENT}/health`);
    return answer.stdout.includes('"true"');
  });
  return { url: CLIENT, process };
}
