/**
 * Other servers' OpenAPI 2 documents as part of the cluster's: their own paths, and the definitions
 * that those need. What two documents call alike but describe differently keeps both, one of them
 * under a new name (kube-openapi aggregator).
 */
import type { Doc } from "#resources/openapi/schemas.ts";

/** What a server has to say about one group and version. */
export interface OtherDocument {
  readonly paths: Doc;
  readonly definitions: Doc;
}

const PREFIX = "#/definitions/";

const isDoc = (value: unknown): value is Doc =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Calls back for each definition that a value refers to; a string that it answers is put there. */
function references(value: unknown, visit: (name: string) => string | undefined): unknown {
  if (Array.isArray(value)) return value.map((each) => references(each, visit));
  if (!isDoc(value)) return value;
  const out: Doc = {};
  for (const [key, child] of Object.entries(value)) {
    if (key === "$ref" && typeof child === "string" && child.startsWith(PREFIX)) {
      const renamed = visit(child.slice(PREFIX.length));
      out[key] = renamed === undefined ? child : PREFIX + renamed;
    } else out[key] = references(child, visit);
  }
  return out;
}

/** The part of a document that is about a group and version; undefined for what is no document. */
export function partOf(
  document: unknown,
  group: string,
  version: string,
): OtherDocument | undefined {
  if (!isDoc(document) || !isDoc(document["paths"])) return undefined;
  const known = isDoc(document["definitions"]) ? document["definitions"] : {};
  const base = `/apis/${group}/${version}/`;
  const own = Object.entries(document["paths"]).filter(([path]) => `${path}/`.startsWith(base));
  const paths: Doc = Object.fromEntries(own);
  const definitions: Doc = {};
  const follow = (value: unknown): void => {
    references(value, (name) => {
      if (Object.hasOwn(definitions, name) || !Object.hasOwn(known, name)) return undefined;
      definitions[name] = known[name];
      follow(known[name]);
      return undefined;
    });
  };
  follow(paths);
  return { paths, definitions };
}

/** As JSON with sorted keys: equal texts are equal values. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, child: unknown) =>
    isDoc(child)
      ? Object.fromEntries(Object.entries(child).sort(([a], [b]) => (a < b ? -1 : 1)))
      : child,
  );
}

/** Names for definitions that are called like other ones in `taken`. */
function namesFor(taken: Doc, definitions: Doc): Map<string, string> {
  const renamed = new Map<string, string>();
  for (const [name, definition] of Object.entries(definitions)) {
    if (!Object.hasOwn(taken, name) || canonical(taken[name]) === canonical(definition)) continue;
    let count = 2;
    while (Object.hasOwn(taken, `${name}_v${count}`)) count += 1;
    renamed.set(name, `${name}_v${count}`);
  }
  return renamed;
}

/** The document with those of others; paths that are there already stay as they are. */
export function mergeV2(document: Doc, others: readonly OtherDocument[]): Doc {
  const paths: Doc = { ...(document["paths"] as Doc) };
  const definitions: Doc = { ...(document["definitions"] as Doc) };
  for (const other of others) {
    const names = namesFor(definitions, other.definitions);
    const rename = (value: unknown): unknown => references(value, (name) => names.get(name));
    for (const [path, item] of Object.entries(other.paths)) paths[path] ??= rename(item);
    for (const [name, definition] of Object.entries(other.definitions)) {
      definitions[names.get(name) ?? name] ??= rename(definition);
    }
  }
  return { ...document, paths, definitions };
}
