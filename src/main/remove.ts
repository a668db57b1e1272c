/**
 * Takes a cluster off this machine: process, containers, mounts, namespaces, rules, routes, files.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { removePluginSocket } from "#agents/kubelet/pluginsocket.ts";
import { overlayName } from "#agents/network/instance.ts";
import { ownCidrs } from "#agents/network/plan.ts";
import { RouteTable } from "#agents/network/routes.ts";
import { sleep } from "#base/clock.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { runProcess } from "#base/process.ts";
import { lockDataDir } from "#store/lock.ts";
import type { Surroundings } from "./control.ts";
import { familiesOf, nodePackets, nodeTable } from "./dataplane.ts";
import { cgroupRootOf, devicePluginDirOf, instanceOf, loadInstance, runDirOf } from "./instance.ts";
import { nodeNetwork, nodeRuntime } from "./node.ts";
import { loadAgentSettings, type NodeSettings } from "./settings.ts";

/** Whether a process is one of ours, and not a later owner of its number. */
function isOurs(pid: number): boolean {
  const path = `/proc/${pid}/cmdline`;
  if (!existsSync(path)) return false;
  const words = readFileSync(path, "utf8").split("\0");
  return words.includes("server") || words.includes("agent");
}

async function stopProcess(pid: number | undefined, around: Surroundings): Promise<void> {
  if (pid === undefined || !isOurs(pid)) return;
  process.kill(pid, "SIGTERM");
  const deadline = around.clock.monotonic() + limits.stopMsMax;
  while (isOurs(pid)) {
    if (around.clock.monotonic() > deadline) process.kill(pid, "SIGKILL");
    await sleep(around.clock, 50);
  }
}

/** Mounts below a folder, the deepest first. */
function mountsBelow(folder: string): string[] {
  return readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => (line.split(" ")[1] ?? "").replaceAll("\\040", " "))
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length);
}

const CGROUPS = "/sys/fs/cgroup";

const foldersIn = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(path, entry.name));

/** Removes a control group with those below it. The kernel keeps what a process is still in. */
function removeCgroup(path: string): void {
  for (const inner of foldersIn(path)) removeCgroup(inner);
  rmdirSync(path);
}

/**
 * One hierarchy (v2), or one for each controller (v1). What just ended may hold on for a moment.
 */
async function removeCgroups(name: string, around: Surroundings): Promise<void> {
  const deadline = around.clock.monotonic() + limits.stopMsMax;
  for (;;) {
    const left = [CGROUPS, ...foldersIn(CGROUPS)]
      .map((hierarchy) => join(hierarchy, name))
      .filter((path) => existsSync(path));
    if (left.length === 0) return;
    try {
      for (const path of left) removeCgroup(path);
    } catch (cause) {
      if (around.clock.monotonic() > deadline) throw cause;
      await sleep(around.clock, 50);
    }
  }
}

/** What others keep there stays, and with it the folder. */
async function removePluginFolder(dir: string): Promise<void> {
  await removePluginSocket(dir);
  for (const folder of [dir, dirname(dir)]) {
    try {
      rmdirSync(folder);
    } catch {
      // Not there, or not empty.
      return;
    }
  }
}

async function removeNode(
  settings: NodeSettings,
  cluster: { clusterCidr: string; serviceCidr: string; clusterDns: string; keepImages: boolean },
  around: Surroundings,
): Promise<void> {
  const { clusterCidr, clusterDns, keepImages } = cluster;
  const { clock, log } = around;
  const runtime = nodeRuntime({ settings, clock, log });
  const containers = await runtime.list();
  await runtime.remove(containers.map(({ id }) => id));
  for (const path of mountsBelow(join(settings.dataDir, "pods"))) {
    await runProcess(["umount", "-l", path]);
  }
  await runtime.releaseImages();
  const images = keepImages ? [] : await runtime.images();
  for (const image of images) await runtime.removeImage(image.names[0] ?? image.id);
  await nodeNetwork(settings, log).clear();
  for (const family of familiesOf(clusterCidr)) {
    await nodePackets(settings, log, family).clear();
    await nodeTable(settings, log, family).clear();
  }
  const routes = new RouteTable({ run: runProcess, log, ownCidrs: ownCidrs(cluster) });
  for (const family of familiesOf(clusterCidr)) await routes.settle(family, []);
  await routes.removeOverlay(overlayName(instanceOf(settings.dataDir)));
  await removeCgroups(cgroupRootOf(settings.dataDir), around);
  await removePluginFolder(devicePluginDirOf(settings.dataDir));
  for (const address of clusterDns.split(",").filter((each) => each !== "")) {
    const width = address.includes(":") ? 128 : 32;
    await runProcess(["ip", "address", "del", `${address}/${width}`, "dev", "lo"]);
  }
}

/**
 * Throws OperatorError where something could not be removed; the data directory is then still
 * there.
 */
export async function removeCluster(
  dataDir: string,
  around: Surroundings,
  { keepData = false }: { keepData?: boolean } = {},
): Promise<void> {
  if (!existsSync(dataDir)) throw new OperatorError(`there is no cluster in ${dataDir}`);
  const saved = loadInstance(dataDir);
  await stopProcess(saved.pid, around);
  const lock = lockDataDir(dataDir);
  try {
    if (saved.containerdAddress !== undefined) {
      const defaults = loadAgentSettings({
        flags: { dataDir },
        env: {},
        file: undefined,
        filePath: "",
      });
      const { clusterCidr = "", serviceCidr = "", clusterDns = "" } = saved;
      const cluster = { clusterCidr, serviceCidr, clusterDns, keepImages: keepData };
      await removeNode({ ...defaults, ...saved }, cluster, around);
    }
  } catch (cause) {
    throw new OperatorError(`cannot remove the node in ${dataDir}: ${messageOf(cause)}`, {
      cause,
      hint: "containerd and iptables must work, so that containers and rules go: bramble doctor",
    });
  } finally {
    lock.release();
  }
  for (const path of mountsBelow(dataDir)) await runProcess(["umount", "-l", path]);
  if (!keepData) rmSync(dataDir, { recursive: true, force: true });
  rmSync(runDirOf(dataDir), { recursive: true, force: true });
}
