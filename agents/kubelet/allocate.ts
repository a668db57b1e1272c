/** In-place resize: what a pod was given, what it wants, and whether the node has it. Pure. */
import type { PodRecord } from "#agents/kubelet/types.ts";
import { amountOf, podRequests } from "#resources/podrequests.ts";
import { quantityValue } from "#resources/quantity.ts";
import type { Container, Pod, ResourceRequirements } from "#resources/types.gen.ts";

export interface ResizeRefusal {
  /** Infeasible on this node for ever, or Deferred until others go. */
  reason: "Infeasible" | "Deferred";
  message: string;
}

const RESIZABLE = ["cpu", "memory"] as const;

/** Containers whose resources may change while they run: main ones and sidecars. */
const resizable = (pod: Pod): Container[] => [
  ...(pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always"),
  ...(pod.spec?.containers ?? []),
];

export function resourcesByName(pod: Pod): Record<string, ResourceRequirements> {
  return Object.fromEntries(resizable(pod).map(({ name, resources }) => [name, resources ?? {}]));
}

/** The resources that differ, of those that can be changed in place. */
export function changedResources(
  before: ResourceRequirements | undefined,
  after: ResourceRequirements | undefined,
): Array<(typeof RESIZABLE)[number]> {
  const value = (text: string | number | undefined) =>
    text === undefined ? undefined : quantityValue(text);
  return RESIZABLE.filter((name) =>
    (["limits", "requests"] as const).some(
      (list) => value(before?.[list]?.[name]) !== value(after?.[list]?.[name]),
    ),
  );
}

/** What the node gave the container; its own wish where nothing was written down. */
export const allocatedOf = (
  record: PodRecord,
  container: Container,
): ResourceRequirements | undefined => record.allocated?.[container.name] ?? container.resources;

export const wantsResize = (pod: Pod, record: PodRecord): boolean =>
  record.allocated !== undefined &&
  resizable(pod).some(
    (container) => changedResources(allocatedOf(record, container), container.resources).length > 0,
  );

/** The pod as it counts against the node. */
export function allocatedPod(pod: Pod, record: PodRecord): Pod {
  if (record.allocated === undefined || !wantsResize(pod, record)) return pod;
  const given = (container: Container): Container => {
    const resources = allocatedOf(record, container);
    return resources === undefined ? container : { ...container, resources };
  };
  const spec = pod.spec ?? { containers: [] };
  return {
    ...pod,
    spec: {
      ...spec,
      containers: spec.containers.map(given),
      ...(spec.initContainers && { initContainers: spec.initContainers.map(given) }),
    },
  };
}

export function resizeRefusal(
  pod: Pod,
  others: readonly Pod[],
  allocatable: Readonly<Record<string, string>>,
): ResizeRefusal | undefined {
  const requests = podRequests(pod);
  const used = others.map(podRequests);
  for (const name of RESIZABLE) {
    const wanted = requests[name] ?? 0;
    const capacity = amountOf(name, allocatable[name] ?? "0");
    if (wanted > capacity) {
      const figures = `requested: ${wanted}, capacity: ${capacity}`;
      const message = `Node didn't have enough capacity: ${name}, ${figures}`;
      return { reason: "Infeasible", message };
    }
    const before = used.reduce((total, other) => total + (other[name] ?? 0), 0);
    if (before + wanted > capacity) {
      const figures = `requested: ${wanted}, used: ${before}, capacity: ${capacity}`;
      const message = `Node didn't have enough resource: ${name}, ${figures}`;
      return { reason: "Deferred", message };
    }
  }
  return undefined;
}

/** Whether the container must be started anew for it, by its own policy. */
export function needsRestart(
  container: Container,
  changed: ReadonlyArray<(typeof RESIZABLE)[number]>,
): boolean {
  return (container.resizePolicy ?? []).some(
    ({ resourceName, restartPolicy }) =>
      restartPolicy === "RestartContainer" && changed.some((name) => name === resourceName),
  );
}
