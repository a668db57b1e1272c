/**
 * From a pod's container to what the runtime starts: pure. Mounts, environment and image come
 * resolved.
 */
import { ConfigError, expand, type Variable } from "#agents/kubelet/env.ts";
import { hostnameOf } from "#agents/kubelet/files.ts";
import { hashOf, networkOf, specOf } from "#agents/kubelet/pod.ts";
import { cgroupParent, hugePageLimitsOf, limitsOf, oomScoreAdj } from "#agents/kubelet/qos.ts";
import type { Member } from "#agents/kubelet/types.ts";
import type { ContainerSpec, ImageInfo, Mount } from "#agents/runtime/runtime.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  Pod,
  PodSecurityContext,
  SeccompProfile,
  SecurityContext,
} from "#resources/types.gen.ts";

export interface SpecInput {
  pod: Stored<Pod>;
  member: Member;
  attempt: number;
  image: ImageInfo;
  env: readonly Variable[];
  mounts: readonly Mount[];
  logPath: string;
  netnsPath: string | undefined;
  cgroupRoot: string;
  memoryCapacityBytes: number;
  pidsLimit: number | undefined;
  /** Where localhost seccomp profiles are. */
  seccompDir: string;
  /** The pod's container whose namespaces others join; undefined for the first. */
  leaderId: string | undefined;
  /** Shared process namespace: the container that is its first process. */
  pidLeaderId: string | undefined;
  /** Ephemeral containers: the container whose processes they see. */
  targetId: string | undefined;
  devices: readonly string[];
  fqdn: string | undefined;
  /** Sizes of huge pages that the kernel can limit. */
  pageSizes?: readonly string[];
  /** The kernel can end all processes of a container when its memory runs out. */
  oomGroup?: boolean;
  /** The kernel can keep a container without a memory limit out of swap. */
  noSwap?: boolean;
  /** Another than the default one. */
  runtime?: string | undefined;
}

/** Numeric where it can be told: `root` and nothing are 0. */
function imageUserId(user: string): number | string {
  const name = user.split(":", 1)[0] ?? "";
  if (name === "" || name === "root") return 0;
  return /^\d+$/.test(name) ? Number(name) : name;
}

/** In the words of Kubernetes' kubelet. Throws ConfigError. */
function refuseRoot(input: SpecInput, own: SecurityContext, whole: PodSecurityContext): void {
  if ((own.runAsNonRoot ?? whole.runAsNonRoot) !== true) return;
  const { name, namespace, uid } = input.pod.metadata;
  const where = `(pod: "${name}_${namespace}(${uid})", container: ${input.member.spec.name})`;
  const chosen = own.runAsUser ?? whole.runAsUser;
  if (chosen !== undefined) {
    if (chosen !== 0) return;
    throw new ConfigError(`container's runAsUser breaks non-root policy ${where}`);
  }
  const user = imageUserId(input.image.user);
  if (user === 0) {
    throw new ConfigError(`container has runAsNonRoot and image will run as root ${where}`);
  }
  if (typeof user === "string") {
    const what = `image has non-numeric user (${user}), cannot verify user is non-root`;
    throw new ConfigError(`container has runAsNonRoot and ${what} ${where}`);
  }
}

function userOf(
  image: ImageInfo,
  own: SecurityContext,
  whole: PodSecurityContext,
): string | undefined {
  const user = own.runAsUser ?? whole.runAsUser;
  const group = own.runAsGroup ?? whole.runAsGroup;
  if (user === undefined && group === undefined) return undefined;
  const name = user ?? (image.user.split(":", 1)[0] || "0");
  return group === undefined ? String(name) : `${name}:${group}`;
}

/** Resolves a path below the folder of profiles. Throws ConfigError. */
function profileName({ localhostProfile = "" }: SeccompProfile): string {
  const isBelow = !localhostProfile.startsWith("/") && !localhostProfile.split("/").includes("..");
  if (isBelow && localhostProfile !== "") return localhostProfile;
  const shown = JSON.stringify(localhostProfile);
  throw new ConfigError(`seccomp profile ${shown} is not below the node's folder of profiles`);
}

function seccompOf(own: SecurityContext, whole: PodSecurityContext, directory: string): string {
  const profile = own.seccompProfile ?? whole.seccompProfile;
  if (own.privileged === true) return "unconfined";
  if (profile?.type === "RuntimeDefault") return "runtime/default";
  if (profile?.type === "Localhost") return `${directory}/${profileName(profile)}`;
  return "unconfined";
}

function apparmorOf(own: SecurityContext, whole: PodSecurityContext): string | undefined {
  const profile = own.appArmorProfile ?? whole.appArmorProfile;
  if (profile?.type === "Unconfined") return "unconfined";
  if (profile?.type !== "Localhost") return undefined;
  // The runtime interprets this name as no profile.
  if (profile.localhostProfile !== "unconfined") return profile.localhostProfile;
  throw new ConfigError("AppArmor profile unconfined is not one of this node's profiles");
}

function groupsOf(whole: PodSecurityContext): string[] {
  const groups = [...(whole.supplementalGroups ?? [])];
  if (whole.fsGroup !== undefined) groups.push(whole.fsGroup);
  return [...new Set(groups)].map(String);
}

function namespacesOf(input: SpecInput): Pick<ContainerSpec, "pid" | "ipc"> {
  const spec = specOf(input.pod);
  const out: Pick<ContainerSpec, "pid" | "ipc"> = {};
  if (spec.hostPID === true) out.pid = "host";
  else if (input.targetId !== undefined) out.pid = { containerId: input.targetId };
  else if (input.pidLeaderId !== undefined) out.pid = { containerId: input.pidLeaderId };
  // One that is alone has its own, which none can join later: a shared one costs a mount.
  const alone = spec.containers.length === 1 && (spec.initContainers?.length ?? 0) === 0;
  if (spec.hostIPC === true) out.ipc = "host";
  else if (input.pidLeaderId !== undefined) out.ipc = { containerId: input.pidLeaderId };
  else if (!alone && input.leaderId !== undefined) out.ipc = { containerId: input.leaderId };
  else if (!alone) out.ipc = "shareable";
  return out;
}

function processOf(input: SpecInput): Pick<ContainerSpec, "entrypoint" | "args" | "workingDir"> {
  const { command, args, workingDir } = input.member.spec;
  const values = new Map(input.env.map(({ name, value }) => [name, value]));
  const expanded = (list: readonly string[]) => list.map((text) => expand(text, lookup));
  const lookup = (name: string) => values.get(name);
  return {
    ...(command?.length && { entrypoint: expanded(command) }),
    ...(args?.length && { args: expanded(args) }),
    ...(workingDir && { workingDir }),
  };
}

function securityOf(input: SpecInput) {
  const whole = specOf(input.pod).securityContext ?? {};
  const own = input.member.spec.securityContext ?? {};
  refuseRoot(input, own, whole);
  const user = userOf(input.image, own, whole);
  const seccomp = seccompOf(own, whole, input.seccompDir);
  const apparmor = apparmorOf(own, whole);
  return {
    ...(user !== undefined && { user }),
    seccomp,
    ...(apparmor !== undefined && { apparmor }),
    groups: groupsOf(whole),
    ...(whole.supplementalGroupsPolicy === "Strict" && { groupsPolicy: "Strict" as const }),
    privileged: own.privileged === true,
    ...(own.procMount === "Unmasked" && { procMount: "Unmasked" as const }),
    capabilities: { add: own.capabilities?.add ?? [], drop: own.capabilities?.drop ?? [] },
    readOnlyRootfs: own.readOnlyRootFilesystem === true,
    noNewPrivileges: own.allowPrivilegeEscalation === false,
    sysctls: Object.fromEntries((whole.sysctls ?? []).map(({ name, value }) => [name, value])),
  };
}

/** Labels by which a restarted agent knows the container: the keys of `runtime.ts`. */
function labelsOf(input: SpecInput): Record<string, string> {
  const { name, namespace = "", uid } = input.pod.metadata;
  return {
    "bramble.dev/pod": name,
    "bramble.dev/namespace": namespace,
    "bramble.dev/uid": uid,
    "bramble.dev/container": input.member.spec.name,
    "bramble.dev/attempt": String(input.attempt),
    "bramble.dev/hash": hashOf(input.member.spec),
    "bramble.dev/kind": input.member.role,
  };
}

/** Throws ConfigError where the pod's own rules forbid to start it. */
export function containerSpec(input: SpecInput): ContainerSpec {
  const spec = specOf(input.pod);
  const { member } = input;
  return {
    image: input.image.names[0] ?? member.spec.image ?? "",
    labels: labelsOf(input),
    group: input.pod.metadata.uid,
    network: networkOf(input.pod, input.netnsPath),
    ...(spec.hostNetwork !== true && {
      hostname: (spec.setHostnameAsFQDN && input.fqdn) || hostnameOf(input.pod),
    }),
    ...processOf(input),
    env: input.env,
    mounts: input.mounts,
    devices: input.devices,
    tmpfs: [],
    logPath: input.logPath,
    tty: member.spec.tty === true,
    stdin: member.spec.stdin === true,
    ...(member.spec.stdinOnce === true && { stdinOnce: true }),
    ...securityOf(input),
    ...(input.runtime && { runtime: input.runtime }),
    cgroupParent: cgroupParent(input.cgroupRoot, spec, input.pod.metadata.uid),
    ...limitsOf(member.spec.resources),
    ...(input.pageSizes?.length && {
      hugePageLimits: hugePageLimitsOf(member.spec.resources, input.pageSizes),
    }),
    ...(input.pidsLimit !== undefined && { pidsLimit: input.pidsLimit }),
    ...(input.oomGroup === true && { oomGroup: true }),
    ...(input.noSwap === true && { noSwap: true }),
    oomScoreAdj: oomScoreAdj(spec, member.spec, input.memoryCapacityBytes),
    ...namespacesOf(input),
    ...(member.spec.lifecycle?.stopSignal && { stopSignal: member.spec.lifecycle.stopSignal }),
  };
}
