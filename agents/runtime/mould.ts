/**
 * What nerdctl made once is made again without it: a container whose specification differs only in
 * its names and places (its pod, namespace, log, the sources of its mounts) gets a copy of the
 * record, with those replaced. A call of nerdctl costs 50 ms of computing, half of a pod's start.
 * Pure.
 */

import { splitMounts } from "#agents/runtime/args.ts";
import type { OciSpec } from "#agents/runtime/ocispec.ts";
import { type ContainerSpec, labelKeys } from "#agents/runtime/runtime.ts";

/** A container as nerdctl made it, before anything was changed in it. */
export interface MadeContainer {
  id: string;
  labels: Readonly<Record<string, string>>;
  spec: OciSpec;
}

export interface Mould {
  of: MadeContainer;
  hostname: string;
  netnsPath: string;
}

const HOSTNAME_FILE = "/etc/hostname";
const NERDCTL = "nerdctl/";
/** Where nerdctl keeps a container's own files. */
const STATE_DIR = `${NERDCTL}state-dir`;
/** Volumes of the image itself: each container must have its own. */
const IMAGE_VOLUMES = `${NERDCTL}anonymous-volumes`;
/** Only shown by nerdctl's inspect; it would name the mounts of another container. */
const MOUNTS = `${NERDCTL}mounts`;

const GROUP = "io.containerd.runc.v2.group";

/**
 * Everything that nerdctl decides by; two of one shape differ in what `cast` replaces. Undefined
 * for what is made of more than its specification: other containers, devices, files of profiles.
 */
export function shapeOf(spec: ContainerSpec, imageDigest: string): string | undefined {
  const { network, pid, ipc, seccomp = "unconfined" } = spec;
  if (network === "host" || spec.hostname === undefined) return undefined;
  if (pid !== undefined || ipc === "host" || ipc === "shareable") return undefined;
  if (spec.privileged || spec.devices.length > 0 || seccomp.includes("/")) return undefined;
  const {
    labels: _,
    group: _1,
    hostname: _2,
    env: _3,
    logPath: _4,
    cgroupParent: _5,
    ...rest
  } = spec;
  const { told } = splitMounts(spec.mounts);
  const mounts = told.map(({ source: _6, ...mount }) => mount);
  // Another container's IPC namespace is joined later, when it is started.
  return JSON.stringify({ ...rest, network: "", ipc: "", mounts, imageDigest });
}

const clean = (path: string): string => path.replace(/(?<=.)\/+$/, "");

/** Undefined where the container holds more that is its own than `cast` would replace. */
export function mouldOf(made: MadeContainer, spec: ContainerSpec): Mould | undefined {
  const { id, labels, spec: oci } = made;
  if (spec.network === "host" || spec.hostname === undefined) return undefined;
  if (labels[IMAGE_VOLUMES] !== undefined || !labels[STATE_DIR]?.includes(id)) return undefined;
  if (oci.linux?.cgroupsPath !== `${spec.cgroupParent}/${id}`) return undefined;
  const mounts = oci.mounts ?? [];
  const targets = new Set(splitMounts(spec.mounts).told.map(({ target }) => clean(target)));
  const there = new Set(mounts.map(({ destination }) => destination));
  if ([...targets].some((target) => !there.has(target))) return undefined;
  const own = mounts.filter(({ source, destination }) => {
    return source.includes(id) && !targets.has(destination);
  });
  if (own.some(({ destination }) => destination !== HOSTNAME_FILE)) return undefined;
  return { of: made, hostname: spec.hostname, netnsPath: spec.network.namespacePath };
}

export interface Cast {
  labels: Record<string, string>;
  spec: OciSpec;
  /** Of nerdctl for this container, to be made, with the file that its hostname is in. */
  stateDir: string;
  hostnameFile: string;
}

const mapValues = (
  record: Readonly<Record<string, string>>,
  change: (value: string) => string,
): Record<string, string> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));

/** The record of a container of the mould's shape; its id is new. */
export function cast({ of, hostname, netnsPath }: Mould, id: string, spec: ContainerSpec): Cast {
  const wanted = spec.network === "host" ? "" : spec.network.namespacePath;
  const own = spec.hostname ?? "";
  // Both are in no other word; a hostname may be anything, so it is only replaced as a whole.
  const here = (text: string) =>
    text === hostname ? own : text.replaceAll(of.id, id).replaceAll(netnsPath, wanted);
  const kept = Object.entries(withoutMounts(of.labels));
  const labels = kept.filter(([key]) => !key.startsWith(ownPrefix));
  const sources = new Map(
    splitMounts(spec.mounts).told.map(({ target, source }) => [clean(target), source]),
  );
  const { linux, process } = of.spec;
  const stateDir = here(of.labels[STATE_DIR] ?? "");
  return {
    labels: { ...mapValues(Object.fromEntries(labels), here), ...spec.labels },
    spec: {
      ...of.spec,
      hostname: own,
      process: {
        ...process,
        env: (process?.env ?? []).map((each) =>
          each.startsWith("HOSTNAME=") ? `HOSTNAME=${own}` : each,
        ),
      },
      mounts: (of.spec.mounts ?? []).map((mount) => ({
        ...mount,
        source: sources.get(mount.destination) ?? here(mount.source),
      })),
      annotations: {
        ...mapValues(withoutMounts(of.spec.annotations ?? {}), here),
        [GROUP]: spec.group,
      },
      linux: {
        ...linux,
        cgroupsPath: `${spec.cgroupParent}/${id}`,
        namespaces: (linux?.namespaces ?? []).map((each) =>
          each.path === undefined ? each : { ...each, path: here(each.path) },
        ),
      },
    },
    stateDir,
    hostnameFile: `${stateDir}/hostname`,
  };
}

const ownPrefix = labelKeys.pod.slice(0, labelKeys.pod.indexOf("/") + 1);

function withoutMounts(named: Readonly<Record<string, string>>): Record<string, string> {
  const { [MOUNTS]: _, ...rest } = named;
  return rest;
}
