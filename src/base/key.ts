/**
 * Builds one key from several texts. Each part has its length as prefix, so a client cannot imitate
 * a separator. An absent part differs from an empty one.
 */
export function compoundKey(...parts: ReadonlyArray<string | undefined>): string {
  let key = "";
  for (const part of parts) key += part === undefined ? "-" : `${part.length}:${part}`;
  return key;
}
