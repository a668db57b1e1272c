/** When a job's pods count as failed, and when the job has succeeded (KEP-3329, KEP-3998). */
import { type Cause, duplicate, invalid, required, tooLong, tooMany } from "#resources/field.ts";
import type {
  JobSpec,
  PodFailurePolicyOnExitCodesRequirement,
  PodFailurePolicyRule,
  SuccessPolicyRule,
} from "#resources/types.gen.ts";
import { byRule, each, notNegative, supported } from "#resources/validate/basic.ts";
import { qualifiedNameErrors } from "#resources/validate/text.ts";

const RULES_MAX = 20;
const PATTERNS_MAX = 20;
const EXIT_CODES_MAX = 255;
const INDEXES_BYTES_MAX = 64 * 1024;
const ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS = ["In", "NotIn"];
const STATUSES = ["False", "True", "Unknown"];

/** `valid values: ["a" "b"]`, as Go prints a list. */
const validValues = (words: readonly string[]): string =>
  `valid values: [${words.map((word) => JSON.stringify(word)).join(" ")}]`;

const word = (value: string | undefined, words: readonly string[], path: string): Cause[] =>
  value ? supported(value, words, path) : [required(path, validValues(words))];

function codeCauses(
  requirement: PodFailurePolicyOnExitCodesRequirement,
  containers: ReadonlySet<string>,
  path: string,
): Cause[] {
  const { operator, containerName, values = [] } = requirement;
  const at = `${path}.values`;
  const causes = word(operator, OPERATORS, `${path}.operator`);
  if (containerName !== undefined && !containers.has(containerName)) {
    const detail = "must be one of the container or initContainer names in the pod template";
    causes.push(invalid(`${path}.containerName`, containerName, detail));
  }
  if (values.length === 0) {
    causes.push(invalid(at, requirement.values ?? null, "at least one value is required"));
  }
  if (values.length > EXIT_CODES_MAX) causes.push(tooMany(at, values.length, EXIT_CODES_MAX));
  const seen = new Set<number>();
  for (const [index, value] of values.entries()) {
    if (operator === "In" && value === 0) {
      causes.push(invalid(`${at}[${index}]`, value, "must not be 0 for the In operator"));
    }
    if (seen.has(value)) causes.push(duplicate(`${at}[${index}]`, value));
    seen.add(value);
  }
  const ordered = values.every((value, index) => (values[index - 1] ?? value) <= value);
  return ordered ? causes : [...causes, invalid(at, values, "must be ordered")];
}

/** An error of a rule as a whole: upstream leaves the value out. */
const whole = (field: string, detail: string): Cause => ({
  reason: "FieldValueInvalid",
  field,
  message: `Invalid value: ${detail}`,
});

function ruleCauses(
  spec: JobSpec,
  rule: PodFailurePolicyRule,
  containers: ReadonlySet<string>,
  path: string,
): Cause[] {
  const { action, onExitCodes, onPodConditions = [] } = rule;
  const causes = word(action, ACTIONS, `${path}.action`);
  if (action === "FailIndex" && spec.backoffLimitPerIndex === undefined) {
    const detail = "requires the backoffLimitPerIndex to be set";
    causes.push(invalid(`${path}.action`, action, detail));
  }
  if (onExitCodes) causes.push(...codeCauses(onExitCodes, containers, `${path}.onExitCodes`));
  const at = `${path}.onPodConditions`;
  if (onPodConditions.length > PATTERNS_MAX) {
    causes.push(tooMany(at, onPodConditions.length, PATTERNS_MAX));
  }
  const patterns = each(onPodConditions, at, ({ type, status }, index) => [
    ...byRule(qualifiedNameErrors, type ?? "", `${index}.type`),
    ...word(status, STATUSES, `${index}.status`),
  ]);
  causes.push(...patterns);
  const both = Boolean(onExitCodes) && onPodConditions.length > 0;
  const none = !onExitCodes && onPodConditions.length === 0;
  if (both) {
    causes.push(whole(path, "specifying both OnExitCodes and OnPodConditions is not supported"));
  }
  if (none) {
    causes.push(whole(path, "specifying one of OnExitCodes and OnPodConditions is required"));
  }
  return causes;
}

export function checkFailurePolicy(spec: JobSpec, path: string): Cause[] {
  if (!spec.podFailurePolicy) return [];
  const { containers = [], initContainers = [] } = spec.template?.spec ?? {};
  const names = new Set([...containers, ...initContainers].map((container) => container.name));
  const rules = spec.podFailurePolicy.rules ?? [];
  const at = `${path}.rules`;
  return [
    ...(rules.length > RULES_MAX ? [tooMany(at, rules.length, RULES_MAX)] : []),
    ...each(rules, at, (rule, index) => ruleCauses(spec, rule, names, index)),
  ];
}

const unordered = (previous: number, current: number): string =>
  `non-increasing order, previous: ${previous}, current: ${current}`;

/** How many indexes `1,3-5` names; an error as text. */
function countIndexes(text: string, completions: number): number | string {
  if (text === "") return 0;
  let count = 0;
  let last = -1;
  for (const part of text.split(",")) {
    const limits = part.split("-");
    const [start = "", end = start] = limits;
    if (limits.length > 2) {
      const rule = "an index interval can have at most two parts separated by '-'";
      return `the fragment ${JSON.stringify(part)} violates the requirement that ${rule}`;
    }
    for (const limit of limits) {
      const shown = JSON.stringify(limit);
      if (!/^\d+$/.test(limit)) return `cannot convert string to integer for index: ${shown}`;
      if (Number(limit) >= completions) return `too large index: ${shown}`;
    }
    const first = Number(start);
    const final = Number(end);
    if (limits.length === 2 && first >= final) return unordered(first, final);
    if (first <= last) return unordered(last, first);
    count += final - first + 1;
    last = final;
  }
  return count;
}

function successCauses(rule: SuccessPolicyRule, completions: number, path: string): Cause[] {
  const { succeededCount, succeededIndexes } = rule;
  if (succeededCount === undefined && succeededIndexes === undefined) {
    const detail = "at least one of succeededCount or succeededIndexes must be specified";
    return [required(path, detail)];
  }
  const causes: Cause[] = [];
  const at = `${path}.succeededIndexes`;
  if (succeededIndexes !== undefined && succeededIndexes.length > INDEXES_BYTES_MAX) {
    causes.push(tooLong(at, INDEXES_BYTES_MAX));
  }
  const counted = succeededIndexes === undefined ? 0 : countIndexes(succeededIndexes, completions);
  if (typeof counted === "string") {
    causes.push(invalid(at, succeededIndexes, `error parsing succeededIndexes: ${counted}`));
  }
  const total = typeof counted === "string" ? 0 : counted;
  if (succeededCount === undefined) return causes;
  const countAt = `${path}.succeededCount`;
  causes.push(...notNegative(succeededCount, countAt));
  if (succeededCount > completions) {
    const most = `${completions} (the number of specified completions)`;
    const detail = `must be less than or equal to ${most}`;
    causes.push(invalid(countAt, succeededCount, detail));
  }
  if (succeededIndexes !== undefined && succeededCount > total) {
    const detail =
      `must be less than or equal to ${total} (the number of indexes in the specified ` +
      "succeededIndexes field)";
    causes.push(invalid(countAt, succeededCount, detail));
  }
  return causes;
}

export function checkSuccessPolicy(spec: JobSpec, path: string): Cause[] {
  if (!spec.successPolicy || spec.completionMode !== "Indexed") return [];
  const rules = spec.successPolicy.rules ?? [];
  const at = `${path}.rules`;
  if (rules.length === 0) {
    return [
      required(at, "at least one rules must be specified when the successPolicy is specified"),
    ];
  }
  return [
    ...(rules.length > RULES_MAX ? [tooMany(at, rules.length, RULES_MAX)] : []),
    ...each(rules, at, (rule, index) => successCauses(rule, spec.completions ?? 0, index)),
  ];
}
