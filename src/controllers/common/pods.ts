/** What controllers ask of pods, and how they make them. */
import type { Index } from "#client/cache.types.ts";
import { controllerReference } from "#controllers/common/owner.ts";
import { timeMs } from "#controllers/common/time.ts";
import type { Kind } from "#resources/kind.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import type { Pod, PodCondition, PodTemplateSpec } from "#resources/types.gen.ts";

export function podCondition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}

export const isReady = (pod: Pod): boolean => podCondition(pod, "Ready")?.status === "True";

/** Came to its end, or is on its way out by phase: it will not run again. */
export const isTerminal = (pod: Pod): boolean =>
  pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

/** Counts as a replica: neither ended nor being deleted. */
export const isActive = (pod: Stored<Pod>): boolean =>
  !isTerminal(pod) && pod.metadata.deletionTimestamp === undefined;

/**
 * Milliseconds until the pod has been ready for `minReadySeconds`: 0 when it is available now,
 * undefined when it is not ready.
 */
export function availableInMs(pod: Pod, minReadySeconds: number, now: number): number | undefined {
  const ready = podCondition(pod, "Ready");
  if (ready?.status !== "True") return undefined;
  if (minReadySeconds <= 0) return 0;
  const since = timeMs(ready.lastTransitionTime);
  if (since === undefined) return undefined;
  return Math.max(0, since + minReadySeconds * 1000 - now);
}

/**
 * Its controller replaces it without waiting for its end: it may run once more while nobody knows
 * whether it still runs on a node that is gone. Not so a StatefulSet's pod, which is one identity,
 * nor a bare one.
 */
export function mayRunTwice(pod: Pod): boolean {
  const owner = controllerOf(pod);
  return owner !== undefined && owner.kind !== "StatefulSet";
}

/** Pods by the name of their node. */
export const podsByNode: Index<Pod> = {
  name: "node",
  values: ({ spec }) => (spec?.nodeName ? [spec.nodeName] : []),
};

/** Longest base of a generated name: 63 characters less the suffix (apiserver names generator). */
const GENERATED_BASE_MAX = 58;

export const generatedName = (base: string, suffix: string): string =>
  base.slice(0, GENERATED_BASE_MAX) + suffix;

export interface PodOptions {
  template: PodTemplateSpec | undefined;
  kind: Kind;
  owner: Stored;
  /** Whole name; a generated one is `generateName` and a suffix. */
  name: string;
  generateName?: string;
}

/** The pod of a template. Shares the template's spec: do not change it. */
export function podOf(options: PodOptions): Pod {
  const { template, owner, kind, name, generateName } = options;
  const meta = template?.metadata ?? {};
  return {
    metadata: {
      ...(generateName !== undefined && { generateName }),
      name,
      namespace: owner.metadata.namespace ?? "",
      ...(meta.labels && { labels: meta.labels }),
      ...(meta.annotations && { annotations: meta.annotations }),
      ...(meta.finalizers && { finalizers: meta.finalizers }),
      ownerReferences: [controllerReference(kind, owner)],
    },
    ...(template?.spec && { spec: template.spec }),
  };
}
