/**
 * Pods of one template come with the same spec: all that is kept of them shares one object, which
 * nobody changes from then on, and its text is made once.
 */
import { keepNewest } from "#base/bounded.ts";
import { limits } from "#base/limits.ts";
import { Recent } from "#resources/recent.ts";
import type { Pod, PodSpec } from "#resources/types.gen.ts";

const recent = new Recent<PodSpec>({
  entriesMax: limits.recentSpecsMax,
  charsMax: limits.recentSpecCharsMax,
});
const texts = new WeakMap<object, string>();

/** The spec that came before with the same text; else this one, for those that come after. */
export function sameSpec(spec: PodSpec): PodSpec {
  const text = JSON.stringify(spec);
  const known = recent.get(text);
  if (known !== undefined) return known;
  recent.set(text, spec);
  texts.set(spec, text);
  return spec;
}

/** JSON of a value; that of a shared spec is known. */
export const textOfShared = (value: object): string => texts.get(value) ?? JSON.stringify(value);

/** What follows from a pod's spec alone is made once for all that share it. */
export function oncePerSpec<T>(make: (pod: Pod) => T): (pod: Pod) => T {
  const made = new Map<PodSpec, T>();
  return (pod) => {
    const { spec } = pod;
    if (spec === undefined) return make(pod);
    const known = made.get(spec);
    if (known !== undefined) return known;
    const fresh = make(pod);
    made.set(spec, fresh);
    keepNewest(made, limits.recentSpecsMax);
    return fresh;
  };
}
