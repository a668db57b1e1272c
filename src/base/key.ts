/**
 * One key for several texts. Each part has its length in front: no separator can be imitated by
 * what a client puts into a part, and an absent part differs from an empty one.
 */
export function compoundKey(...parts: ReadonlyArray<string | undefined>): string {
  let key = "";
  for (const part of parts) key += part === undefined ? "-" : `${part.length}:${part}`;
  return key;
}
