/**
 * How this data directory's node was started, so that later commands need only be told the
 * directory.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { shortHash } from "#agents/network/instance.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import type { Log } from "#base/log.ts";
import { repairModes } from "./privatefiles.ts";
import type { NodeSettings } from "./settings.ts";

const KEYS = [
  "containerdAddress",
  "containerdNamespace",
  "nerdctl",
  "cniBinDir",
  "network",
] as const;

export interface Instance extends Pick<NodeSettings, (typeof KEYS)[number]> {
  pid: number;
  clusterCidr: string;
  serviceCidr: string;
  clusterDns: string;
}

const pathOf = (dataDir: string): string => join(dataDir, "instance.json");

/** On a full disk the note of an earlier start is good enough: its pods must not wait for room. */
export function saveInstance(
  settings: NodeSettings,
  cluster: Pick<Instance, "clusterCidr" | "serviceCidr" | "clusterDns">,
  pid: number,
  log: Log,
): void {
  const { clusterCidr, serviceCidr, clusterDns } = cluster;
  const kept = Object.fromEntries(KEYS.map((key) => [key, settings[key]]));
  const text = `${JSON.stringify({ ...kept, clusterCidr, serviceCidr, clusterDns, pid })}\n`;
  const before = readText(pathOf(settings.dataDir));
  if (before === text) return;
  try {
    writeDurably(pathOf(settings.dataDir), text);
  } catch (error) {
    if (before === undefined) throw error;
    log.warn("how this node was started is not noted", { error: messageOf(error) });
  }
}

/** What was saved; nothing where no node ever ran. */
export function loadInstance(dataDir: string): Partial<Instance> {
  const text = readText(pathOf(dataDir));
  return text === undefined ? {} : (JSON.parse(text) as Instance);
}

export const DEFAULT_DATA_DIR = "/var/lib/bramble";

/** Names in the kernel carry this, so that two instances on one machine stay apart. */
export const instanceOf = (dataDir: string): string =>
  dataDir === DEFAULT_DATA_DIR ? "" : shortHash(dataDir).slice(0, 6);

/** For pipes and secrets, gone after a reboot. */
export const runDirOf = (dataDir: string): string => `/run/bramble${instanceOf(dataDir)}`;

/** Where device plugins look for a kubelet; they know no other place than the default one. */
export const devicePluginDirOf = (dataDir: string): string =>
  dataDir === DEFAULT_DATA_DIR
    ? "/var/lib/kubelet/device-plugins"
    : join(dataDir, "device-plugins");

/** Control group of all pods of an instance. */
export const cgroupRootOf = (dataDir: string): string => `/kubepods${instanceOf(dataDir)}`;

/** Makes it, or puts its modes right. @throws OperatorError where it cannot be used. */
export function makeDataDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new OperatorError(`cannot make the data directory ${path}: ${messageOf(cause)}`, {
      cause,
      hint: "name another with --data-dir",
    });
  }
  repairModes(path);
}
