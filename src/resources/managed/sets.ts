/**
 * Sets of fields in the form that FieldsV1 has: `f:` names a field, `k:` an item by its keys, `v:`
 * an item of a set. A node without children, or with `.` among them, is itself in the set. Never
 * changed once made; results share what did not change.
 */

export type FieldSet = { readonly [element: string]: FieldSet };
type Draft = { [element: string]: FieldSet };

export const SELF = ".";
/** A single field and nothing below it. */
export const ITSELF: FieldSet = Object.freeze({});

function isEmpty(set: FieldSet): boolean {
  for (const _ in set) return false;
  return true;
}

export const holdsSelf = (set: FieldSet): boolean => set[SELF] !== undefined || isEmpty(set);

/** A node from its parts; undefined where nothing is left. */
function nodeOf(self: boolean, children: Draft): FieldSet | undefined {
  if (isEmpty(children)) return self ? ITSELF : undefined;
  return self ? { [SELF]: ITSELF, ...children } : children;
}

export function withSelf(set: FieldSet | undefined): FieldSet {
  if (set === undefined) return ITSELF;
  return holdsSelf(set) ? set : { [SELF]: ITSELF, ...set };
}

/** `a` and `b` may be undefined: nothing. */
export function union(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || a === b) return b;
  if (b === undefined) return a;
  const children: Draft = {};
  for (const element in a) if (element !== SELF) children[element] = a[element] as FieldSet;
  for (const element in b) {
    if (element === SELF) continue;
    const mine = children[element];
    const other = b[element] as FieldSet;
    children[element] = mine === undefined ? other : (union(mine, other) as FieldSet);
  }
  return nodeOf(holdsSelf(a) || holdsSelf(b), children);
}

/** What is in `a` and not in `b`; a field that is taken away leaves those below it. */
export function difference(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || b === undefined || !overlaps(a, b)) return a;
  const children: Draft = {};
  for (const element in a) {
    if (element === SELF) continue;
    const other = b[element];
    const mine = a[element] as FieldSet;
    const rest = other === undefined ? mine : difference(mine, other);
    if (rest !== undefined) children[element] = rest;
  }
  return nodeOf(holdsSelf(a) && !holdsSelf(b), children);
}

export function intersection(
  a: FieldSet | undefined,
  b: FieldSet | undefined,
): FieldSet | undefined {
  if (a === undefined || b === undefined) return undefined;
  const children: Draft = {};
  for (const element in a) {
    const other = element === SELF ? undefined : b[element];
    if (other === undefined) continue;
    const both = intersection(a[element], other);
    if (both !== undefined) children[element] = both;
  }
  return nodeOf(holdsSelf(a) && holdsSelf(b), children);
}

/** Whether they have a field in common; allocates nothing. */
export function overlaps(a: FieldSet, b: FieldSet): boolean {
  for (const element in b) {
    if (element === SELF) continue;
    const mine = a[element];
    if (mine !== undefined && overlaps(mine, b[element] as FieldSet)) return true;
  }
  return holdsSelf(a) && holdsSelf(b);
}

/** Without these fields of the top level and all below them. */
export function without(
  set: FieldSet | undefined,
  names: readonly string[] | undefined,
): FieldSet | undefined {
  if (set === undefined || names === undefined) return set;
  if (set[SELF] === undefined && !names.some((name) => set[`f:${name}`] !== undefined)) return set;
  const children: Draft = {};
  for (const element in set) {
    if (element === SELF || names.includes(element.slice(2))) continue;
    children[element] = set[element] as FieldSet;
  }
  return nodeOf(false, children);
}

/**
 * Paths as messages have them, `.spec.containers[name="web"].image`: of each level first, then
 * below it.
 */
export function pathsOf(set: FieldSet | undefined, prefix = ""): string[] {
  if (set === undefined) return [];
  const elements = Object.keys(set)
    .filter((element) => element !== SELF)
    .sort();
  const here = elements.filter((element) => holdsSelf(set[element] as FieldSet));
  return [
    ...here.map((element) => prefix + elementText(element)),
    ...elements.flatMap((element) => pathsOf(set[element], prefix + elementText(element))),
  ];
}

function elementText(element: string): string {
  const content = element.slice(2);
  switch (element.charAt(0)) {
    case "f":
      return `.${content}`;
    case "k": {
      const keys = JSON.parse(content) as Record<string, unknown>;
      const parts = Object.entries(keys).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
      return `[${parts.join(",")}]`;
    }
    case "v":
      return `[=${content}]`;
    default:
      return `[${content}]`;
  }
}

const COLON = 58;

/** Whether a value that came from outside is a set of fields. */
export function isFieldSet(value: unknown): value is FieldSet {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const elements = value as Record<string, unknown>;
  for (const element in elements) {
    if (element !== SELF && !isElement(element)) return false;
    if (!isFieldSet(elements[element])) return false;
  }
  return true;
}

function isElement(element: string): boolean {
  return element.charCodeAt(1) === COLON && "fkvi".includes(element.charAt(0));
}
