/** The doctor's checks: each looks at facts and says what it finds, with the exact repair. */
import type { Check, Command, Facts, Finding } from "./facts.ts";
import { networkChecks } from "./networkchecks.ts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
/** Before this bramble was not written: the clock cannot be right. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

const ok = (check: string, text: string): Finding => ({ check, level: "ok", text });
const install = (facts: Facts, ...packages: string[]): { repair?: readonly Command[] } =>
  facts.hasApt ? { repair: [["apt-get", "install", "-y", ...packages]] } : {};
const started = (facts: Facts, unit: string): { repair?: readonly Command[] } =>
  facts.hasSystemd ? { repair: [["systemctl", "enable", "--now", unit]] } : {};

/** `1.6.20` of any text that has it; the parts as numbers. */
export function versionIn(text: string): [number, number] | undefined {
  const match = /(\d+)\.(\d+)/.exec(text);
  return match === null ? undefined : [Number(match[1]), Number(match[2])];
}

const atLeast = (text: string, major: number, minor: number): boolean => {
  const found = versionIn(text);
  return found !== undefined && (found[0] > major || (found[0] === major && found[1] >= minor));
};

const root: Check = ({ isRoot }) =>
  isRoot
    ? ok("user", "root")
    : { check: "user", level: "fail", text: "not root: a node needs it, and so does half of this" };

/** Words that turn the memory controller on; Raspberry Pi's kernels start without it. */
const CGROUP_WORDS = ["cgroup_enable=memory", "cgroup_memory=1"];

const memoryController: Check = ({ controllers, bootCommandLine, kernelCommandLine }) => {
  const check = "memory control group";
  if (controllers.includes("memory")) return ok(check, "there");
  const finding: Finding = {
    check,
    level: "fail",
    text: "the kernel was started without it: no pod's memory can be limited or measured",
  };
  if (bootCommandLine === undefined) return finding;
  const { path, text } = bootCommandLine;
  const words = text.split(/\s+/);
  const missing = CGROUP_WORDS.filter((word) => !words.includes(word));
  if (missing.length === 0) {
    const booted = CGROUP_WORDS.every((word) => kernelCommandLine.split(/\s+/).includes(word));
    const why = booted ? "though asked to" : `and ${path} asks for it: restart the machine`;
    return { ...finding, text: `the kernel was started without it, ${why}` };
  }
  const off = words.includes("cgroup_disable=memory");
  return {
    ...finding,
    repair: [
      ...(off ? [["sed", "-i", "s/ *cgroup_disable=memory//", path]] : []),
      ["sed", "-i", `1s/ *$/ ${missing.join(" ")}/`, path],
    ],
    changes: path,
    needsReboot: true,
  };
};

const otherControllers: Check = ({ controllers }) => {
  const missing = ["cpu", "pids"].filter((name) => !controllers.includes(name));
  const check = "other control groups";
  if (missing.length === 0) return ok(check, "cpu, pids");
  return { check, level: "warn", text: `no ${missing.join(", ")}: such limits have no effect` };
};

const modules: Check = ({ modules, network }) => {
  const wanted = ["overlay", "br_netfilter", "nf_conntrack"];
  if (network === "vxlan") wanted.push("vxlan");
  const missing = wanted.filter((name) => !modules.includes(name));
  const check = "kernel modules";
  if (missing.length === 0) return ok(check, wanted.join(", "));
  const repair = missing.map((name) => ["modprobe", name]);
  return { check, level: "fail", text: `not loaded: ${missing.join(", ")}`, repair };
};

const swap: Check = ({ swaps, hasSystemd }) => {
  const check = "swap";
  // In compressed memory it is fast, and wears nothing.
  const onDisk = swaps.filter(({ name }) => !name.startsWith("/dev/zram"));
  const mb = Math.round(onDisk.reduce((sum, { bytes }) => sum + bytes, 0) / MIB);
  if (onDisk.length === 0) return ok(check, swaps.length === 0 ? "none" : "in memory only");
  const pi = onDisk.some(({ name }) => name === "/var/swap") && hasSystemd;
  const where = onDisk.map(({ name }) => name).join(", ");
  const why = "a pod over its memory gets slow instead of ended, and a card wears";
  return {
    check,
    level: "warn",
    text: `${mb} MB on ${where}: ${why}`,
    repair: pi ? [["systemctl", "disable", "--now", "dphys-swapfile"]] : [["swapoff", "-a"]],
  };
};

const memory: Check = ({ memoryBytes }) => {
  const mb = Math.round(memoryBytes / MIB);
  const check = "memory";
  if (mb >= 400) return ok(check, `${mb} MB`);
  return { check, level: "warn", text: `${mb} MB: enough for an agent and a few pods` };
};

/** Programs are laid out for pages of up to 64 KB, so that they run with a Pi 5's 16 KB too. */
const pages: Check = ({ pageBytes }) => {
  const text = `${pageBytes / 1024} KB`;
  const check = "page size";
  if (pageBytes <= 64 * 1024) return ok(check, text);
  return { check, level: "fail", text: `${text}: bramble runs with pages of up to 64 KB` };
};

const NETWORK_DISKS = ["nfs", "nfs4", "cifs", "9p", "smb3", "ceph"];

const disk: Check = ({ disk }) => {
  const { path, fileSystem, device, freeBytes, totalBytes } = disk;
  const free = `${(freeBytes / GIB).toFixed(1)} GB free of ${(totalBytes / GIB).toFixed(1)}`;
  const card = /\/mmcblk/.test(device) ? ", SD card or eMMC" : "";
  const found: Finding[] = [];
  const say = (level: "warn" | "fail", text: string): void => {
    found.push({ check: "disk", level, text: `${path}: ${text}` });
  };
  if (NETWORK_DISKS.includes(fileSystem) || fileSystem.startsWith("fuse")) {
    say("fail", `${fileSystem} cannot hold the state: name a local disk with --data-dir`);
  } else if (fileSystem === "tmpfs") say("warn", "in memory: all is lost at a restart");
  else if (fileSystem === "overlay") say("warn", "overlayfs: containers cannot use it for theirs");
  if (freeBytes < GIB) say("fail", `${free}: images need more`);
  else if (freeBytes < totalBytes * 0.15) say("warn", `${free}: unused images are removed at 15 %`);
  if (found.length > 0) return found;
  // In a changed root nothing says of what kind it is.
  const kind = fileSystem === "" ? "" : `, ${fileSystem}`;
  return ok("disk", `${path}: ${free}${kind}${card}`);
};

const clock: Check = (facts) => {
  const { nowMs, clockIsSynchronized, hasSystemd, canSynchronize } = facts;
  const check = "clock";
  const now = new Date(nowMs).toISOString().slice(0, 16);
  const programs = canSynchronize ? [] : (install(facts, "systemd-timesyncd").repair ?? []);
  const repair: readonly Command[] = hasSystemd
    ? [...programs, ["timedatectl", "set-ntp", "true"]]
    : [];
  if (nowMs < EPOCH_MS) return { check, level: "fail", text: `it says ${now}`, repair };
  if (clockIsSynchronized === true) return ok(check, `${now}, synchronized`);
  if (clockIsSynchronized === undefined) return ok(check, `${now}, nothing says how right it is`);
  const text = `${now}, not synchronized: without a battery it is wrong after each start`;
  return { check, level: "warn", text, ...(repair.length > 0 && { repair }) };
};

const containerd: Check = (facts) => {
  const { address, installed, version } = facts.containerd;
  const check = "containerd";
  if (!installed) {
    return { check, level: "fail", text: "missing", ...install(facts, "containerd", "runc") };
  }
  if (version === undefined) {
    const text = `does not answer on ${address}`;
    return { check, level: "fail", text, ...started(facts, "containerd") };
  }
  if (!facts.runc) return { check, level: "fail", text: "no runc", ...install(facts, "runc") };
  if (atLeast(version, 1, 6)) return ok(check, version);
  const text = `${version} is too old: 1.6 or newer`;
  return { check, level: "fail", text, ...install(facts, "containerd") };
};

const nerdctl: Check = ({ nerdctl: { program, version } }) => {
  const check = "nerdctl";
  if (version !== undefined && atLeast(version, 1, 7)) return ok(check, version);
  const text =
    version === undefined ? `${program} is missing` : `${version} is too old: 1.7 or newer`;
  return { check, level: "fail", text: `${text}; install.sh brings it` };
};

const cni: Check = (facts) => {
  const { folder, missing } = facts.cni;
  const check = "CNI plugins";
  if (missing.length === 0) return ok(check, folder);
  const text = `${folder} has no ${missing.join(", ")}`;
  return { check, level: "fail", text, ...install(facts, "containernetworking-plugins") };
};

const CHECKS: readonly Check[] = [
  root,
  memoryController,
  otherControllers,
  modules,
  memory,
  pages,
  swap,
  disk,
  clock,
  containerd,
  nerdctl,
  cni,
  ...networkChecks,
];

/** A fresh system has no lists of packages yet, and old ones name files that are gone. */
function withFreshLists(findings: readonly Finding[]): Finding[] {
  const first = findings.findIndex(({ repair }) => repair?.[0]?.[0] === "apt-get");
  return findings.map((finding, i) =>
    i === first && finding.repair
      ? { ...finding, repair: [["apt-get", "update"], ...finding.repair] }
      : finding,
  );
}

export const diagnose = (facts: Facts): Finding[] =>
  withFreshLists(CHECKS.flatMap((check) => check(facts)));
