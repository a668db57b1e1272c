/** Defaults and bounds of resources in a namespace. */

import { applyDefaults, claimBreaches, podBreaches } from "#api/admission/limits.ts";
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { peek } from "#api/codec.ts";
import { refuse } from "#api/errors.ts";
import type { LimitRange, PersistentVolumeClaim, Pod } from "#resources/types.gen.ts";

const isPod = ({ resource }: Attributes): boolean => resource.bucket === "core/pods";
const isClaim = ({ resource }: Attributes): boolean =>
  resource.bucket === "core/persistentvolumeclaims";

/** Containers do not change once they are there, except by a resize. */
function concerns(attributes: Attributes): boolean {
  const { operation, subresource } = attributes;
  if (isPod(attributes)) {
    if (subresource === "resize") return operation === "UPDATE";
    return subresource === "" && operation === "CREATE";
  }
  const writes = operation === "CREATE" || operation === "UPDATE";
  return isClaim(attributes) && subresource === "" && writes;
}

export const limitRanger: MakePlugin = ({ store }) => {
  const prefixOf = ({ namespace }: Attributes): string => `core/limitranges/${namespace}/`;

  async function ranges(attributes: Attributes): Promise<LimitRange[]> {
    const page = await store.list({ prefix: prefixOf(attributes) });
    return page.items.map((item) => peek<LimitRange>(item));
  }

  async function setDefaults(attributes: Attributes): Promise<void> {
    for (const range of await ranges(attributes)) applyDefaults(range, attributes.object as Pod);
  }

  async function check(attributes: Attributes): Promise<void> {
    const { object, resource, name } = attributes;
    const breaches = (await ranges(attributes)).flatMap((range) =>
      isPod(attributes)
        ? podBreaches(range, object as Pod)
        : claimBreaches(range, object as PersistentVolumeClaim),
    );
    if (breaches.length === 0) return;
    const why = breaches.length === 1 ? (breaches[0] ?? "") : `[${breaches.join(", ")}]`;
    throw refuse.forbidden(resource.kind, name, why);
  }

  const applies = (attributes: Attributes): boolean =>
    concerns(attributes) && store.count(prefixOf(attributes)) > 0;

  return {
    name: "LimitRanger",
    mutate: (attributes) =>
      applies(attributes) && isPod(attributes) ? setDefaults(attributes) : undefined,
    validate: (attributes) => (applies(attributes) ? check(attributes) : undefined),
  };
};
