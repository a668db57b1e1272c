/** Jobs (batch validation; "Jobs"). */
import { sameField, sameTyped } from "#resources/equal.ts";
import { type Cause, invalid, notSupported, required, tooLong } from "#resources/field.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { Job, JobSpec, ObjectMeta, PodSpec, PodTemplateSpec } from "#resources/types.gen.ts";
import { byRule, immutable, supported } from "#resources/validate/basic.ts";
import { checkFailurePolicy, checkSuccessPolicy } from "#resources/validate/jobpolicy.ts";
import { checkTemplate } from "#resources/validate/podspec.ts";
import { checkSelector, shownSelector } from "#resources/validate/selector.ts";
import { labelErrors, subdomainErrors } from "#resources/validate/text.ts";
import { checkSelected, counts } from "#resources/validate/workload.ts";

const PARALLELISM_MAX = 100_000;
const COMPLETIONS_SOFT_MAX = 100_000;
const HIGH_COMPLETIONS_MAX = 10_000;
const MANAGED_BY_BYTES_MAX = 63;

const NUMBERS = [
  "parallelism",
  "completions",
  "activeDeadlineSeconds",
  "backoffLimit",
  "ttlSecondsAfterFinished",
  "backoffLimitPerIndex",
  "maxFailedIndexes",
] as const;

function managerCauses(manager: string | undefined, path: string): Cause[] {
  if (manager === undefined) return [];
  if (manager === "") return [required(path)];
  const slash = manager.indexOf("/");
  const host = manager.slice(0, Math.max(slash, 0));
  const causes: Cause[] = [];
  if (host === "" || slash === manager.length - 1) {
    const detail = 'must be a domain-prefixed path (such as "acme.io/foo")';
    causes.push(invalid(path, manager, detail));
  } else {
    causes.push(...byRule(subdomainErrors, host, path));
  }
  if (manager.length > MANAGED_BY_BYTES_MAX) causes.push(tooLong(path, MANAGED_BY_BYTES_MAX));
  return causes;
}

/** Jobs with so many indexes that each of their numbers is bounded (KEP-3850). */
function highCauses(spec: JobSpec, path: string): Cause[] {
  const { completions = 0, parallelism = 0, maxFailedIndexes } = spec;
  if (completions <= COMPLETIONS_SOFT_MAX || spec.backoffLimitPerIndex === undefined) return [];
  const used = "used with backoff limit per index";
  const above = `completions are above ${COMPLETIONS_SOFT_MAX} and ${used}`;
  const detail = `must be less than or equal to ${HIGH_COMPLETIONS_MAX} when ${above}`;
  const causes: Cause[] = [];
  if (maxFailedIndexes === undefined) {
    const missing = `must be specified when completions is above ${COMPLETIONS_SOFT_MAX}`;
    causes.push(required(`${path}.maxFailedIndexes`, missing));
  } else if (maxFailedIndexes > HIGH_COMPLETIONS_MAX) {
    causes.push(invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, detail));
  }
  if (parallelism > HIGH_COMPLETIONS_MAX) {
    causes.push(invalid(`${path}.parallelism`, parallelism, detail));
  }
  return causes;
}

function indexedCauses(spec: JobSpec, path: string): Cause[] {
  const { completions, parallelism = 0, maxFailedIndexes } = spec;
  const causes: Cause[] = [];
  if (completions === undefined) {
    causes.push(required(`${path}.completions`, "when completion mode is Indexed"));
  }
  if (parallelism > PARALLELISM_MAX) {
    const when = "when completion mode is Indexed";
    const detail = `must be less than or equal to ${PARALLELISM_MAX} ${when}`;
    causes.push(invalid(`${path}.parallelism`, parallelism, detail));
  }
  if (maxFailedIndexes !== undefined && maxFailedIndexes > (completions ?? Infinity)) {
    const detail = "must be less than or equal to completions";
    causes.push(invalid(`${path}.maxFailedIndexes`, maxFailedIndexes, detail));
  }
  return [...causes, ...highCauses(spec, path)];
}

function modeCauses(spec: JobSpec, path: string): Cause[] {
  const causes = supported(
    spec.completionMode,
    ["NonIndexed", "Indexed"],
    `${path}.completionMode`,
  );
  if (spec.completionMode === "Indexed") return [...causes, ...indexedCauses(spec, path)];
  const known = causes.length === 0;
  for (const field of ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] as const) {
    if (spec[field] === undefined) continue;
    // Of a mode that there is not upstream only names the policy.
    if (!known && field !== "successPolicy") continue;
    const shown = field === "successPolicy" ? shownPolicy(spec.successPolicy) : spec[field];
    causes.push(invalid(`${path}.${field}`, shown, "requires indexed completion mode"));
  }
  return causes;
}

/** As upstream shows it, by the names of its own type. */
const shownPolicy = (policy: JobSpec["successPolicy"]) => ({
  Rules:
    policy?.rules?.map(({ succeededIndexes, succeededCount }) => ({
      SucceededIndexes: succeededIndexes ?? null,
      SucceededCount: succeededCount ?? null,
    })) ?? null,
});

function restartCauses(spec: JobSpec, path: string): Cause[] {
  const policy = spec.template?.spec?.restartPolicy;
  const at = `${path}.template.spec.restartPolicy`;
  if (!policy || policy === "Always") return [required(at, 'valid values: "OnFailure", "Never"')];
  if (policy !== "OnFailure" && policy !== "Never") {
    return [notSupported(at, policy, ["OnFailure", "Never"])];
  }
  if (!spec.podFailurePolicy || policy === "Never") return [];
  const detail = 'only "Never" is supported when podFailurePolicy is specified';
  return [invalid(at, policy, detail)];
}

/** All but the selector, which a job's template has none of. */
export function checkJobSpec(spec: JobSpec, path: string): Cause[] {
  const causes = counts(spec, NUMBERS, path);
  if (spec.maxFailedIndexes !== undefined && spec.backoffLimitPerIndex === undefined) {
    const detail = "when maxFailedIndexes is specified";
    causes.push(required(`${path}.backoffLimitPerIndex`, detail));
  }
  const replacement = spec.podFailurePolicy ? ["Failed"] : ["Failed", "TerminatingOrFailed"];
  return [
    ...causes,
    ...managerCauses(spec.managedBy, `${path}.managedBy`),
    ...modeCauses(spec, path),
    ...checkFailurePolicy(spec, `${path}.podFailurePolicy`),
    ...checkSuccessPolicy(spec, `${path}.successPolicy`),
    ...supported(spec.podReplacementPolicy, replacement, `${path}.podReplacementPolicy`),
    ...checkTemplate(spec.template, `${path}.template`),
    ...restartCauses(spec, path),
  ];
}

/** What the API itself wrote on creation must be what it would write. */
function generatedCauses(job: Job): Cause[] {
  const { metadata = {}, spec } = job;
  if (!spec?.selector || spec.manualSelector === true) return [];
  const labels: Record<string, string> = {
    "controller-uid": metadata.uid ?? "",
    "job-name": metadata.name ?? "",
    "batch.kubernetes.io/controller-uid": metadata.uid ?? "",
    "batch.kubernetes.io/job-name": metadata.name ?? "",
  };
  const actual = spec.template.metadata?.labels ?? {};
  const at = "spec.template.metadata.labels";
  const causes = Object.entries(labels).flatMap(([key, value]) => {
    if (actual[key] === undefined) return [required(`${at}[${key}]`, `must be '${value}'`)];
    if (actual[key] === value) return [];
    return [invalid(`${at}[${key}]`, actual, `must be '${value}'`)];
  });
  if (checkSelector(spec.selector, "").length > 0) return causes;
  if (matchLabelSelector(spec.selector)(labels)) return causes;
  return [
    ...causes,
    invalid("spec.selector", shownSelector(spec.selector), "`selector` not auto-generated"),
  ];
}

function hostnameCauses(job: Job): Cause[] {
  const { completionMode, completions = 0 } = job.spec ?? {};
  if (completionMode !== "Indexed" || completions <= 0) return [];
  const name = job.metadata?.name ?? "";
  const last = `${name}-${completions - 1}`;
  if (labelErrors(last).length === 0) return [];
  const detail = `will not able to create pod with invalid DNS label: ${last}`;
  return [invalid("metadata.name", name, detail)];
}

const NO_PODS: PodSpec = { containers: [] };

/** Of a suspended job that has not started, what says where pods go may change (KEP-2926). */
function withDirectives(
  template: PodTemplateSpec | undefined,
  old: PodTemplateSpec | undefined,
): PodTemplateSpec {
  const { nodeSelector, tolerations, schedulingGates, affinity } = old?.spec ?? NO_PODS;
  const own = template?.spec?.affinity;
  const nodeAffinity = affinity?.nodeAffinity;
  const alone = !affinity && !own?.podAffinity && !own?.podAntiAffinity;
  const both = { affinity: { ...own, nodeAffinity }, nodeSelector, tolerations, schedulingGates };
  const spec = { ...template?.spec, ...both, ...(alone && { affinity: undefined }) } as PodSpec;
  const { labels, annotations } = old?.metadata ?? {};
  const metadata = { ...template?.metadata, labels, annotations } as ObjectMeta;
  return { ...template, spec, metadata };
}

function templateCauses(job: Job, old: Job): Cause[] {
  const free = old.spec?.suspend === true && !old.status?.startTime;
  const next = job.spec?.template;
  const before = old.spec?.template;
  const fixed = free ? withDirectives(next, before) : next;
  const same = sameTyped("io.k8s.api.core.v1.PodTemplateSpec", fixed, before);
  return same ? [] : [invalid("spec.template", next, "field is immutable")];
}

function completionsCauses(spec: JobSpec, old: JobSpec): Cause[] {
  const at = "spec.completions";
  if (spec.completionMode !== "Indexed") return immutable(spec.completions, old.completions, at);
  const { completions, parallelism } = spec;
  if (completions === undefined || completions === old.completions) return [];
  if (completions === parallelism) return [];
  return [invalid(at, completions, "can only be modified in tandem with spec.parallelism")];
}

const JOB_SPEC = "io.k8s.api.batch.v1.JobSpec";
const FIXED = [
  "selector",
  "completionMode",
  "podFailurePolicy",
  "backoffLimitPerIndex",
  "managedBy",
  "successPolicy",
] as const;

function updateCauses(job: Job, spec: JobSpec, oldJob: Job): Cause[] {
  const old = oldJob.spec;
  if (!old) return [];
  return [
    ...completionsCauses(spec, old),
    ...templateCauses(job, oldJob),
    ...FIXED.filter((field) => !sameField(JOB_SPEC, field, spec, old)).map((field) =>
      invalid(`spec.${field}`, spec[field] ?? null, "field is immutable"),
    ),
  ];
}

export function validateJob(job: Job, old: Job | undefined, subresource?: string): Cause[] {
  if (subresource === "status") {
    return counts(job.status ?? {}, ["active", "succeeded", "failed", "ready"], "status");
  }
  const { spec } = job;
  if (!spec) return [required("spec.template")];
  return [
    ...(old ? updateCauses(job, spec, old) : [...generatedCauses(job), ...hostnameCauses(job)]),
    ...checkJobSpec(spec, "spec"),
    ...(spec.selector
      ? checkSelector(spec.selector, "spec.selector")
      : [required("spec.selector")]),
    ...checkSelected(spec.selector, spec.template, "spec.template"),
  ];
}
