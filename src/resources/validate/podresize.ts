/** In-place resize of a pod's containers (KEP-1287). */
import { sameTyped, sameValue } from "#resources/equal.ts";
import { type Cause, forbidden, invalid } from "#resources/field.ts";
import { qosClass } from "#resources/qos.ts";
import type { Container, Pod, PodSpec, ResourceRequirements } from "#resources/types.gen.ts";

const MIRROR = "kubernetes.io/config.mirror";
const EMPTY: PodSpec = { containers: [] };
const RESIZABLE = ["cpu", "memory"];

type List = "containers" | "initContainers";

const isSet = (resources: ResourceRequirements | undefined): boolean =>
  Object.keys({ ...resources?.requests, ...resources?.limits }).length > 0;

/** Resources without the two that can be resized. */
function otherResources(resources: ResourceRequirements | undefined): unknown {
  const others = (list: Readonly<Record<string, string>> | undefined) =>
    Object.entries(list ?? {}).filter(([name]) => !RESIZABLE.includes(name));
  const { requests, limits, claims } = resources ?? {};
  return [others(requests), others(limits), claims];
}

const RESOURCES = "io.k8s.api.core.v1.ResourceRequirements";

function removedCauses(next: Container, old: Container, path: string): Cause[] {
  return (["requests", "limits"] as const).flatMap((list) => {
    const after = next.resources?.[list] ?? {};
    const removed = Object.keys(old.resources?.[list] ?? {}).some((name) => !(name in after));
    const detail = `resource ${list} cannot be removed`;
    return removed ? [forbidden(`${path}.resources.${list}`, detail)] : [];
  });
}

function containerCauses(next: Container, old: Container, list: List, path: string): Cause[] {
  if (list === "initContainers" && next.restartPolicy !== "Always") {
    if (sameTyped(RESOURCES, next.resources, old.resources)) return [];
    return [forbidden("spec", "resources for non-sidecar init containers are immutable")];
  }
  const causes = removedCauses(next, old, path);
  if (sameValue(otherResources(next.resources), otherResources(old.resources))) return causes;
  const what = list === "containers" ? "resources are" : "resources for sidecar containers are";
  return [...causes, forbidden("spec", `only cpu and memory ${what} mutable`)];
}

function listCauses(spec: PodSpec, old: PodSpec, list: List): Cause[] {
  const next = spec[list] ?? [];
  const before = old[list] ?? [];
  const at = `spec.${list}`;
  if (next.length !== before.length) {
    return [forbidden(at, `${list} may not be added or removed on resize`)];
  }
  return next.flatMap((container, index) => {
    const oldContainer = before[index];
    if (container.name === oldContainer?.name) {
      return containerCauses(container, oldContainer, list, `${at}[${index}]`);
    }
    return [forbidden(`${at}[${index}].name`, `${list} may not be renamed or reordered on resize`)];
  });
}

/** What a resize must leave as it is; the new spec itself is checked elsewhere. */
export function checkResize(pod: Pod, oldPod: Pod): Cause[] {
  const spec = pod.spec ?? EMPTY;
  const old = oldPod.spec ?? EMPTY;
  if (isSet(spec.resources) || isSet(old.resources)) {
    return [forbidden("", "pods with pod-level resources cannot be resized")];
  }
  if (oldPod.metadata?.annotations?.[MIRROR] !== undefined) {
    return [forbidden("", "static pods cannot be resized")];
  }
  if (old.os?.name === "windows") return [forbidden("", "windows pods cannot be resized")];
  const before = oldPod.status?.qosClass || qosClass(old);
  const detail = "Pod QOS Class may not change as a result of resizing";
  return [
    ...(qosClass(spec) === before ? [] : [invalid("spec", before, detail)]),
    ...listCauses(spec, old, "containers"),
    ...listCauses(spec, old, "initContainers"),
  ];
}
