/** Objects and what to change in them, for the tests of kinds and for `kinds.record.ts`. */
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import { kinds } from "#resources/kinds.ts";
import type { ApiObject } from "#resources/meta.ts";
import minimalText from "#test/support/suites/minimal.yaml" with { type: "text" };
import richText from "./kinds.rich.yaml" with { type: "text" };

export type Path = Array<string | number>;

/** How an object reaches the API, or that it is only printed. */
export type Way = "create" | "update" | "status" | "print";

export interface Case {
  /** Name of the object to start with. */
  readonly on: string;
  readonly way: Way;
  /** What is set in it; no value removes. */
  readonly at?: Path;
  readonly value?: unknown;
}

/** What Kubernetes makes of a case. */
/** The first line of the recorded cases. */
export interface Recording {
  /** RFC 3339. */
  readonly recordedAt: string;
}

export interface Golden extends Case {
  readonly causes?: string[];
  readonly head?: string[];
  readonly row?: unknown[];
  readonly stored?: unknown;
}

const parsed = (text: unknown): ApiObject[] => Bun.YAML.parse(text as string) as ApiObject[];

const nameOf = ({ apiVersion, kind, metadata }: ApiObject): string =>
  `${apiVersion} ${kind} ${metadata?.name}`;

export const objects: ReadonlyMap<string, ApiObject> = new Map(
  [...parsed(minimalText), ...parsed(richText)].map((object) => [nameOf(object), object]),
);

const byName = new Map(kinds.map((kind) => [`${apiVersionOf(kind)} ${kind.kind}`, kind]));

export function kindOf(object: ApiObject): Kind {
  const kind = byName.get(`${object.apiVersion} ${object.kind}`);
  if (!kind) throw new Error(`no kind ${object.apiVersion} ${object.kind}`);
  return kind;
}

type Holder = Record<string | number, unknown>;

/** A copy with one value set, or taken out. */
export function changed(object: ApiObject, { at = [], value }: Partial<Case>): ApiObject {
  const copy = structuredClone(object);
  let holder = copy as unknown as Holder;
  for (const [depth, key] of at.entries()) {
    const next = at[depth + 1];
    if (next !== undefined) {
      holder[key] ??= typeof next === "number" ? [] : {};
      holder = holder[key] as Holder;
    } else if (value !== undefined) {
      holder[key] = value;
    } else if (Array.isArray(holder)) {
      holder.splice(Number(key), 1);
    } else {
      delete holder[key];
    }
  }
  return copy;
}

/** An object as a typed client sees it: nothing that its type says anyway. */
export function bare(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.length === 0 ? undefined : value.map((item) => bare(item) ?? {});
  }
  if (typeof value !== "object" || value === null) {
    return value === null || value === "" || value === 0 || value === false ? undefined : value;
  }
  const entries = Object.entries(value)
    .map(([key, field]) => [key, bare(field)] as const)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}
