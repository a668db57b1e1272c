/** Values in errors as upstream shows those of its own types: all fields, by the names of Go. */

/** `names` in the order of the type; what is left out is null. */
export function shownAs(value: object | undefined, names: readonly string[]): unknown {
  if (value === undefined) return null;
  const fields = value as Readonly<Record<string, unknown>>;
  const entries = names.map((name) => {
    const field = name.slice(0, 1).toLowerCase() + name.slice(1);
    return [name, fields[field] ?? null] as const;
  });
  return Object.fromEntries(entries);
}
