/**
 * What an object uses of a quota (kubernetes.io/docs/concepts/policy/resource-quotas): for the
 * admission that refuses and for the controller that recounts.
 */

import type { Kind } from "#resources/kind.ts";
import { resourceOf } from "#resources/kind.ts";
import type { ApiObject } from "#resources/meta.ts";
import { type Amounts, amountOf, podRequests } from "#resources/podrequests.ts";
import { qosClass } from "#resources/qos.ts";
import { canonicalQuantity } from "#resources/quantity.ts";
import type {
  Container,
  PersistentVolumeClaim,
  Pod,
  ResourceQuota,
  ScopedResourceSelectorRequirement,
  Service,
} from "#resources/types.gen.ts";

/** Resources counted by their own short name too. */
const PLAIN = new Set(["configmaps", "secrets", "replicationcontrollers", "resourcequotas"]);

const limitsAsRequests = (container: Container): Container => ({
  ...container,
  resources: container.resources?.limits ? { requests: container.resources.limits } : {},
});

function podLimits(pod: Pod): Amounts {
  const { containers = [], initContainers = [], resources, overhead } = pod.spec ?? {};
  return podRequests({
    spec: {
      containers: containers.map(limitsAsRequests),
      initContainers: initContainers.map(limitsAsRequests),
      ...(resources?.limits && { resources: { requests: resources.limits } }),
      ...(overhead && { overhead }),
    },
  });
}

const hasEnded = ({ status }: Pod): boolean =>
  status?.phase === "Succeeded" || status?.phase === "Failed";

const isOver = (until: string | undefined, now: number): boolean =>
  until !== undefined && Date.parse(until) <= now;

function heldByPod(pod: Pod): Amounts {
  const out: Amounts = { "count/pods": 1, pods: 1 };
  for (const [name, amount] of Object.entries(podRequests(pod))) {
    out[`requests.${name}`] = amount;
    if (["cpu", "memory", "ephemeral-storage"].includes(name)) out[name] = amount;
  }
  for (const [name, amount] of Object.entries(podLimits(pod))) out[`limits.${name}`] = amount;
  return out;
}

/** Ended pods, and those whose grace is long over, hold nothing any more. */
function podUsage(pod: Pod, now: number): Amounts {
  const over = hasEnded(pod) || isOver(pod.metadata?.deletionTimestamp, now);
  return over ? { "count/pods": 1 } : heldByPod(pod);
}

function serviceUsage({ spec }: Service): Amounts {
  const out: Amounts = { "count/services": 1, services: 1 };
  const balanced = spec?.type === "LoadBalancer";
  const ports = spec?.ports ?? [];
  if (balanced) out["services.loadbalancers"] = 1;
  if (spec?.type === "NodePort" || (balanced && spec.allocateLoadBalancerNodePorts !== false)) {
    out["services.nodeports"] = ports.length;
  } else if (balanced) {
    out["services.nodeports"] = ports.filter(({ nodePort }) => (nodePort ?? 0) !== 0).length;
  }
  return out;
}

const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";

function claimUsage({ metadata, spec, status }: PersistentVolumeClaim): Amounts {
  const asked = amountOf("storage", spec?.resources?.requests?.["storage"] ?? 0);
  const given = amountOf("storage", status?.allocatedResources?.["storage"] ?? 0);
  const storage = Math.max(asked, given);
  const out: Amounts = {
    "count/persistentvolumeclaims": 1,
    persistentvolumeclaims: 1,
    "requests.storage": storage,
  };
  const name = metadata?.annotations?.[CLASS_ANNOTATION] ?? spec?.storageClassName;
  if (name) {
    out[`${name}.storageclass.storage.k8s.io/requests.storage`] = storage;
    out[`${name}.storageclass.storage.k8s.io/persistentvolumeclaims`] = 1;
  }
  return out;
}

/**
 * Amounts by the names that a quota's `hard` uses: cpu in thousandths of a core, the rest in base
 * units.
 */
export function usageOf(kind: Kind, object: ApiObject, now: number): Amounts {
  const resource = resourceOf(kind);
  if (resource === "pods") return podUsage(object as Pod, now);
  if (resource === "services") return serviceUsage(object as Service);
  if (resource === "persistentvolumeclaims") return claimUsage(object as PersistentVolumeClaim);
  const out: Amounts = { [`count/${resource}`]: 1 };
  if (PLAIN.has(resource)) out[resource] = 1;
  return out;
}

function crossesNamespaces(pod: Pod): boolean {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  const terms = [podAffinity, podAntiAffinity].flatMap((affinity) => [
    ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map(
      ({ podAffinityTerm }) => podAffinityTerm,
    ),
  ]);
  return terms.some((term) => (term.namespaces?.length ?? 0) > 0 || term.namespaceSelector);
}

/** What scopes choose by. */
interface PodTraits {
  readonly bounded: boolean;
  readonly bestEffort: boolean;
  readonly crosses: boolean;
  readonly priorityClass: string;
}

/** Objects that every quota treats alike, at any time: those of one group are counted together. */
export interface UsageGroup {
  /** Of pods alone. */
  readonly traits?: PodTraits;
  /** When a pod that goes holds nothing any more. */
  readonly until?: string;
}

const traitsOf = (pod: Pod): PodTraits => ({
  bounded: pod.spec?.activeDeadlineSeconds !== undefined,
  bestEffort: pod.spec !== undefined && qosClass(pod.spec) === "BestEffort",
  crosses: crossesNamespaces(pod),
  priorityClass: pod.spec?.priorityClassName ?? "",
});

/** The group of an object and what it adds to the usage there. */
export function groupedUsage(
  kind: Kind,
  object: ApiObject,
): { group: UsageGroup; amounts: Amounts } {
  if (resourceOf(kind) !== "pods") return { group: {}, amounts: usageOf(kind, object, 0) };
  const pod = object as Pod;
  const traits = traitsOf(pod);
  if (hasEnded(pod)) return { group: { traits }, amounts: { "count/pods": 1 } };
  const until = pod.metadata?.deletionTimestamp;
  return {
    group: { traits, ...(until !== undefined && { until }) },
    amounts: heldByPod(pod),
  };
}

/** Whether an amount of a group is still held; an object of the API is one until it is gone. */
export const isHeld = ({ until }: UsageGroup, name: string, now: number): boolean =>
  name === "count/pods" || !isOver(until, now);

function inScope(traits: PodTraits, rule: ScopedResourceSelectorRequirement): boolean {
  const { scopeName, operator, values = [] } = rule;
  const { bounded, bestEffort, crosses, priorityClass } = traits;
  switch (scopeName) {
    case "Terminating":
      return bounded;
    case "NotTerminating":
      return !bounded;
    case "BestEffort":
      return bestEffort;
    case "NotBestEffort":
      return !bestEffort;
    case "CrossNamespacePodAffinity":
      return crosses;
    case "PriorityClass":
      if (operator === "Exists") return priorityClass !== "";
      if (operator === "DoesNotExist") return priorityClass === "";
      return values.includes(priorityClass) === (operator === "In");
    default:
      return false;
  }
}

/** Whether a quota counts the objects of a group: scopes choose among pods. */
export function countsGroup(quota: ResourceQuota, { traits }: UsageGroup): boolean {
  const rules: ScopedResourceSelectorRequirement[] = [
    ...(quota.spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists" })),
    ...(quota.spec?.scopeSelector?.matchExpressions ?? []),
  ];
  if (rules.length === 0) return true;
  return traits !== undefined && rules.every((rule) => inScope(traits, rule));
}

export const counts = (quota: ResourceQuota, kind: Kind, object: ApiObject): boolean =>
  countsGroup(quota, resourceOf(kind) === "pods" ? { traits: traitsOf(object as Pod) } : {});

/** An amount as a quantity again: `500m`, `3`, `1536Mi`. */
export function quantityOf(name: string, amount: number): string {
  const resource = name.replace(/^(requests|limits)\./, "");
  if (resource === "cpu") return canonicalQuantity(`${Math.round(amount)}m`);
  const bytes = resource === "memory" || resource.endsWith("storage") || /hugepages-/.test(name);
  if (bytes && amount > 0 && amount % 1024 === 0) return canonicalQuantity(`${amount / 1024}Ki`);
  return canonicalQuantity(String(amount));
}
