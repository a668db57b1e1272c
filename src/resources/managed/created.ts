/**
 * The fields that a new object brings along. Pods of one template come with the same spec, and a
 * spec has most of an object's fields: those of the last few are remembered.
 */
import { limits } from "#base/limits.ts";
import { createdSet, memberSet } from "#resources/managed/diff.ts";
import type { MergeNode } from "#resources/managed/node.ts";
import type { FieldSet } from "#resources/managed/sets.ts";
import type { JsonObject } from "#resources/patch/values.ts";
import { Recent } from "#resources/recent.ts";
import type { ManagedFieldsEntry } from "#resources/types.gen.ts";

/** By the kind's node: the same text is another set in another kind. */
const recent = new WeakMap<MergeNode, Recent<FieldSet>>();

function recentOf(node: MergeNode): Recent<FieldSet> {
  let known = recent.get(node);
  if (known === undefined) {
    known = new Recent({ entriesMax: limits.recentSpecsMax, charsMax: limits.recentSpecCharsMax });
    recent.set(node, known);
  }
  return known;
}

/** JSON of the sets that are remembered: they come to many objects. */
const texts = new WeakMap<FieldSet, string>();

/** Undefined where nobody comes to own anything. */
export function newObjectSet(node: MergeNode, object: JsonObject): FieldSet | undefined {
  return createdSet(node, object, (key, value) => {
    if (key !== "spec") return undefined;
    const sets = recentOf(node);
    const text = JSON.stringify(value);
    const known = sets.get(text);
    if (known !== undefined) return known;
    const set = memberSet(node, key, value);
    if (set === undefined) return undefined;
    sets.set(text, set);
    texts.set(set, JSON.stringify(set));
    return set;
  });
}

function fieldsText(fields: FieldSet): string {
  let text = "";
  for (const element in fields) {
    const below = fields[element] as FieldSet;
    const comma = text === "" ? "" : ",";
    text += `${comma}${JSON.stringify(element)}:${texts.get(below) ?? JSON.stringify(below)}`;
  }
  return `{${text}}`;
}

/** The JSON of the managers; what is known of it is not made anew. */
export function managersText(entries: readonly ManagedFieldsEntry[]): string {
  const [only, second] = entries;
  const fields = only?.fieldsV1 as FieldSet | undefined;
  const spec = fields?.["f:spec"];
  if (only === undefined || second !== undefined || spec === undefined || !texts.has(spec)) {
    return JSON.stringify(entries);
  }
  const { fieldsV1, ...who } = only;
  return `[${JSON.stringify(who).slice(0, -1)},"fieldsV1":${fieldsText(fieldsV1 as FieldSet)}}]`;
}
