/**
 * What expressions of policies and webhooks see of a request, with types.
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
import { dyn, objectOf, type Type } from "#api/cel/engine/types.ts";
import { authorizerVariable } from "#api/cel/functions/authorizer.ts";
import type { CelSchema } from "#api/cel/schema.ts";
import { declareKind } from "#api/cel/schema.ts";
import { definitions, type Schema } from "#resources/schema.ts";

const text: CelSchema = { type: "string" };
const texts = (...names: string[]): Record<string, CelSchema> =>
  Object.fromEntries(names.map((name) => [name, text]));
const object = (properties: Record<string, CelSchema>): CelSchema => ({
  type: "object",
  properties,
});

const KIND = object(texts("group", "version", "kind"));
const RESOURCE = object(texts("group", "version", "resource"));

/** AdmissionRequest without the objects. */
const REQUEST = object({
  ...texts("subResource", "requestSubResource", "name", "namespace", "operation"),
  kind: KIND,
  requestKind: KIND,
  resource: RESOURCE,
  requestResource: RESOURCE,
  userInfo: object({
    ...texts("username", "uid"),
    groups: { type: "array", items: text },
    extra: { type: "object", additionalProperties: { type: "array", items: text } },
  }),
  dryRun: { type: "boolean" },
  options: {},
});

const NAMESPACE = "io.k8s.api.core.v1.Namespace";

export const requestShape = declareKind(REQUEST as Schema, "kubernetes.AdmissionRequest");
export const namespaceShape = declareKind(definitions()[NAMESPACE] ?? {}, NAMESPACE);

/** What a kind of expression may look at. */
export interface Sight {
  readonly params: boolean;
  readonly namespaceObject: boolean;
  readonly authorizer: boolean;
  /** `variables.x`; undefined: there are none. */
  readonly variables: ReadonlyMap<string, Type> | undefined;
  /** The type of `object` and `oldObject`; undefined: any. */
  readonly object?: Type;
  readonly paramsType?: Type;
}

/** Match conditions of webhooks. */
export const webhookSight: Sight = {
  params: false,
  namespaceObject: false,
  authorizer: true,
  variables: undefined,
};

export function variablesOf(sight: Sight): ReadonlyMap<string, Type> {
  const all = new Map<string, Type>([
    ["object", sight.object ?? dyn],
    ["oldObject", sight.object ?? dyn],
    ["request", requestShape?.type ?? dyn],
  ]);
  if (sight.params) all.set("params", sight.paramsType ?? dyn);
  if (sight.namespaceObject) all.set("namespaceObject", namespaceShape?.type ?? dyn);
  if (sight.authorizer) all.set("authorizer", authorizerVariable);
  const { variables } = sight;
  if (variables !== undefined) {
    all.set(
      "variables",
      objectOf("kubernetes.variables", (name) => variables.get(name)),
    );
  }
  return all;
}
