/** API priority and fairness (flowcontrol validation). */
import { type Cause, forbidden, invalid, notSupported, required } from "#resources/field.ts";
import type {
  FlowSchema,
  LimitResponse,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  PriorityLevelConfiguration,
  ResourcePolicyRule,
  Subject,
} from "#resources/types.gen.ts";
import { byRule, each, within } from "#resources/validate/basic.ts";
import { labelErrors, subdomainErrors } from "#resources/validate/text.ts";

const PRECEDENCE_MAX = 10_000;
const QUEUES_MAX = 10_000_000;
const HASH_BITS_MAX = 60;
const VERBS = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "proxy",
  "update",
  "watch",
];

/** A list that says something, and where a star says it all. */
function listCauses(
  list: readonly string[] | undefined,
  path: string,
  { empty, others }: { empty: string; others: string },
): Cause[] {
  if (!list || list.length === 0) return [required(path, empty)];
  if (list.length === 1 || !list.includes("*")) return [];
  return [invalid(path, list, `if '*' is present, must not specify other ${others}`)];
}

function verbCauses(verbs: readonly string[] | undefined, path: string): Cause[] {
  const causes = listCauses(verbs, path, {
    empty: "verbs must contain at least one value",
    others: "verbs",
  });
  const known = verbs?.every((verb) => verb === "*" || VERBS.includes(verb)) ?? true;
  return causes.length > 0 || known ? causes : [notSupported(path, verbs, VERBS)];
}

function resourceRule(rule: ResourcePolicyRule, at: string): Cause[] {
  const { namespaces = [], clusterScope } = rule;
  const path = `${at}.namespaces`;
  const causes = [
    ...verbCauses(rule.verbs, `${at}.verbs`),
    ...listCauses(rule.apiGroups, `${at}.apiGroups`, {
      empty: "resource rules must supply at least one api group",
      others: "api groups",
    }),
    ...listCauses(rule.resources, `${at}.resources`, {
      empty: "resource rules must supply at least one resource",
      others: "resources",
    }),
  ];
  if (namespaces.length === 0) {
    if (clusterScope === true) return causes;
    const detail = "resource rules that are not cluster scoped must supply at least one namespace";
    return [...causes, required(path, detail)];
  }
  if (namespaces.includes("*")) {
    if (namespaces.length === 1) return causes;
    const detail = "if '*' is present, must not specify other namespaces";
    return [...causes, invalid(path, namespaces, detail)];
  }
  const intro = "each member of this list must be '*' or a DNS-1123 label; ";
  const names = each(namespaces, path, (namespace, index) =>
    labelErrors(namespace).map((error) => invalid(index, namespace, intro + error)),
  );
  return [...causes, ...names];
}

function urlCauses(url: string, at: string): Cause[] {
  const wrong = (detail: string) => [invalid(at, url, detail)];
  if (url === "") return wrong("must not be empty");
  if (!url.startsWith("/")) return wrong("must start with slash");
  if (url.includes(" ")) return wrong("must not contain white-space");
  if (url.includes("//")) return wrong("must not contain double slash");
  const star = url.indexOf("*");
  const last = star === url.length - 1 && url.endsWith("/*");
  return star < 0 || last ? [] : wrong("wildcard can only do suffix matching");
}

const urlRule = (rule: NonResourcePolicyRule, at: string): Cause[] => [
  ...verbCauses(rule.verbs, `${at}.verbs`),
  ...listCauses(rule.nonResourceURLs, `${at}.nonResourceURLs`, {
    empty: "nonResourceURLs must contain at least one value",
    others: "non-resource URLs",
  }),
  ...(rule.nonResourceURLs?.includes("*")
    ? []
    : each(rule.nonResourceURLs, `${at}.nonResourceURLs`, urlCauses)),
];

const FIELDS = { ServiceAccount: "serviceAccount", User: "user", Group: "group" } as const;

function subjectCauses(subject: Subject, at: string): Cause[] {
  const { kind } = subject;
  const field = FIELDS[kind as keyof typeof FIELDS];
  if (field === undefined) {
    return [notSupported(`${at}.kind`, kind ?? "", ["Group", "ServiceAccount", "User"])];
  }
  const causes = Object.entries(FIELDS).flatMap(([other, name]) =>
    name !== field && subject[name]
      ? [forbidden(`${at}.${name}`, `${name} is forbidden when subject kind is not '${other}'`)]
      : [],
  );
  const value = subject[field];
  if (!value) {
    const detail = `${field} is required when subject kind is '${kind}'`;
    return [...causes, required(`${at}.${field}`, detail)];
  }
  if (!value.name) causes.push(required(`${at}.${field}.name`));
  if (field !== "serviceAccount") return causes;
  const { name, namespace } = subject.serviceAccount ?? {};
  const path = `${at}.serviceAccount`;
  if (name && name !== "*") causes.push(...byRule(subdomainErrors, name, `${path}.name`));
  if (namespace) return [...causes, ...byRule(labelErrors, namespace, `${path}.namespace`)];
  const detail = "must specify namespace for service account";
  return [...causes, required(`${path}.namespace`, detail)];
}

function ruleCauses(rule: PolicyRulesWithSubjects, at: string): Cause[] {
  const { subjects = [], resourceRules = [], nonResourceRules = [] } = rule;
  const causes: Cause[] = [];
  if (subjects.length === 0) {
    causes.push(required(`${at}.subjects`, "subjects must contain at least one value"));
  }
  if (resourceRules.length + nonResourceRules.length === 0) {
    const detail = "at least one of resourceRules and nonResourceRules has to be non-empty";
    causes.push(required(at, detail));
  }
  return [
    ...causes,
    ...each(subjects, `${at}.subjects`, subjectCauses),
    ...each(resourceRules, `${at}.resourceRules`, resourceRule),
    ...each(nonResourceRules, `${at}.nonResourceRules`, urlRule),
  ];
}

export function validateFlowSchema(
  flow: FlowSchema,
  _old: FlowSchema | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") return [];
  const { matchingPrecedence: precedence = 0, distinguisherMethod, rules } = flow.spec ?? {};
  const at = "spec.matchingPrecedence";
  const causes: Cause[] = [];
  if (precedence <= 0) causes.push(invalid(at, precedence, "must be a positive value"));
  if (precedence > PRECEDENCE_MAX) {
    causes.push(invalid(at, precedence, `must not be greater than ${PRECEDENCE_MAX}`));
  }
  if (precedence === 1 && flow.metadata?.name !== "exempt") {
    const detail = "only the schema named 'exempt' may have matchingPrecedence 1";
    causes.push(invalid(at, precedence, detail));
  }
  const level = flow.spec?.priorityLevelConfiguration?.name;
  const levelAt = "spec.priorityLevelConfiguration.name";
  const methods = ["ByNamespace", "ByUser"];
  return [
    ...causes,
    ...(distinguisherMethod && !methods.includes(distinguisherMethod.type)
      ? [
          notSupported(
            "spec.distinguisherMethod.type",
            { Type: distinguisherMethod.type ?? "" },
            methods,
          ),
        ]
      : []),
    ...(level
      ? byRule(subdomainErrors, level, levelAt)
      : [required(levelAt, "must reference a priority level")]),
    ...each(rules, "spec.rules", ruleCauses),
  ];
}

/** Bits of a hash that dealing a hand takes (shuffle sharding). */
const entropyBits = (queues: number, hand: number): number =>
  Math.ceil(
    Array.from({ length: hand }, (_, index) => Math.log2(queues - index)).reduce(
      (sum, bits) => sum + bits,
      0,
    ),
  );

function queueCauses(response: LimitResponse, at: string): Cause[] {
  const { type, queuing } = response;
  if (type === "Reject") {
    if (!queuing) return [];
    const detail = "must be nil if limited.limitResponse.type is not Limited";
    return [forbidden(`${at}.queuing`, detail)];
  }
  if (type !== "Queue") return [notSupported(`${at}.type`, type ?? "", ["Queue", "Reject"])];
  if (!queuing) {
    const detail = "must not be empty if limited.limitResponse.type is Limited";
    return [required(`${at}.queuing`, detail)];
  }
  const { queueLengthLimit = 0, queues = 0, handSize = 0 } = queuing;
  const path = `${at}.queuing`;
  const causes = Object.entries({ queueLengthLimit, queues, handSize })
    .filter(([, value]) => value <= 0)
    .map(([field, value]) => invalid(`${path}.${field}`, value, "must be positive"));
  if (queues > QUEUES_MAX) {
    causes.push(invalid(`${path}.queues`, queues, `must not be greater than ${QUEUES_MAX}`));
  }
  if (handSize <= 0) return causes;
  if (handSize > queues) {
    const detail = `should not be greater than queues (${queues})`;
    causes.push(invalid(`${path}.handSize`, handSize, detail));
  } else if (entropyBits(queues, handSize) > HASH_BITS_MAX) {
    const detail =
      `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be ` +
      `greater than ${HASH_BITS_MAX}`;
    causes.push(invalid(`${path}.handSize`, handSize, detail));
  }
  return causes;
}

const shareCauses = (
  level: { nominalConcurrencyShares?: number; lendablePercent?: number },
  at: string,
): Cause[] => [
  ...((level.nominalConcurrencyShares ?? 0) < 0
    ? [
        invalid(
          `${at}.nominalConcurrencyShares`,
          level.nominalConcurrencyShares,
          "must be a non-negative integer",
        ),
      ]
    : []),
  ...within(level.lendablePercent, [0, 100], `${at}.lendablePercent`),
];

export function validatePriorityLevel(
  level: PriorityLevelConfiguration,
  _old: PriorityLevelConfiguration | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") return [];
  const { type = "", exempt, limited } = level.spec ?? {};
  const causes: Cause[] = [];
  if ((level.metadata?.name === "exempt") !== (type === "Exempt")) {
    const detail = "must be 'Exempt' if and only if `name` is 'exempt'";
    causes.push(invalid("spec.type", type, detail));
  }
  if (type === "Exempt") {
    if (limited) causes.push(forbidden("spec.limited", "must be nil if the type is not Limited"));
    return exempt ? [...causes, ...shareCauses(exempt, "spec.exempt")] : causes;
  }
  if (type !== "Limited") {
    return [...causes, notSupported("spec.type", type, ["Exempt", "Limited"])];
  }
  if (exempt) causes.push(forbidden("spec.exempt", "must be nil if the type is Limited"));
  if (!limited) {
    return [...causes, required("spec.limited", "must not be empty when type is Limited")];
  }
  const { limitResponse, borrowingLimitPercent: borrowing } = limited;
  if (borrowing !== undefined && borrowing < 0) {
    const detail = "if specified, must be a non-negative integer";
    causes.push(invalid("spec.limited.borrowingLimitPercent", borrowing, detail));
  }
  return [
    ...causes,
    ...shareCauses(limited, "spec.limited"),
    ...queueCauses(limitResponse ?? { type: "" }, "spec.limited.limitResponse"),
  ];
}
