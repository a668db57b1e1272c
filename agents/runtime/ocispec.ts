/**
 * What nerdctl can't say of a container, put into the OCI runtime spec between its making and its
 * start. Pure. https://github.com/opencontainers/runtime-spec/blob/main/config.md
 */
import { groupOfUser, splitMounts } from "#agents/runtime/args.ts";
import type { ContainerSpec, Mount } from "#agents/runtime/runtime.ts";

interface OciNamespace {
  type: string;
  path?: string;
}

interface OciMount {
  destination: string;
  type: string;
  source: string;
  options: string[];
}

interface OciResources {
  hugepageLimits?: Array<{ pageSize: string; limit: number }>;
  /** Files of a group of version 2. */
  unified?: Record<string, string>;
}

/** The parts that are read or changed here; the rest is kept as it is. */
export interface OciSpec {
  ociVersion?: string;
  process?: {
    args?: string[];
    env?: string[];
    terminal?: boolean;
    user?: { uid?: number; gid?: number; additionalGids?: number[] };
  };
  mounts?: OciMount[];
  hooks?: object;
  annotations?: Record<string, string>;
  hostname?: string;
  linux?: { namespaces?: OciNamespace[]; resources?: OciResources; cgroupsPath?: string };
}

/** Names the shim of a container: those of one group share it. */
const GROUP_ANNOTATION = "io.containerd.runc.v2.group";

export function groupOf(oci: OciSpec, containerId: string): string {
  return oci.annotations?.[GROUP_ANNOTATION] ?? containerId;
}

/** What is taken from the container's specification; the rest was said in arguments. */
type Wanted = Pick<
  ContainerSpec,
  | "env"
  | "mounts"
  | "user"
  | "groups"
  | "groupsPolicy"
  | "runtime"
  | "hugePageLimits"
  | "oomGroup"
  | "noSwap"
>;

/** The crun of Debian 12 knows no later one; nothing that we say needs one. */
const OLDEST_VERSION = "1.0.2";

/** The container whose IPC namespace is joined. */
export interface IpcLeader {
  /** Its first process. */
  pid: number;
  /** Its /dev/shm, where that is on the host; gone with the container that made it. */
  shm: OciMount | undefined;
}

interface Finish {
  spec: Wanted;
  ipc: IpcLeader | undefined;
}

const SHM = "/dev/shm";

/** /dev/shm of a container, when others can have it too. */
export const sharedShm = (oci: OciSpec): OciMount | undefined =>
  oci.mounts?.find(({ destination, type }) => destination === SHM && type === "bind");

function withNamespace(all: readonly OciNamespace[], wanted: OciNamespace): OciNamespace[] {
  return [...all.filter((each) => each.type !== wanted.type), wanted];
}

/**
 * The image's environment and the hostname, as nerdctl has set them, then the pod's; the last one
 * counts.
 */
function environment(present: readonly string[], spec: Wanted): string[] {
  const values = new Map(present.map((each) => [each.split("=", 1)[0] ?? "", each]));
  for (const { name, value } of spec.env) values.set(name, `${name}=${value}`);
  return [...values.values()];
}

function bind(mount: Mount): OciMount {
  const { source, target, readOnly, recursiveReadOnly, propagation = "private" } = mount;
  const spread = propagation === "private" ? "rprivate" : propagation;
  const mode = recursiveReadOnly === true ? "rro" : "ro";
  const noExec = mount.noExec === true ? ["noexec"] : [];
  const options = ["rbind", spread, ...(readOnly ? [mode] : []), ...noExec];
  return { destination: target, type: "bind", source, options };
}

function withShm(mounts: readonly OciMount[], shm: OciMount | undefined): readonly OciMount[] {
  if (shm === undefined) return mounts;
  return [...mounts.filter(({ destination }) => destination !== SHM), shm];
}

const depth = ({ destination }: OciMount): number => destination.split("/").filter(Boolean).length;

/** What is mounted inside of another comes after it. */
function inDepthOrder(mounts: readonly OciMount[]): OciMount[] {
  return [...mounts].sort((a, b) => depth(a) - depth(b));
}

const pageLimits = (limits: Readonly<Record<string, number>>) =>
  Object.entries(limits).map(([pageSize, limit]) => ({ pageSize, limit }));

/** What is limited beside CPU, memory and processes. */
function moreLimits(present: OciResources, spec: Wanted): OciResources {
  const { hugePageLimits, oomGroup, noSwap } = spec;
  const unified = {
    ...present.unified,
    ...(oomGroup === true && { "memory.oom.group": "1" }),
    ...(noSwap === true && { "memory.swap.max": "0" }),
  };
  return {
    ...present,
    ...(hugePageLimits && { hugepageLimits: pageLimits(hugePageLimits) }),
    ...(Object.keys(unified).length > 0 && { unified }),
  };
}

type OciUser = NonNullable<NonNullable<OciSpec["process"]>["user"]>;

/** The group takes the place of the one that the user has by the image. */
function inGroup(user: OciUser, gid: number): OciUser {
  const [first, ...rest] = user.additionalGids ?? [];
  // The runtime lists the user's own group first; those after it are memberships.
  const others = first === undefined || first === user.gid ? rest : [first, ...rest];
  return { ...user, gid, additionalGids: [...new Set([gid, ...others])] };
}

export function finishSpec(oci: OciSpec, { spec, ipc }: Finish): OciSpec {
  // The hooks only set up nerdctl's own networks and hosts files: 20 ms each way for nothing.
  const { hooks: _, ...rest } = oci;
  const namespaces = oci.linux?.namespaces ?? [];
  const process = { ...oci.process, env: environment(oci.process?.env ?? [], spec) };
  const own = groupOfUser(spec.user);
  if (own !== undefined) process.user = inGroup(process.user ?? {}, own);
  if (spec.groupsPolicy === "Strict") {
    const gid = process.user?.gid ?? 0;
    const groups = [...new Set([gid, ...spec.groups.map(Number)])];
    process.user = { ...process.user, additionalGids: groups };
  }
  return {
    ...rest,
    ...(spec.runtime !== undefined && { ociVersion: OLDEST_VERSION }),
    process,
    mounts: inDepthOrder([
      ...withShm(oci.mounts ?? [], ipc?.shm),
      ...splitMounts(spec.mounts).written.map(bind),
    ]),
    linux: {
      ...oci.linux,
      ...((spec.hugePageLimits || spec.oomGroup || spec.noSwap) && {
        resources: moreLimits(oci.linux?.resources ?? {}, spec),
      }),
      // nerdctl's own `--ipc container:ID` shares /dev/shm alone, and only with its maker.
      namespaces:
        ipc === undefined
          ? namespaces
          : withNamespace(namespaces, { type: "ipc", path: `/proc/${ipc.pid}/ns/ipc` }),
    },
  };
}

/** The container's process with another command, as `exec` in CRI has it. */
export function execProcess(
  oci: OciSpec,
  command: readonly string[],
  tty: boolean,
): NonNullable<OciSpec["process"]> {
  const process = oci.process ?? {};
  const env = process.env ?? [];
  const terminal = tty && !env.some((each) => each.startsWith("TERM=")) ? ["TERM=xterm"] : [];
  return { ...process, args: [...command], env: [...env, ...terminal], terminal: tty };
}
