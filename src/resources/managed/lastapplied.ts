/**
 * Moving from `kubectl apply` to `kubectl apply --server-side`: what the annotation of the former
 * names and still stands is the applier's own, and the annotation is kept up to date.
 */
import type { ApplyRequest } from "#resources/managed/apply.ts";
import { compare, configuredSet } from "#resources/managed/diff.ts";
import type { MergeNode } from "#resources/managed/node.ts";
import { difference, type FieldSet, union } from "#resources/managed/sets.ts";
import type { ApiObject } from "#resources/meta.ts";
import { isObject, type JsonObject } from "#resources/patch/values.ts";
import type { Json } from "#resources/types.gen.ts";

const ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration";
/** Others opt out by their name. */
const MANAGER = "kubectl";

function parsed(text: string): JsonObject | undefined {
  try {
    const value = JSON.parse(text) as Json;
    return isObject(value) ? value : undefined;
  } catch {
    // An annotation that cannot be read allows nothing.
    return undefined;
  }
}

/** Fields that may be taken over without force; undefined: none. */
export function allowedConflicts(request: ApplyRequest, node: MergeNode): FieldSet | undefined {
  const text = request.live?.metadata?.annotations?.[ANNOTATION];
  if (request.manager !== MANAGER || text === undefined) return undefined;
  const last = parsed(text);
  if (last === undefined || last["apiVersion"] !== request.apiVersion) return undefined;
  const { added, modified, removed } = compare(node, last, request.live as JsonObject) ?? {};
  const differs = union(union(added, modified), removed);
  return difference(configuredSet(node, last), differs);
}

/** Keeps the annotation, where there is one, for clients that go on applying the old way. */
export function refreshLastApplied(request: ApplyRequest, object: ApiObject): ApiObject {
  const live = request.live?.metadata?.annotations?.[ANNOTATION];
  const annotations = object.metadata?.annotations;
  if (request.manager !== MANAGER || live === undefined || annotations === undefined) return object;
  const text = `${JSON.stringify(request.applied)}\n`;
  const metadata = { ...object.metadata, annotations: { ...annotations, [ANNOTATION]: text } };
  return { ...object, metadata };
}
