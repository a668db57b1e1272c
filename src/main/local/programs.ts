/** The processes of a local cluster: nodes, and a containerd of their own where none is there. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "#base/clock.ts";
import { sleep } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { readText } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import { runProcess, startAway } from "#base/process.ts";
import { loadInstance } from "../instance.ts";
import type { LocalNode } from "./profile.ts";

export const SHARED_CONTAINERD = "/run/containerd/containerd.sock";

export async function answers(socket: string): Promise<boolean> {
  if (!existsSync(socket)) return false;
  return (await runProcess(["ctr", "--address", socket, "version"])).exitCode === 0;
}

const inNetwork = ({ netns }: LocalNode): string[] =>
  netns === undefined ? [] : ["nsenter", `--net=/run/netns/${netns}`];

/**
 * Versions from 2.0 on have each layer on the disk before they hold it to be there (`sync_fs`);
 * older ones pass that setting over. On the machine's own containerd it is the owner's to set.
 */
export function containerdConfig(dir: string): string {
  return `version = 2
root = "${dir}/root"
state = "${dir}/state"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${dir}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "${dir}/opt"
[plugins."io.containerd.service.v1.diff-service"]
sync_fs = true
`;
}

async function until(clock: Clock, what: string, log: string, check: () => Promise<boolean>) {
  const endMs = clock.monotonic() + limits.localStartMsMax;
  while (!(await check())) {
    if (clock.monotonic() > endMs) {
      const last = (readText(log) ?? "").trim().split("\n").at(-1) ?? "";
      throw new OperatorError(`${what} did not come up: ${last}`, { hint: `see ${log}` });
    }
    await sleep(clock, limits.localLookMs);
  }
}

/** Nothing where it answers already, as one that others run. */
export async function startContainerd(node: LocalNode, clock: Clock): Promise<void> {
  if (await answers(node.containerd)) return;
  const dir = node.containerdDir;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeFileSync(join(dir, "config.toml"), containerdConfig(dir));
  const log = join(dir, "log");
  const argv = [...inNetwork(node), "containerd", "--config", join(dir, "config.toml")];
  writeFileSync(join(dir, "pid"), String(startAway(argv, log, false).pid));
  await until(clock, "containerd", log, () => answers(node.containerd));
}

/** Whether a process runs that has this word in its command line: numbers are used again. */
function runs(pid: number, word: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(word);
  } catch {
    // It ended.
    return false;
  }
}

async function end(pid: number, word: string, signal: NodeJS.Signals, clock: Clock) {
  if (!runs(pid, word)) return;
  process.kill(pid, signal);
  const endMs = clock.monotonic() + limits.localStopMsMax;
  while (runs(pid, word)) {
    if (clock.monotonic() > endMs) process.kill(pid, "SIGKILL");
    await sleep(clock, limits.localLookMs);
  }
}

/** With its shims: containers have ended, and a shim keeps 13 MB for each. */
export async function stopContainerd({ containerdDir: dir }: LocalNode, clock: Clock) {
  await end(Number(readText(join(dir, "pid")) ?? 0), dir, "SIGTERM", clock);
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (pid > 0 && runs(pid, `${dir}/containerd.sock`) && runs(pid, "containerd-shim")) {
      await end(pid, dir, "SIGKILL", clock);
    }
  }
}

const pidOf = ({ dataDir }: LocalNode): number => loadInstance(dataDir).pid ?? 0;
export const nodeRuns = (node: LocalNode): boolean => runs(pidOf(node), node.dataDir);

export const logOf = ({ dataDir }: LocalNode): string => `${dataDir}.log`;

export async function startNodeProcess(
  node: LocalNode,
  flags: readonly string[],
  clock: Clock,
): Promise<void> {
  if (nodeRuns(node)) return;
  const log = logOf(node);
  const argv = [...inNetwork(node), process.execPath, ...flags];
  const child = startAway(argv, log, true);
  const ended = "the node's process";
  await until(clock, ended, log, async () => {
    if (child.exitCode !== null || child.signalCode !== null) {
      const last = (readText(log) ?? "").trim().split("\n").at(-1) ?? "";
      throw new OperatorError(last.replace(/^bramble: /, ""), { hint: `see ${log}` });
    }
    return nodeRuns(node);
  });
}

/** As when the machine goes down: its pods end too, and the next start is as after a reboot. */
export async function stopNodeProcess(node: LocalNode, clock: Clock): Promise<void> {
  await end(pidOf(node), node.dataDir, "SIGUSR2", clock);
  rmSync(join(node.dataDir, "boot_id"), { force: true });
}
