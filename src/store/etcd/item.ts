/** Items of what stands in etcd. */
import type { Codec, Item, Terms } from "#store/store.ts";

/** What another server wrote is parsed for its terms when somebody here chooses by them. */
export function itemOf(plain: Omit<Item, "terms">, codec: Codec, own: Terms | undefined): Item {
  if (own !== undefined) return { ...plain, terms: own };
  let terms: Terms | undefined;
  return {
    ...plain,
    get terms() {
      terms ??= codec.terms(plain.key, plain.value);
      return terms;
    },
  };
}
