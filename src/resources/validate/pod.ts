/** Pods as they are created, and each way in which they may change (core validation, Pod). */
import { limits } from "#base/limits.ts";
import { POD_SPEC, sameField, sameTyped } from "#resources/equal.ts";
import { type Cause, forbidden, invalid, notSupported } from "#resources/field.ts";
import { Recent } from "#resources/recent.ts";
import { textOfShared } from "#resources/samespec.ts";
import { TOKEN_VOLUME_PREFIX } from "#resources/tokenvolume.ts";
import type { Affinity, Container, Pod, PodSpec } from "#resources/types.gen.ts";
import { each, INT32_MAX, within } from "#resources/validate/basic.ts";
import { checkNodeTermAdditions, checkTolerationAdditions } from "#resources/validate/podchange.ts";
import { checkResize } from "#resources/validate/podresize.ts";
import { checkOnlyPod, checkPodAnnotations, checkPodSpec } from "#resources/validate/podspec.ts";
import { checkPodStatus } from "#resources/validate/podstatus.ts";

const MIRROR = "kubernetes.io/config.mirror";
const EMPTY: PodSpec = { containers: [] };

const annotatedCauses = (pod: Pod, spec: PodSpec): Cause[] =>
  checkPodAnnotations(pod.metadata, spec, "metadata.annotations");

const bareCauses = (pod: Pod, spec: PodSpec): Cause[] => [
  ...checkPodSpec(spec, "spec", pod.metadata ?? {}),
  ...checkOnlyPod(spec, "spec"),
];

const specCauses = (pod: Pod, spec: PodSpec): Cause[] => [
  ...annotatedCauses(pod, spec),
  ...bareCauses(pod, spec),
];

/** Specs that nothing was wrong with: pods of one template come with the same. */
const right = new Recent<true>({
  entriesMax: limits.recentSpecsMax,
  charsMax: limits.recentSpecCharsMax,
});

/** The same for specs that are right or wrong alike; undefined where more than the spec counts. */
function textOf(spec: PodSpec): string | undefined {
  const volumes = spec.volumes ?? [];
  // Their claims are named after the pod.
  if (volumes.some(({ ephemeral }) => ephemeral !== undefined)) return undefined;
  const text = textOfShared(spec);
  const token = volumes.find(({ name }) => name?.startsWith(TOKEN_VOLUME_PREFIX))?.name;
  return token === undefined ? text : text.replaceAll(token, TOKEN_VOLUME_PREFIX);
}

function createCauses(pod: Pod): Cause[] {
  const spec = pod.spec ?? EMPTY;
  const text = textOf(spec);
  const causes = annotatedCauses(pod, spec);
  if (text !== undefined && right.get(text) === true) return causes;
  const wrong = newCauses(pod, spec);
  if (text !== undefined && wrong.length === 0) right.set(text, true);
  return [...causes, ...wrong];
}

function newCauses(pod: Pod, spec: PodSpec): Cause[] {
  const causes = bareCauses(pod, spec);
  if ((spec.ephemeralContainers ?? []).length > 0) {
    causes.push(forbidden("spec.ephemeralContainers", "cannot be set on create"));
  }
  if (spec.nodeName && (spec.schedulingGates ?? []).length > 0) {
    const detail = "cannot be set until all schedulingGates have been cleared";
    causes.push(forbidden("spec.nodeName", detail));
  }
  return causes;
}

function deadlineCauses(spec: PodSpec, old: PodSpec): Cause[] {
  const at = "spec.activeDeadlineSeconds";
  const next = spec.activeDeadlineSeconds;
  const before = old.activeDeadlineSeconds;
  if (next === undefined) {
    if (before === undefined) return [];
    return [invalid(at, null, "must not update from a positive integer to nil value")];
  }
  const causes = within(next, [0, INT32_MAX], at);
  if (causes.length > 0 || before === undefined || before >= next) return causes;
  return [invalid(at, next, "must be less than or equal to previous value")];
}

function gateCauses(spec: PodSpec, old: PodSpec): Cause[] {
  const before = new Set((old.schedulingGates ?? []).map((gate) => gate.name));
  return each(spec.schedulingGates, "spec.schedulingGates", ({ name }, at) =>
    before.has(name)
      ? []
      : [
          forbidden(
            `${at}.name`,
            `only deletion is allowed, but found new scheduling gate '${name ?? ""}'`,
          ),
        ],
  );
}

/** Containers with everything but some of their fields as it was before. */
function withOld(
  containers: readonly Container[] | undefined,
  old: readonly Container[] | undefined,
  fields: ReadonlyArray<keyof Container>,
): Container[] {
  return (containers ?? []).map((container, index) => {
    const before = old?.[index];
    const kept = fields.flatMap((field) => {
      const value = before?.[field];
      return value === undefined ? [] : [[field, value] as const];
    });
    const dropped = Object.entries(container).filter(
      ([field]) => !fields.includes(field as keyof Container),
    );
    return { ...Object.fromEntries([...dropped, ...kept]), name: container.name };
  });
}

const UPDATABLE = [
  "`spec.containers[*].image`",
  "`spec.initContainers[*].image`",
  "`spec.activeDeadlineSeconds`",
  "`spec.tolerations` (only additions to existing tolerations)",
  "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
].join(",");

/** The top-level fields of two specs that are not the same, for the reader of an error. */
function changedFields(spec: PodSpec, old: PodSpec): string {
  const fields = new Set([...Object.keys(spec), ...Object.keys(old)] as Array<keyof PodSpec>);
  return [...fields]
    .filter((field) => !sameField(POD_SPEC, field, spec, old))
    .map((field) => `  spec.${field}`)
    .join("\n");
}

/** What a pod that no scheduler has looked at may still change (KEP-3838). */
function gatedCauses(spec: PodSpec, old: PodSpec): Cause[] {
  const next = spec.nodeSelector ?? {};
  const added = Object.entries(old.nodeSelector ?? {}).every(([key, value]) => next[key] === value);
  const detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)";
  return [
    ...(added ? [] : [invalid("spec.nodeSelector", next, detail)]),
    ...checkNodeTermAdditions(spec.affinity?.nodeAffinity, old.affinity?.nodeAffinity),
  ];
}

/** Node affinity put back; an affinity that was made for it alone is none. */
function withOldNodes(affinity: Affinity | undefined, old: Affinity | undefined) {
  const nodeAffinity = old?.nodeAffinity;
  if (!affinity) return nodeAffinity && { nodeAffinity };
  const own = affinity.podAffinity ?? affinity.podAntiAffinity;
  return !old && !own ? undefined : { ...affinity, nodeAffinity };
}

/** The new spec with all that may change put back, to compare the rest. */
function fixedPart(spec: PodSpec, old: PodSpec, gated: boolean, lenient: boolean): PodSpec {
  const fields: Array<keyof PodSpec> = ["activeDeadlineSeconds", "schedulingGates", "tolerations"];
  if (gated) fields.push("nodeSelector");
  if ((old.terminationGracePeriodSeconds ?? 0) < 0 && spec.terminationGracePeriodSeconds === 1) {
    fields.push("terminationGracePeriodSeconds");
  }
  if (lenient) fields.push("ephemeralContainers", "nodeName");
  const containerFields: Array<keyof Container> = lenient
    ? ["image", "resources", "resizePolicy"]
    : ["image"];
  const rest = Object.entries(spec).filter(([field]) => !fields.includes(field as keyof PodSpec));
  const kept = fields.map((field) => [field, old[field]]);
  return {
    ...Object.fromEntries([...rest, ...kept]),
    ...(gated && { affinity: withOldNodes(spec.affinity, old.affinity) }),
    containers: withOld(spec.containers, old.containers, containerFields),
    initContainers: withOld(spec.initContainers, old.initContainers, containerFields),
  };
}

const EPHEMERAL = "io.k8s.api.core.v1.EphemeralContainer";
const COUNT = "pod updates may not add or remove containers";

/**
 * `lenient` where the way of the update is not known: what any subresource may change is let
 * through.
 */
function updateCauses(pod: Pod, oldPod: Pod, lenient: boolean): Cause[] {
  const spec = pod.spec ?? EMPTY;
  const old = oldPod.spec ?? EMPTY;
  if (sameTyped(POD_SPEC, spec, old)) return annotationCauses(pod, oldPod);
  const causes = [...annotationCauses(pod, oldPod), ...specCauses(pod, spec)];
  for (const list of ["containers", "initContainers"] as const) {
    if ((spec[list] ?? []).length === (old[list] ?? []).length) continue;
    return [...causes, forbidden(`spec.${list}`, COUNT)];
  }
  const gated = (old.schedulingGates ?? []).length > 0;
  causes.push(
    ...deadlineCauses(spec, old),
    ...checkTolerationAdditions(spec.tolerations, old.tolerations),
    ...gateCauses(spec, old),
    ...(gated ? gatedCauses(spec, old) : []),
  );
  const fixed = fixedPart(spec, old, gated, lenient);
  if (sameTyped(POD_SPEC, fixed, old)) return causes;
  const changes = changedFields(fixed, old);
  const detail = `pod updates may not change fields other than ${UPDATABLE}\n${changes}`;
  return [...causes, forbidden("spec", detail)];
}

function annotationCauses(pod: Pod, old: Pod): Cause[] {
  const next = pod.metadata?.annotations?.[MIRROR];
  const before = old.metadata?.annotations?.[MIRROR];
  if (next === before) return [];
  const verb = before === undefined ? "add" : "remove or update";
  return [forbidden(`metadata.annotations[${MIRROR}]`, `may not ${verb} mirror pod annotation`)];
}

function ephemeralCauses(pod: Pod, old: Pod): Cause[] {
  const spec = pod.spec ?? EMPTY;
  const causes = specCauses(pod, spec);
  if (old.metadata?.annotations?.[MIRROR] !== undefined) {
    return [forbidden("", "static pods do not support ephemeral containers")];
  }
  const at = "spec.ephemeralContainers";
  const next = new Map((spec.ephemeralContainers ?? []).map((each) => [each.name, each]));
  for (const before of old.spec?.ephemeralContainers ?? []) {
    const name = JSON.stringify(before.name);
    const after = next.get(before.name);
    if (after === undefined) {
      causes.push(forbidden(at, `existing ephemeral containers ${name} may not be removed\n`));
    } else if (!sameTyped(EPHEMERAL, after, before)) {
      causes.push(forbidden(at, `existing ephemeral containers ${name} may not be changed\n`));
    }
  }
  return causes;
}

/** Causes to refuse a pod; see `Kind.validate` for `subresource`. */
export function validatePod(pod: Pod, old: Pod | undefined, subresource?: string): Cause[] {
  if (!old) return createCauses(pod);
  switch (subresource) {
    case "status":
      return [...annotationCauses(pod, old), ...checkPodStatus(pod, old)];
    case "ephemeralcontainers":
      return ephemeralCauses(pod, old);
    case "resize":
      return [...specCauses(pod, pod.spec ?? EMPTY), ...checkResize(pod, old)];
    case "binding":
      return [];
    default:
      return updateCauses(pod, old, subresource === undefined);
  }
}

/** A binding of the `binding` subresource. */
export function validateBindingTarget(target: { kind?: string; name?: string }): Cause[] {
  const causes: Cause[] = [];
  if (target.kind && target.kind !== "Node") {
    causes.push(notSupported("target.kind", target.kind, ["Node", "<empty>"]));
  }
  if (!target.name) {
    causes.push({ reason: "FieldValueRequired", field: "target.name", message: "Required value" });
  }
  return causes;
}
