/** Deployments, ReplicaSets, DaemonSets, StatefulSets and their revisions (apps validation). */

import { isDeepStrictEqual } from "node:util";
import { LABEL_SELECTOR, sameTyped } from "#resources/equal.ts";
import { type Cause, forbidden, invalid, notSupported, required } from "#resources/field.ts";
import type {
  ControllerRevision,
  DaemonSet,
  DaemonSetSpec,
  Deployment,
  DeploymentSpec,
  LabelSelector,
  ReplicaSet,
} from "#resources/types.gen.ts";
import { notNegative } from "#resources/validate/basic.ts";
import { amountOf, checkAtMostAll, checkIntOrPercent } from "#resources/validate/intorpercent.ts";
import { checkSelector, shownSelector } from "#resources/validate/selector.ts";
import { shownAs } from "#resources/validate/shown.ts";
import {
  checkLastingTemplate,
  checkNotEmpty,
  checkOwnSelector,
  checkReplicaStatus,
  checkSelected,
  checkSelectedTemplate,
  counts,
} from "#resources/validate/workload.ts";

const OF_REPLICA_SET = { kind: "ReplicaSet", detail: "invalid label selector" };

/** As upstream shows it, by the names of its own type. */
const shownStrategy = (strategy: { type?: string; rollingUpdate?: object } = {}) => ({
  Type: strategy.type ?? "",
  RollingUpdate: shownAs(strategy.rollingUpdate, ["MaxUnavailable", "MaxSurge"]),
});

function deploymentStrategy(spec: DeploymentSpec): Cause[] {
  const at = "spec.strategy";
  const { type, rollingUpdate } = spec.strategy ?? {};
  if (type === "Recreate") {
    if (!rollingUpdate) return [];
    const detail = "may not be specified when strategy `type` is 'Recreate'";
    return [forbidden(`${at}.rollingUpdate`, detail)];
  }
  if (type !== "RollingUpdate") {
    return [notSupported(at, shownStrategy(spec.strategy), ["Recreate", "RollingUpdate"])];
  }
  const { maxUnavailable, maxSurge } = rollingUpdate ?? {};
  const unavailableAt = `${at}.rollingUpdate.maxUnavailable`;
  const causes = [
    ...checkIntOrPercent(maxUnavailable, unavailableAt),
    ...checkIntOrPercent(maxSurge, `${at}.rollingUpdate.maxSurge`),
  ];
  if (amountOf(maxUnavailable) === 0 && amountOf(maxSurge) === 0) {
    causes.push(invalid(unavailableAt, maxUnavailable ?? 0, "may not be 0 when `maxSurge` is 0"));
  }
  return [...causes, ...checkAtMostAll(maxUnavailable, unavailableAt)];
}

function progressCauses(spec: DeploymentSpec): Cause[] {
  const seconds = spec.progressDeadlineSeconds;
  if (seconds === undefined) return [];
  const at = "spec.progressDeadlineSeconds";
  const causes = notNegative(seconds, at);
  if (seconds > (spec.minReadySeconds ?? 0)) return causes;
  return [...causes, invalid(at, seconds, "must be greater than minReadySeconds")];
}

function fixedSelector(next: LabelSelector | undefined, old: LabelSelector | undefined): Cause[] {
  if (sameTyped(LABEL_SELECTOR, next, old)) return [];
  return [invalid("spec.selector", next ? shownSelector(next) : null, "field is immutable")];
}

export function validateDeployment(
  deployment: Deployment,
  old: Deployment | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    const parts = ["updatedReplicas", "readyReplicas", "availableReplicas"] as const;
    return checkReplicaStatus(deployment.status ?? {}, parts);
  }
  const { spec } = deployment;
  if (!spec) return [required("spec.selector")];
  return [
    ...counts(spec, ["replicas", "minReadySeconds", "revisionHistoryLimit"], "spec"),
    ...checkOwnSelector(spec.selector, "deployment", "spec.selector"),
    ...checkSelectedTemplate(spec.selector, spec.template, OF_REPLICA_SET),
    ...deploymentStrategy(spec),
    ...progressCauses(spec),
    ...(old ? fixedSelector(spec.selector, old.spec?.selector) : []),
  ];
}

export function validateReplicaSet(
  set: ReplicaSet,
  old: ReplicaSet | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    const parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"] as const;
    return checkReplicaStatus(set.status ?? { replicas: 0 }, parts);
  }
  const { spec } = set;
  if (!spec) return [required("spec.selector")];
  return [
    ...counts(spec, ["replicas", "minReadySeconds"], "spec"),
    // Upstream says deployment here too.
    ...checkOwnSelector(spec.selector, "deployment", "spec.selector"),
    ...checkSelectedTemplate(spec.selector, spec.template, OF_REPLICA_SET),
    ...(old ? fixedSelector(spec.selector, old.spec?.selector) : []),
  ];
}

function daemonStrategy(spec: DaemonSetSpec): Cause[] {
  const at = "spec.updateStrategy";
  const { type, rollingUpdate } = spec.updateStrategy ?? {};
  if (type === "OnDelete") return [];
  if (type !== "RollingUpdate") {
    return [notSupported(at, shownStrategy(spec.updateStrategy), ["RollingUpdate", "OnDelete"])];
  }
  if (!rollingUpdate) return [required(`${at}.rollingUpdate`)];
  const { maxUnavailable, maxSurge } = rollingUpdate;
  const unavailableAt = `${at}.rollingUpdate.maxUnavailable`;
  const surgeAt = `${at}.rollingUpdate.maxSurge`;
  const causes = [
    ...checkIntOrPercent(maxUnavailable, unavailableAt),
    ...checkIntOrPercent(maxSurge, surgeAt),
    ...checkAtMostAll(maxUnavailable, unavailableAt),
    ...checkAtMostAll(maxSurge, surgeAt),
  ];
  const surges = amountOf(maxSurge) !== 0;
  if (amountOf(maxUnavailable) !== 0) {
    if (!surges) return causes;
    return [
      ...causes,
      invalid(surgeAt, maxSurge, "may not be set when maxUnavailable is non-zero"),
    ];
  }
  return surges ? causes : [...causes, required(unavailableAt, "cannot be 0 when maxSurge is 0")];
}

const DAEMON_COUNTS = [
  "currentNumberScheduled",
  "numberMisscheduled",
  "desiredNumberScheduled",
  "numberReady",
  "updatedNumberScheduled",
  "numberAvailable",
  "numberUnavailable",
  "collisionCount",
  "observedGeneration",
] as const;

export function validateDaemonSet(
  set: DaemonSet,
  old: DaemonSet | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    return set.status ? counts(set.status, DAEMON_COUNTS, "status") : [];
  }
  const { spec } = set;
  if (!spec) return [required("spec.selector")];
  return [
    ...(old ? fixedSelector(spec.selector, old.spec?.selector) : []),
    ...checkSelector(spec.selector, "spec.selector"),
    ...(spec.selector ? checkNotEmpty(spec.selector, "daemonset", "spec.selector") : []),
    ...checkSelected(spec.selector, spec.template, "spec.template"),
    ...checkLastingTemplate(spec.template, "DaemonSet", "spec.template"),
    ...counts(spec, ["minReadySeconds", "revisionHistoryLimit"], "spec"),
    ...daemonStrategy(spec),
  ];
}

export function validateControllerRevision(
  revision: ControllerRevision,
  old: ControllerRevision | undefined,
): Cause[] {
  const { data } = revision;
  const causes = notNegative(revision.revision, "revision");
  if (old) {
    if (isDeepStrictEqual(data, old.data)) return causes;
    return [...causes, invalid("data", data, "field is immutable")];
  }
  if (data === undefined || data === null)
    return [...causes, required("data", "data is mandatory")];
  if (typeof data === "object" && !Array.isArray(data)) return causes;
  return [...causes, required("data", "data must be a valid JSON object")];
}
