/**
 * Refuses what a namespace's quota has no room for. What is let in is charged at once, on the
 * quota's status; the controller recounts.
 * https://kubernetes.io/docs/concepts/policy/resource-quotas/
 */
import type { Attributes, MakePlugin, Plugin } from "#api/admission.ts";
import { decodeItem, encodeObject, termsOf } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { limits } from "#base/limits.ts";
import type { Stored } from "#resources/meta.ts";
import { type Amounts, amountOf } from "#resources/podrequests.ts";
import { counts, quantityOf, usageOf } from "#resources/quotausage.ts";
import type { Container, Pod, ResourceQuota } from "#resources/types.gen.ts";
import { ConflictError, type Item } from "#store/store.ts";

const BUCKET = "core/resourcequotas";

/** Quotas of these make every container say what it needs (a rule that upstream regrets). */
const MUST_SAY = [
  "cpu",
  "memory",
  "requests.cpu",
  "requests.memory",
  "limits.cpu",
  "limits.memory",
];

function says({ resources }: Container, name: string): boolean {
  const [kind, resource] = name.includes(".") ? name.split(".", 2) : ["requests", name];
  const list = kind === "limits" ? resources?.limits : resources?.requests;
  return list?.[resource ?? ""] !== undefined;
}

/** `must specify cpu for: a,b; memory for: a`; undefined where every container says enough. */
function unsaid(pod: Pod, hard: readonly string[]): string | undefined {
  const { containers = [], initContainers = [], resources } = pod.spec ?? {};
  if (resources !== undefined) return undefined;
  const parts = MUST_SAY.filter((name) => hard.includes(name))
    .sort()
    .flatMap((name) => {
      const missing = [...containers, ...initContainers]
        .filter((container) => !says(container, name))
        .map((container) => container.name);
      return missing.length === 0 ? [] : `${name} for: ${[...new Set(missing)].sort().join(",")}`;
    });
  return parts.length === 0 ? undefined : `must specify ${parts.join("; ")}`;
}

const shown = (amounts: Amounts): string =>
  Object.keys(amounts)
    .sort()
    .map((name) => `${name}=${quantityOf(name, amounts[name] ?? 0)}`)
    .join(",");

/** What the write adds to the quota: never less than nothing. */
function deltaOf(quota: ResourceQuota, attributes: Attributes, now: number): Amounts {
  const { resource, object, old } = attributes;
  const { kind } = resource.stored;
  const delta: Amounts = {};
  if (object === undefined) return delta;
  const before = old !== undefined && counts(quota, kind, old) ? usageOf(kind, old, now) : {};
  for (const [name, amount] of Object.entries(usageOf(kind, object, now))) {
    const more = amount - (before[name] ?? 0);
    if (more > 0 && quota.status?.hard?.[name] !== undefined) delta[name] = more;
  }
  return delta;
}

function pick(amounts: Amounts, names: readonly string[]): Amounts {
  return Object.fromEntries(names.map((name) => [name, amounts[name] ?? 0]));
}

function forbid({ resource, name }: Attributes, why: string): never {
  throw refuse.forbidden(resource.kind, name, why);
}

class ResourceQuotas implements Plugin {
  readonly name = "ResourceQuota";
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  #charge(quota: Stored<ResourceQuota>, attributes: Attributes): boolean {
    const { resource, object } = attributes;
    if (object === undefined || !counts(quota, resource.stored.kind, object)) return false;
    const { name } = quota.metadata;
    const hard = quota.status?.hard ?? {};
    if (resource.bucket === "core/pods") {
      const missing = unsaid(object as Pod, Object.keys(hard));
      if (missing !== undefined) forbid(attributes, `failed quota: ${name}: ${missing}`);
    }
    const delta = deltaOf(quota, attributes, this.#core.clock.now());
    const names = Object.keys(delta);
    if (names.length === 0) return false;
    const used = quota.status?.used ?? {};
    const unknown = names.filter((each) => used[each] === undefined);
    if (unknown.length > 0) {
      forbid(
        attributes,
        `status unknown for quota: ${name}, resources: ${unknown.sort().join(",")}`,
      );
    }
    const sums: Amounts = {};
    const usedNow: Amounts = {};
    const bounds: Amounts = {};
    for (const each of names) {
      usedNow[each] = amountOf(each.replace(/^(requests|limits)\./, ""), used[each] ?? 0);
      bounds[each] = amountOf(each.replace(/^(requests|limits)\./, ""), hard[each] ?? 0);
      sums[each] = (usedNow[each] ?? 0) + (delta[each] ?? 0);
    }
    const over = names.filter((each) => (sums[each] ?? 0) > (bounds[each] ?? 0));
    if (over.length > 0) {
      forbid(
        attributes,
        `exceeded quota: ${name}, requested: ${shown(pick(delta, over))}, ` +
          `used: ${shown(pick(usedNow, over))}, limited: ${shown(pick(bounds, over))}`,
      );
    }
    quota.status = { ...quota.status, used: { ...used } };
    for (const each of names) {
      if (quota.status.used) quota.status.used[each] = quantityOf(each, sums[each] ?? 0);
    }
    return true;
  }

  async #chargeOne(item: Item, attributes: Attributes): Promise<void> {
    let live: Item | undefined = item;
    for (let tries = 0; tries < limits.writeRetriesMax && live !== undefined; tries++) {
      const quota = decodeItem<ResourceQuota>(live);
      if (!this.#charge(quota, attributes) || attributes.dryRun) return;
      const kind = this.#core.registry.byBucket(BUCKET)?.kind;
      if (kind === undefined) return;
      const value = encodeObject(quota);
      const { key, revision } = live;
      try {
        await this.#core.store.write({ key, value, terms: termsOf(kind, quota), expect: revision });
        return;
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        live = await this.#core.store.get(key);
      }
    }
  }

  async #check(attributes: Attributes): Promise<void> {
    const page = await this.#core.store.list({ prefix: `${BUCKET}/${attributes.namespace}/` });
    // First ask all, then charge: what one quota refuses is charged to none.
    for (const item of page.items) this.#charge(decodeItem<ResourceQuota>(item), attributes);
    for (const item of page.items) await this.#chargeOne(item, attributes);
  }

  #concerns({ operation, subresource, resource }: Attributes): boolean {
    if (operation === "CREATE") return subresource === "";
    if (operation !== "UPDATE") return false;
    if (resource.bucket === "core/pods") return subresource === "resize";
    const measured = ["core/services", "core/persistentvolumeclaims"];
    return subresource === "" && measured.includes(resource.bucket);
  }

  validate(attributes: Attributes): void | Promise<void> {
    const { namespace } = attributes;
    if (namespace === undefined || !this.#concerns(attributes)) return;
    if (this.#core.store.count(`${BUCKET}/${namespace}/`) === 0) return;
    return this.#check(attributes);
  }
}

export const resourceQuota: MakePlugin = (core) => new ResourceQuotas(core);
