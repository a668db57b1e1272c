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

/** Undefined where nobody comes to own anything. */
export function newObjectSet(node: MergeNode, object: JsonObject): FieldSet | undefined {
  return createdSet(node, object, (key, value) => {
    if (key !== "spec") return undefined;
    const sets = recentOf(node);
    const text = JSON.stringify(value);
    const known = sets.get(text);
    if (known !== undefined) return known;
    const set = memberSet(node, key, value);
    if (set !== undefined) sets.set(text, set);
    return set;
  });
}
