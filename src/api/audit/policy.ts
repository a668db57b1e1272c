/**
 * What of which request is written into the audit log: the first rule that fits decides.
 * https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#audit-policy
 */
import { parse } from "yaml";
import { z } from "zod";
import type { UserInfo } from "#api/core.ts";
import { messageOf } from "#base/errors.ts";

export const LEVELS = ["None", "Metadata", "Request", "RequestResponse"] as const;
export const STAGES = ["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"] as const;
export type Level = (typeof LEVELS)[number];
export type Stage = (typeof STAGES)[number];

const texts = z.array(z.string()).default([]);
const stages = z.array(z.enum(STAGES)).default([]);

const ruleSchema = z
  .strictObject({
    level: z.enum(LEVELS),
    users: texts,
    userGroups: texts,
    verbs: texts,
    resources: z
      .array(
        z.strictObject({ group: z.string().default(""), resources: texts, resourceNames: texts }),
      )
      .default([]),
    namespaces: texts,
    nonResourceURLs: texts,
    omitStages: stages,
    omitManagedFields: z.boolean().optional(),
  })
  .refine(
    ({ resources, namespaces, nonResourceURLs }) =>
      nonResourceURLs.length === 0 || resources.length + namespaces.length === 0,
    "a rule is either for resources or for nonResourceURLs",
  )
  .refine(
    ({ resources }) =>
      resources.every((each) => each.resourceNames.length === 0 || each.resources.length > 0),
    "resourceNames need resources",
  );

const policySchema = z.strictObject({
  apiVersion: z.literal("audit.k8s.io/v1"),
  kind: z.literal("Policy"),
  metadata: z.looseObject({}).optional(),
  omitStages: stages,
  omitManagedFields: z.boolean().default(false),
  rules: z.array(ruleSchema).min(1, "must have at least one rule"),
});

type Rule = z.output<typeof ruleSchema>;
export type AuditPolicy = z.output<typeof policySchema>;

/** What a rule may look at. */
export interface Asked {
  readonly user: UserInfo;
  readonly verb: string;
  readonly path: string;
  /** Absent for what is no resource. */
  readonly target?:
    | {
        readonly group: string;
        readonly plural: string;
        readonly subresource?: string;
        readonly namespace?: string;
        readonly name?: string;
      }
    | undefined;
}

export interface Verdict {
  readonly level: Level;
  readonly omitStages: ReadonlySet<Stage>;
  readonly omitManagedFields: boolean;
}

/** @throws Error in one line with the place of the fault. */
export function parsePolicy(text: string): AuditPolicy {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new Error(`not YAML: ${messageOf(error).split("\n")[0]}`);
  }
  const result = policySchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new Error(`${issue?.path.join(".") || "policy"}: ${issue?.message}`);
}

/** A pattern is a resource, one with its subresource, or has a star for either; or a star. */
function isOf(pattern: string, plural: string, subresource: string | undefined): boolean {
  const full = subresource === undefined ? plural : `${plural}/${subresource}`;
  if (pattern === "*" || pattern === full) return true;
  if (subresource === undefined) return false;
  return pattern === `${plural}/*` || pattern === `*/${subresource}`;
}

function fitsResource(rule: Rule, target: NonNullable<Asked["target"]>): boolean {
  const { namespaces, resources } = rule;
  if (namespaces.length > 0 && !namespaces.includes(target.namespace ?? "")) return false;
  if (resources.length === 0) return true;
  return resources.some(
    (each) =>
      each.group === target.group &&
      (each.resources.length === 0 ||
        each.resources.some((pattern) => isOf(pattern, target.plural, target.subresource))) &&
      (each.resourceNames.length === 0 || each.resourceNames.includes(target.name ?? "")),
  );
}

const fitsPath = (pattern: string, path: string): boolean =>
  pattern === "*" ||
  pattern === path ||
  (pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1)));

function fits(rule: Rule, asked: Asked): boolean {
  const { users, userGroups, verbs, resources, namespaces, nonResourceURLs } = rule;
  if (users.length > 0 && !users.includes(asked.user.name)) return false;
  if (userGroups.length > 0 && !userGroups.some((each) => asked.user.groups.includes(each))) {
    return false;
  }
  if (verbs.length > 0 && !verbs.includes("*") && !verbs.includes(asked.verb)) return false;
  if (resources.length + namespaces.length > 0) {
    return asked.target !== undefined && fitsResource(rule, asked.target);
  }
  if (nonResourceURLs.length === 0) return true;
  return asked.target === undefined && nonResourceURLs.some((each) => fitsPath(each, asked.path));
}

/** What no rule fits is not written. */
export function judge(policy: AuditPolicy, asked: Asked): Verdict {
  const rule = policy.rules.find((each) => fits(each, asked));
  return {
    level: rule?.level ?? "None",
    omitStages: new Set([...policy.omitStages, ...(rule?.omitStages ?? [])]),
    omitManagedFields: rule?.omitManagedFields ?? policy.omitManagedFields,
  };
}
