/**
 * Whose selector chooses an object that nobody controls. Of all that select, only those are looked
 * at whose first term the object has, so that one more object costs the same in a full namespace.
 */
import type { Cache, Index } from "#client/cache.types.ts";
import { type ApiObject, keyOf, type Stored } from "#resources/meta.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { LabelSelector } from "#resources/types.gen.ts";

interface Selecting extends ApiObject {
  spec?: { selector?: LabelSelector };
}

/** By the first label that they ask for; those that name none under the namespace alone. */
export const byTerm: Index<Selecting> = {
  name: "term",
  values: ({ metadata, spec }) => [termOf(metadata.namespace, spec?.selector?.matchLabels)],
};

export function termOf(
  namespace: string | undefined,
  labels: Readonly<Record<string, string>> | undefined,
): string {
  const [first] = Object.entries(labels ?? {}).sort();
  return `${namespace}|${first?.join("=") ?? ""}`;
}

/** Objects of a cache that may select this one: each of its labels, and those without a term. */
export function candidates<T extends ApiObject>(
  { metadata }: Stored,
  cache: Pick<Cache<T>, "holds" | "indexed">,
  index: Index<T>,
): Array<Stored<T>> {
  if (!cache.holds(metadata.namespace ?? "")) return [];
  const terms = ["", ...Object.entries(metadata.labels ?? {}).map((pair) => pair.join("="))];
  return terms.flatMap((term) => [...cache.indexed(index, `${metadata.namespace}|${term}`)]);
}

/** Keys of those that select the object. */
export function suitors<T extends Selecting>(
  object: Stored,
  cache: Pick<Cache<T>, "holds" | "indexed">,
): string[] {
  const labels = object.metadata.labels ?? {};
  return candidates(object, cache, byTerm as Index<T>)
    .filter(({ spec }) => matchLabelSelector(spec?.selector)(labels))
    .map(keyOf);
}
