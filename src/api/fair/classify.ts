/** Which level a request belongs to, and which flow of it: by the first FlowSchema that fits. */

import type { UserInfo } from "#api/core.ts";
import { compoundKey } from "#base/key.ts";
import type { FlowSchema } from "#resources/types.gen.ts";

export interface Asked {
  readonly user: UserInfo;
  readonly verb: string;
  readonly path: string;
  readonly target:
    | {
        readonly group: string;
        readonly plural: string;
        readonly subresource?: string;
        readonly namespace?: string;
      }
    | undefined;
}

export interface Sorted {
  readonly level: string;
  /** Requests of one flow share their turn. */
  readonly flow: string;
}

type Rules = NonNullable<NonNullable<FlowSchema["spec"]>["rules"]>[number];
type Subject = Rules["subjects"][number];

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes("*") || list.includes(value));

function isSubject(subject: Subject, user: UserInfo): boolean {
  switch (subject.kind) {
    case "User":
      return subject.user?.name === "*" || subject.user?.name === user.name;
    case "Group":
      return subject.group?.name === "*" || user.groups.includes(subject.group?.name ?? "");
    case "ServiceAccount": {
      const { namespace = "", name = "" } = subject.serviceAccount ?? {};
      const prefix = `system:serviceaccount:${namespace}:`;
      return name === "*" ? user.name.startsWith(prefix) : user.name === prefix + name;
    }
    default:
      return false;
  }
}

const isPath = (pattern: string, path: string): boolean =>
  pattern === "*" ||
  pattern === path ||
  (pattern.endsWith("/*") && path.startsWith(pattern.slice(0, -1)));

function fitsRequest(rules: Rules, { verb, path, target }: Asked): boolean {
  if (target === undefined) {
    return (rules.nonResourceRules ?? []).some(
      (rule) => has(rule.verbs, verb) && rule.nonResourceURLs.some((each) => isPath(each, path)),
    );
  }
  const { group, plural, subresource, namespace } = target;
  const resource = subresource === undefined ? plural : `${plural}/${subresource}`;
  return (rules.resourceRules ?? []).some(
    (rule) =>
      has(rule.verbs, verb) &&
      has(rule.apiGroups, group) &&
      has(rule.resources, resource) &&
      (namespace === undefined ? rule.clusterScope === true : has(rule.namespaces, namespace)),
  );
}

const fits = (rules: Rules, asked: Asked): boolean =>
  rules.subjects.some((subject) => isSubject(subject, asked.user)) && fitsRequest(rules, asked);

/** By precedence, then by name: how `classify` wants them. */
export function inOrder(schemas: readonly FlowSchema[]): FlowSchema[] {
  const precedence = ({ spec }: FlowSchema): number => spec?.matchingPrecedence ?? 1000;
  const name = ({ metadata }: FlowSchema): string => metadata?.name ?? "";
  return [...schemas].sort((a, b) => precedence(a) - precedence(b) || (name(a) < name(b) ? -1 : 1));
}

/** Undefined where no schema fits. Schemas whose level is not there do not count. */
export function classify(
  schemas: readonly FlowSchema[],
  asked: Asked,
  isLevel: (name: string) => boolean,
): Sorted | undefined {
  for (const { metadata, spec } of schemas) {
    const level = spec?.priorityLevelConfiguration.name ?? "";
    if (!isLevel(level) || !spec?.rules?.some((rules) => fits(rules, asked))) continue;
    const method = spec.distinguisherMethod?.type;
    const own =
      method === "ByUser"
        ? asked.user.name
        : method === "ByNamespace"
          ? asked.target?.namespace
          : "";
    return { level, flow: compoundKey(metadata?.name, own) };
  }
  return undefined;
}
