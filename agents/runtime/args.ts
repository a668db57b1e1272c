/**
 * From a container's specification to nerdctl's arguments. Pure. nerdctl's own facts (2.0.4) are
 * named where they decide something.
 */

import { type ContainerSpec, type Mount, RuntimeError } from "#agents/runtime/runtime.ts";
import { assert } from "#base/assert.ts";

/** As of a container that is alone, and of Kubernetes' sandboxes. */
const SHM_BYTES = 64 * 1024 * 1024;
/** CFS period of CPU limits in microseconds, upstream's default (`cpuCFSQuotaPeriod`, 100 ms). */
const CPU_PERIOD_MICROS = 100_000;

/** nerdctl keeps its mounts as JSON in one label, of which containerd takes 4,096 bytes. */
const MOUNTS_LABEL_BYTES_MAX = 3_500;
/** Names and brackets of one mount in that label, and its mode. */
const MOUNT_LABEL_BYTES = 160;

/**
 * The mounts that nerdctl is told, and those that go straight into the OCI spec: it separates the
 * parts of a mount by colons, has no word for "no programs", and its label has room for some only.
 */
export function splitMounts(mounts: readonly Mount[]): { told: Mount[]; written: Mount[] } {
  const told: Mount[] = [];
  const written: Mount[] = [];
  let bytes = 0;
  for (const mount of mounts) {
    const { source, target } = mount;
    bytes += MOUNT_LABEL_BYTES + Buffer.byteLength(source) + Buffer.byteLength(target);
    const plain = !source.includes(":") && !target.includes(":") && mount.noExec !== true;
    const fits = plain && bytes < MOUNTS_LABEL_BYTES_MAX;
    (fits ? told : written).push(mount);
  }
  return { told, written };
}

/**
 * `-v` and not `--mount`: only it can name a path with a comma, and like CRI it makes a missing
 * source.
 */
function volume(mount: Mount): string {
  assert(mount.source.startsWith("/"), `absolute source of mount ${mount.target}`);
  const mode = mount.readOnly ? (mount.recursiveReadOnly === true ? "rro" : "ro") : "rw";
  const propagation = mount.propagation ?? "private";
  return [
    mount.source,
    mount.target,
    [mode, propagation === "private" ? "rprivate" : propagation, "rbind"].join(","),
  ].join(":");
}

/** nerdctl splits these flags at commas and quotes, and may read the image as an option. */
const WORDS = {
  image: /^[A-Za-z0-9][^\s]*$/,
  device: /^\/[^,"\s]*$/,
  capability: /^[A-Za-z0-9_]+$/,
  group: /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/,
  "network namespace": /^\/[^,"\s]+$/,
};

/** Returns the value if it is one word. @throws RuntimeError */
function word(what: keyof typeof WORDS, value: string): string {
  if (WORDS[what].test(value)) return value;
  const text = `nerdctl takes no ${what} like ${JSON.stringify(value)}`;
  throw new RuntimeError("InvalidArgument", text);
}

const words = (what: keyof typeof WORDS, values: readonly string[]): string[] =>
  values.map((value) => word(what, value));

function each(flag: string, values: readonly string[]): string[] {
  return values.flatMap((value) => [flag, value]);
}

function optional(flag: string, value: string | number | undefined): string[] {
  return value === undefined ? [] : [flag, String(value)];
}

function networkFlags(spec: ContainerSpec): string[] {
  const network =
    spec.network === "host"
      ? "host"
      : `ns:${word("network namespace", spec.network.namespacePath)}`;
  // Left out, nerdctl takes the machine's own name: right for the host's network.
  return ["--network", network, ...optional("--hostname", spec.hostname)];
}

function namespaceFlags(spec: ContainerSpec): string[] {
  const name = (of: { containerId: string } | string) =>
    typeof of === "string" ? of : `container:${of.containerId}`;
  return [
    ...optional("--pid", spec.pid && name(spec.pid)),
    // Another container's is joined in the OCI specification.
    ...optional("--ipc", typeof spec.ipc === "string" ? spec.ipc : undefined),
    // A shareable one would be half of the machine's memory without it.
    ...(spec.ipc === "shareable" ? ["--shm-size", String(SHM_BYTES)] : []),
  ];
}

/**
 * A number as the group is set later: containerd looks up what groups the image has a user in by
 * its name or number, and finds none for `user:group`.
 */
export function groupOfUser(user: string | undefined): number | undefined {
  const group = user?.split(":")[1];
  return group !== undefined && /^\d+$/.test(group) ? Number(group) : undefined;
}

const nameOfUser = (user: string | undefined): string | undefined =>
  groupOfUser(user) === undefined ? user : user?.split(":")[0];

function securityFlags(spec: ContainerSpec): string[] {
  const options: string[] = [];
  if (spec.noNewPrivileges) options.push("no-new-privileges");
  if (!spec.privileged) {
    if (spec.seccomp !== "runtime/default") options.push(`seccomp=${spec.seccomp ?? "unconfined"}`);
    if (spec.apparmor !== undefined) options.push(`apparmor=${spec.apparmor}`);
    if (spec.procMount === "Unmasked") options.push("systempaths=unconfined");
  }
  return [
    ...(spec.privileged ? ["--privileged"] : []),
    ...each("--security-opt", options),
    ...each("--cap-add", words("capability", spec.capabilities.add)),
    ...each("--cap-drop", words("capability", spec.capabilities.drop)),
    ...(spec.readOnlyRootfs ? ["--read-only"] : []),
    ...optional("--user", nameOfUser(spec.user)),
    ...each("--group-add", words("group", spec.groups)),
  ];
}

function resourceFlags(spec: ContainerSpec): string[] {
  const memory = spec.memoryLimitBytes;
  return [
    "--cgroup-parent",
    spec.cgroupParent,
    ...optional("--cpu-shares", spec.cpuShares),
    ...(spec.cpuQuotaMicros === undefined
      ? []
      : ["--cpu-period", String(CPU_PERIOD_MICROS), "--cpu-quota", String(spec.cpuQuotaMicros)]),
    // Equal to the memory limit: no swap, as Kubernetes has it (nerdctl's default is twice the
    // limit).
    ...(memory === undefined ? [] : ["--memory", String(memory), "--memory-swap", String(memory)]),
    ...optional("--pids-limit", spec.pidsLimit),
    ...optional("--oom-score-adj", spec.oomScoreAdj),
    ...each("--device", words("device", spec.devices)),
  ];
}

/**
 * The image and what runs in it: `command` replaces ENTRYPOINT and CMD, `args` alone replaces CMD.
 */
function commandOf(spec: ContainerSpec): { flags: string[]; positional: string[] } {
  const [first, ...rest] = spec.entrypoint ?? [];
  const all = [...rest, ...(spec.args ?? [])];
  // nerdctl takes away the first "--" after the image, wherever it came from.
  const image = word("image", spec.image);
  const positional = all.length === 0 ? [image] : [image, "--", ...all];
  return { flags: first === undefined ? [] : ["--entrypoint", first], positional };
}

/**
 * Arguments after nerdctl's global flags. Environment is not among them: it may be secret, and
 * arguments are for everybody to see (`ocispec.ts` puts it in).
 */
export function createArguments(spec: ContainerSpec, cidFile: string): string[] {
  const command = commandOf(spec);
  const labels = Object.entries(spec.labels).map(([key, value]) => `${key}=${value}`);
  return [
    "create",
    ...(spec.stdin ? ["--interactive"] : []),
    ...(spec.tty ? ["--tty"] : []),
    "--pull",
    "never",
    // No name: nerdctl's store of names keeps what a power cut left (found twice, removed never).
    "--name=",
    "--cidfile",
    cidFile,
    // The streams are given when the task is started (`start.ts`).
    "--log-driver",
    "none",
    "--annotation",
    `io.containerd.runc.v2.group=${spec.group}`,
    ...optional("--runtime", spec.runtime),
    ...networkFlags(spec),
    ...namespaceFlags(spec),
    ...securityFlags(spec),
    ...resourceFlags(spec),
    ...each("--label", labels),
    ...optional("--workdir", spec.workingDir),
    ...each("--volume", splitMounts(spec.mounts).told.map(volume)),
    ...each(
      "--tmpfs",
      spec.tmpfs.map(({ target, options }) => (options === "" ? target : `${target}:${options}`)),
    ),
    ...each(
      "--sysctl",
      Object.entries(spec.sysctls).map(([key, value]) => `${key}=${value}`),
    ),
    ...optional("--stop-signal", spec.stopSignal),
    ...command.flags,
    ...command.positional,
  ];
}
