/** States of a pod as the kubelet sees them, for tests of its pure parts. */
import { hashOf, membersOf } from "#agents/kubelet/pod.ts";
import type {
  Failure,
  Operation,
  PodRecord,
  PodState,
  ProbeView,
  RunRecord,
} from "#agents/kubelet/types.ts";
import type { ImageInfo } from "#agents/runtime/runtime.ts";
import type { Stored } from "#resources/meta.ts";
import type { Container, Pod, PodSpec } from "#resources/types.gen.ts";

export const NOW = Date.UTC(2026, 0, 1);

export const box = (name: string, rest: Partial<Container> = {}): Container => ({
  name,
  image: "busybox:1",
  ...rest,
});

export function podOf(spec: Partial<PodSpec> = {}, rest: Partial<Pod["metadata"]> = {}) {
  const pod: Stored<Pod> = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "web",
      namespace: "shop",
      uid: "u1",
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...rest,
    },
    spec: { ...spec, containers: spec.containers ?? [box("main")] },
  };
  return pod;
}

export const imageInfo: ImageInfo = {
  id: "sha256:1",
  names: ["docker.io/library/busybox:1"],
  digests: ["docker.io/library/busybox@sha256:1"],
  sizeBytes: 1,
  user: "",
  stopSignal: "",
};

export interface StateOptions {
  record?: Partial<PodRecord>;
  now?: number;
  exists?: boolean;
  operations?: Record<string, Operation>;
  failures?: Record<string, Failure>;
  images?: readonly string[];
  pulledFor?: Record<string, number>;
  volumesReady?: boolean;
  probes?: Record<string, ProbeView>;
  terminatingSinceMs?: number;
  deletionTold?: boolean;
  changedAtMs?: number;
}

/** A pod whose network and volumes are there, and nothing else. */
export function stateOf(pod: Stored<Pod>, options: StateOptions = {}): PodState {
  const record: PodRecord = {
    uid: "u1",
    namespace: "shop",
    name: "web",
    bootId: "b1",
    startTimeMs: NOW,
    sandbox: { id: "s1", ips: ["10.42.0.2"], netnsPath: "/run/netns/x" },
    sandboxes: 1,
    initialized: false,
    containers: {},
    cleaned: false,
    ...options.record,
  };
  const images = new Set(options.images ?? ["busybox:1"]);
  return {
    pod,
    exists: options.exists ?? true,
    record,
    now: options.now ?? NOW,
    operations: new Map(Object.entries(options.operations ?? {})),
    failures: new Map(Object.entries(options.failures ?? {})),
    image: (name) => (images.has(name) ? imageInfo : undefined),
    pulledFor: new Map(Object.entries(options.pulledFor ?? {})),
    volumesReady: options.volumesReady ?? true,
    probe: (name) => options.probes?.[name] ?? { started: true, ready: true },
    deletionTold: options.deletionTold ?? false,
    terminatingSinceMs: options.terminatingSinceMs,
    changedAtMs: options.changedAtMs,
    node: { name: "n1", ips: ["192.168.7.1"] },
  };
}

export function run(pod: Pod, name: string, rest: Partial<RunRecord> = {}): RunRecord {
  const member = membersOf(pod).find(({ spec }) => spec.name === name);
  return {
    id: `id-${name}`,
    attempt: 0,
    sandbox: 1,
    image: "docker.io/library/busybox:1",
    imageId: "docker.io/library/busybox@sha256:1",
    hash: member === undefined ? "" : hashOf(member.spec),
    startedAtMs: NOW,
    ...rest,
  };
}

export const ended = (
  pod: Pod,
  name: string,
  exitCode: number,
  rest: Partial<RunRecord> = {},
): RunRecord => run(pod, name, { exitCode, finishedAtMs: NOW, ...rest });
