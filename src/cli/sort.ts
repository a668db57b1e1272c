/** Sorting by a JSONPath, as `--sort-by` has it. */
import { evaluatePath } from "#cli/jsonpath/evaluate.ts";
import { parsePath } from "#cli/jsonpath/parse.ts";
import { compareQuantity } from "#resources/quantity.ts";

const QUANTITY = /^\d+(\.\d+)?([munkMGTPE]|[KMGTPE]i)?$/;

function compare(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  if (typeof a === "number" && typeof b === "number") return a - b;
  const left = String(a);
  const right = String(b);
  if (QUANTITY.test(left) && QUANTITY.test(right)) return compareQuantity(left, right);
  return left < right ? -1 : left > right ? 1 : 0;
}

/**
 * A new list; in the order it came where no path is given. @throws UsageError for a malformed path.
 */
export function sortBy<T>(items: readonly T[], path: string | undefined, of: (item: T) => unknown) {
  if (path === undefined || path === "") return [...items];
  const steps = parsePath(path);
  const keyed = items.map((item) => {
    const object = of(item);
    return { item, key: evaluatePath(steps, [object], object)[0] };
  });
  return keyed.sort((a, b) => compare(a.key, b.key)).map(({ item }) => item);
}

export const sortObjects = <T>(items: readonly T[], path: string | undefined): T[] =>
  sortBy(items, path, (item) => item);
