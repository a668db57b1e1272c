/** Fields of features that are off by default in this version of Kubernetes. */

/** Drops fields that a client sets, unless the object has had them before. */
export function dropUnlessUsed<T extends object>(
  next: T | undefined,
  old: T | undefined,
  ...names: ReadonlyArray<keyof T>
): void {
  if (next === undefined) return;
  for (const name of names) {
    if (old?.[name] === undefined) delete next[name];
  }
}
