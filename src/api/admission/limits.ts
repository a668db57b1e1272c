/**
 * What LimitRanges say about containers, pods and claims. Pure.
 * https://kubernetes.io/docs/concepts/policy/limit-range/
 */
import { type Amounts, amountOf, podRequests } from "#resources/podrequests.ts";
import { canonicalQuantity } from "#resources/quantity.ts";
import { quantityOf } from "#resources/quotausage.ts";
import type {
  Container,
  LimitRange,
  LimitRangeItem,
  PersistentVolumeClaim,
  Pod,
} from "#resources/types.gen.ts";

type Quantities = Readonly<Record<string, string>>;

const ANNOTATION = "kubernetes.io/limit-ranger";

/** Sets the defaults in place, and notes what it set. */
export function applyDefaults(range: LimitRange, pod: Pod): void {
  const notes: string[] = [];
  const requests: Record<string, string> = {};
  const limits: Record<string, string> = {};
  for (const item of range.spec?.limits ?? []) {
    if (item.type !== "Container") continue;
    Object.assign(requests, item.defaultRequest);
    Object.assign(limits, item.default);
  }
  const fill = (container: Container, what: string): void => {
    const resources = container.resources ?? {};
    const missing = (has: Quantities | undefined, all: Quantities): string[] =>
      Object.keys(all)
        .filter((name) => has?.[name] === undefined)
        .sort();
    const newRequests = missing(resources.requests, requests);
    const newLimits = missing(resources.limits, limits);
    if (newRequests.length > 0) {
      notes.push(`${newRequests.join(", ")} request for ${what} ${container.name}`);
      resources.requests = { ...requests, ...resources.requests };
    }
    if (newLimits.length > 0) {
      notes.push(`${newLimits.join(", ")} limit for ${what} ${container.name}`);
      resources.limits = { ...limits, ...resources.limits };
    }
    container.resources = resources;
  };
  for (const container of pod.spec?.containers ?? []) fill(container, "container");
  for (const container of pod.spec?.initContainers ?? []) fill(container, "init container");
  if (notes.length === 0) return;
  pod.metadata ??= {};
  const text = `LimitRanger plugin set: ${notes.join("; ")}`;
  pod.metadata.annotations = { ...pod.metadata.annotations, [ANNOTATION]: text };
}

interface Usage {
  readonly requests: Quantities;
  readonly limits: Quantities;
}

const amountIn = (list: Quantities, name: string): number | undefined => {
  const text = list[name];
  return text === undefined ? undefined : amountOf(name, text);
};

function checkMin(type: string, name: string, bound: string, { requests, limits }: Usage) {
  const min = amountOf(name, bound);
  const head = `minimum ${name} usage per ${type} is ${bound}`;
  const request = amountIn(requests, name);
  if (request === undefined) return `${head}.  No request is specified`;
  if (request < min) return `${head}, but request is ${requests[name]}`;
  const limit = amountIn(limits, name);
  if (limit !== undefined && limit < min) return `${head}, but limit is ${limits[name]}`;
  return undefined;
}

function checkMax(type: string, name: string, bound: string, { requests, limits }: Usage) {
  const max = amountOf(name, bound);
  const head = `maximum ${name} usage per ${type} is ${bound}`;
  const limit = amountIn(limits, name);
  if (limit === undefined) return `${head}.  No limit is specified`;
  if (limit > max) return `${head}, but limit is ${limits[name]}`;
  const request = amountIn(requests, name);
  if (request !== undefined && request > max) return `${head}, but request is ${requests[name]}`;
  return undefined;
}

function checkRatio(type: string, name: string, bound: string, { requests, limits }: Usage) {
  const head = `${name} max limit to request ratio per ${type} is ${bound}`;
  const request = amountIn(requests, name) ?? 0;
  const limit = amountIn(limits, name) ?? 0;
  if (request === 0) return `${head}, but no request is specified or request is 0`;
  if (limit === 0) return `${head}, but no limit is specified or limit is 0`;
  const ratio = limit / request;
  // The bound is a plain number, whatever the resource's unit is.
  return ratio > amountOf("", bound)
    ? `${head}, but provided ratio is ${ratio.toFixed(6)}`
    : undefined;
}

function checkItem(item: LimitRangeItem, usage: Usage): string[] {
  const { type } = item;
  const found: Array<string | undefined> = [];
  for (const [name, bound] of Object.entries(item.min ?? {})) {
    found.push(checkMin(type, name, canonicalQuantity(bound), usage));
  }
  for (const [name, bound] of Object.entries(item.max ?? {})) {
    found.push(checkMax(type, name, canonicalQuantity(bound), usage));
  }
  for (const [name, bound] of Object.entries(item.maxLimitRequestRatio ?? {})) {
    found.push(checkRatio(type, name, canonicalQuantity(bound), usage));
  }
  return found.filter((each) => each !== undefined);
}

const quantities = (amounts: Amounts): Quantities =>
  Object.fromEntries(Object.entries(amounts).map(([name, n]) => [name, quantityOf(name, n)]));

function podUsage(pod: Pod): Usage {
  const limitsAsRequests = (container: Container): Container => ({
    ...container,
    resources: container.resources?.limits ? { requests: container.resources.limits } : {},
  });
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  return {
    requests: quantities(podRequests({ spec: { ...pod.spec, containers, overhead: {} } })),
    limits: quantities(
      podRequests({
        spec: {
          containers: containers.map(limitsAsRequests),
          initContainers: initContainers.map(limitsAsRequests),
        },
      }),
    ),
  };
}

const usageOf = ({ resources = {} }: Container): Usage => ({
  requests: resources.requests ?? {},
  limits: resources.limits ?? {},
});

/** Why the pod may not be, in upstream's words. */
export function podBreaches(range: LimitRange, pod: Pod): string[] {
  const { containers = [], initContainers = [] } = pod.spec ?? {};
  return (range.spec?.limits ?? []).flatMap((item) => {
    if (item.type === "Pod") return checkItem(item, podUsage(pod));
    if (item.type !== "Container") return [];
    return [...containers, ...initContainers].flatMap((each) => checkItem(item, usageOf(each)));
  });
}

export function claimBreaches(range: LimitRange, claim: PersistentVolumeClaim): string[] {
  const requests = claim.spec?.resources?.requests ?? {};
  return (range.spec?.limits ?? []).flatMap((item) => {
    if (item.type !== "PersistentVolumeClaim") return [];
    const found = Object.entries(item.min ?? {}).map(([name, bound]) =>
      checkMin(item.type, name, canonicalQuantity(bound), { requests, limits: {} }),
    );
    for (const [name, bound] of Object.entries(item.max ?? {})) {
      // Of a claim the request is what is bounded.
      found.push(
        checkMax(item.type, name, canonicalQuantity(bound), {
          requests: {},
          limits: requests,
        })?.replace("limit", "request"),
      );
    }
    return found.filter((each) => each !== undefined);
  });
}
