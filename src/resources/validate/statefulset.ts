/** StatefulSets (apps validation; "StatefulSets"). */
import { sameTyped } from "#resources/equal.ts";
import { type Cause, forbidden, invalid, required } from "#resources/field.ts";
import type {
  PodTemplateSpec,
  StatefulSet,
  StatefulSetSpec,
  Volume,
} from "#resources/types.gen.ts";
import { byRule, each, requiredWord } from "#resources/validate/basic.ts";
import { checkClaimSpec } from "#resources/validate/claim.ts";
import { amountOf, checkAtMostAll, checkIntOrPercent } from "#resources/validate/intorpercent.ts";
import { shownAs } from "#resources/validate/shown.ts";
import { labelErrors } from "#resources/validate/text.ts";
import {
  checkOwnSelector,
  checkReplicaStatus,
  checkSelectedTemplate,
  counts,
} from "#resources/validate/workload.ts";

const UPDATES =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', " +
  "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and " +
  "'minReadySeconds' are forbidden";

const SPEC = "io.k8s.api.apps.v1.StatefulSetSpec";
const OF_STATEFUL_SET = { kind: "StatefulSet", detail: "" };

function strategyCauses(spec: StatefulSetSpec): Cause[] {
  const at = "spec.updateStrategy";
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  if (!type) return [required(at)];
  if (type === "OnDelete") {
    if (!rollingUpdate) return [];
    const detail = "only allowed for updateStrategy 'RollingUpdate'";
    return [invalid(`${at}.rollingUpdate`, rollingUpdate, detail)];
  }
  if (type !== "RollingUpdate") {
    const shown = {
      Type: type,
      RollingUpdate: shownAs(rollingUpdate, ["Partition", "MaxUnavailable"]),
    };
    return [invalid(at, shown, "must be 'RollingUpdate' or 'OnDelete'")];
  }
  if (!rollingUpdate) return [];
  const { maxUnavailable } = rollingUpdate;
  const causes = counts(rollingUpdate, ["partition"], `${at}.rollingUpdate`);
  if (maxUnavailable === undefined) return causes;
  const path = `${at}.rollingUpdate.maxUnavailable`;
  return [
    ...causes,
    ...checkIntOrPercent(maxUnavailable, path),
    ...(amountOf(maxUnavailable) === 0 ? [invalid(path, maxUnavailable, "cannot be 0")] : []),
    ...checkAtMostAll(maxUnavailable, path),
  ];
}

function policyCauses(spec: StatefulSetSpec): Cause[] {
  const policy = spec.podManagementPolicy;
  const at = "spec.podManagementPolicy";
  const causes: Cause[] = [];
  if (!policy) causes.push(required(at));
  else if (policy !== "OrderedReady" && policy !== "Parallel") {
    causes.push(invalid(at, policy, "must be 'OrderedReady' or 'Parallel'"));
  }
  const retention = spec.persistentVolumeClaimRetentionPolicy;
  const valid = ["Retain", "Delete"];
  const path = "spec.persistentVolumeClaimRetentionPolicy";
  return [
    ...causes,
    ...requiredWord(retention?.whenDeleted, valid, `${path}.whenDeleted`),
    ...requiredWord(retention?.whenScaled, valid, `${path}.whenScaled`),
  ];
}

/**
 * The template as pods will have it: with the volumes of the claims, and names from the controller.
 */
function effectiveTemplate(spec: StatefulSetSpec): PodTemplateSpec {
  const templates = spec.volumeClaimTemplates ?? [];
  const names = new Set(templates.map(({ metadata }) => metadata?.name ?? ""));
  const claims: Volume[] = [...names].map((name) => ({
    name,
    persistentVolumeClaim: { claimName: name },
  }));
  const {
    hostname: _,
    subdomain: _sub,
    volumes = [],
    ...rest
  } = spec.template?.spec ?? {
    containers: [],
  };
  const own = volumes.filter((volume) => !names.has(volume.name));
  return { ...spec.template, spec: { ...rest, volumes: [...claims, ...own] } };
}

const claimCauses = (spec: StatefulSetSpec): Cause[] =>
  each(spec.volumeClaimTemplates, "spec.volumeClaimTemplates", (claim, at) =>
    checkClaimSpec(claim.spec, `${at}.spec`),
  );

/** The spec without what an update may change. */
function fixedPart(spec: StatefulSetSpec | undefined): unknown {
  if (!spec) return undefined;
  const { selector, serviceName, podManagementPolicy, volumeClaimTemplates } = spec;
  return { selector, serviceName, podManagementPolicy, volumeClaimTemplates };
}

export function validateStatefulSet(
  set: StatefulSet,
  old: StatefulSet | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    const parts = [
      "readyReplicas",
      "currentReplicas",
      "updatedReplicas",
      "availableReplicas",
    ] as const;
    return checkReplicaStatus(set.status ?? { replicas: 0 }, parts);
  }
  const { spec } = set;
  if (!spec) return [required("spec.selector")];
  const { serviceName } = spec;
  const causes = [
    ...policyCauses(spec),
    ...strategyCauses(spec),
    ...(old ? [] : claimCauses(spec)),
    ...counts(spec, ["replicas", "minReadySeconds"], "spec"),
    ...counts(spec.ordinals ?? {}, ["start"], "spec.ordinals"),
    ...(!old && serviceName ? byRule(labelErrors, serviceName, "spec.serviceName") : []),
    ...checkOwnSelector(spec.selector, "statefulset", "spec.selector"),
    ...checkSelectedTemplate(spec.selector, effectiveTemplate(spec), OF_STATEFUL_SET),
  ];
  if (!old || sameTyped(SPEC, fixedPart(spec), fixedPart(old.spec))) return causes;
  return [...causes, forbidden("spec", UPDATES)];
}
