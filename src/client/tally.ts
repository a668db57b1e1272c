/**
 * Running sums over the objects of a cache: a change takes out what the object added before and
 * puts in what it adds now, however many others there are. They are made of the objects on first
 * use, and are at any time what a count of all would answer: amounts are added as whole numbers, so
 * order and repetition lose nothing.
 */
import type { Sum, Tally } from "#client/cache.types.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { toNano } from "#resources/quantity.ts";

interface Running {
  readonly group: unknown;
  objects: number;
  readonly amounts: Map<string, bigint>;
}

/** `at` -> group -> its sum. */
type Sums = Map<string, Map<string, Running>>;

function add(into: Sums, tally: Tally<ApiObject, unknown>, object: Stored, sign: 1n | -1n): void {
  const { at, group, amounts } = tally.share(object);
  const id = JSON.stringify(group);
  const groups = into.get(at) ?? new Map<string, Running>();
  into.set(at, groups);
  const sum = groups.get(id) ?? { group, objects: 0, amounts: new Map<string, bigint>() };
  groups.set(id, sum);
  sum.objects += Number(sign);
  for (const [name, amount] of Object.entries(amounts)) {
    sum.amounts.set(name, (sum.amounts.get(name) ?? 0n) + sign * toNano(amount));
  }
  if (sum.objects > 0) return;
  groups.delete(id);
  if (groups.size === 0) into.delete(at);
}

/** The sums of these objects, whatever their `at`. */
export function sumUp<T extends ApiObject, G>(
  tally: Tally<T, G>,
  objects: Iterable<Stored<T>>,
): ReadonlyArray<Sum<G>> {
  const { name } = tally;
  const share = (object: Stored<T>) => ({ ...tally.share(object), at: "" });
  return new Tallies<T>().of({ name, share }, "", objects);
}

export class Tallies<T extends ApiObject> {
  // What a tally leads to has the type of its group, which a map cannot tell.
  readonly #sums = new Map<unknown, { tally: Tally<ApiObject, unknown>; sums: Sums }>();

  /** `all` is gone through on first use only. */
  of<G>(tally: Tally<T, G>, at: string, all: Iterable<Stored<T>>): ReadonlyArray<Sum<G>> {
    let known = this.#sums.get(tally);
    if (known === undefined) {
      known = { tally: tally as unknown as Tally<ApiObject, unknown>, sums: new Map() };
      for (const object of all) add(known.sums, known.tally, object, 1n);
      this.#sums.set(tally, known);
    }
    return [...(known.sums.get(at)?.values() ?? [])] as unknown as ReadonlyArray<Sum<G>>;
  }

  change(before: Stored<T> | undefined, after: Stored<T> | undefined): void {
    for (const { tally, sums } of this.#sums.values()) {
      if (before !== undefined) add(sums, tally, before, -1n);
      if (after !== undefined) add(sums, tally, after, 1n);
    }
  }
}
