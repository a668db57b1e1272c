/** The same requests for every kind: what is refused, and what is answered, by every verb. */

import { apiVersionOf, type Kind } from "#resources/kind.ts";
import { kinds } from "#resources/kinds.ts";
import type { ApiObject } from "#resources/meta.ts";
import minimalText from "#test/support/suites/minimal.yaml" with { type: "text" };
import type { Step } from "../ask.ts";

const objects = Bun.YAML.parse(minimalText as unknown as string) as ApiObject[];
const NAMESPACE = "kinds";
const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PARTIAL = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
const PARTIALS = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
const MERGE = "application/merge-patch+json";
const APPLY = "application/apply-patch+yaml";

function kindOf({ apiVersion, kind }: ApiObject): Kind {
  const found = kinds.find((one) => apiVersionOf(one) === apiVersion && one.kind === kind);
  if (!found) throw new Error(`no kind ${apiVersion} ${kind}`);
  return found;
}

function pathOf(kind: Kind): string {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${apiVersionOf(kind)}`;
  return `${root}${kind.namespaced ? `/namespaces/${NAMESPACE}` : ""}/${kind.plural}`;
}

/** Webhooks and policies of the corpus are asked about nothing else in it. */
const NOWHERE = { apiGroups: ["nowhere.example.com"], apiVersions: ["*"], resources: ["*"] };

/** A group that no definition makes: the API would register it itself. */
const REGISTERED = { group: "registered.example.com", version: "v1" };

type Loose = ApiObject & { webhooks?: object[]; spec?: object };

function harmless(object: Loose): ApiObject {
  if (object.apiVersion === "events.k8s.io/v1") {
    return {
      ...object,
      type: "Normal",
      regarding: { kind: "Pod", name: "a", namespace: NAMESPACE },
    } as ApiObject;
  }
  if (object.kind === "APIService") {
    const metadata = { name: "v1.registered.example.com" };
    return { ...object, metadata, spec: { ...object.spec, ...REGISTERED } } as ApiObject;
  }
  const rules = [{ ...NOWHERE, operations: ["*"] }];
  const { webhooks } = object;
  return webhooks
    ? ({ ...object, webhooks: webhooks.map((it) => ({ ...it, rules })) } as ApiObject)
    : object;
}

function made(object: ApiObject): ApiObject {
  const changed = harmless(object);
  const { namespace, ...metadata } = changed.metadata ?? {};
  return {
    ...changed,
    metadata: { ...metadata, ...(namespace !== undefined && { namespace: NAMESPACE }) },
  };
}

function creates(all: string, one: string, object: ApiObject): Step[] {
  const { metadata } = object;
  const named = (name?: string) => ({ ...object, metadata: { ...metadata, name } });
  const step = (
    name: string,
    method: string,
    path: string,
    body?: unknown,
    type?: string,
  ): Step => ({ name, method, path, body, ...(type !== undefined && { type }) });
  return [
    step("create an unknown field strictly", "POST", `${all}?fieldValidation=Strict&dryRun=All`, {
      ...object,
      unknown: 1,
      metadata: { ...metadata, unknown: 2 },
    }),
    step(
      "create an unknown field with a warning",
      "POST",
      `${all}?fieldValidation=Warn&dryRun=All`,
      {
        ...object,
        unknown: 1,
      },
    ),
    step("create without a name", "POST", all, named()),
    step("create with a bad name", "POST", all, named("A_b!")),
    step("create what is no object", "POST", all, "[1]"),
    step("create what is no JSON", "POST", all, "{"),
    step("create another kind", "POST", all, { ...object, kind: "Other" }),
    step("create another version", "POST", all, { ...object, apiVersion: "x.io/v1" }),
    step("create with an unknown dry run", "POST", `${all}?dryRun=Some`, object),
    step("create with an unknown field validation", "POST", `${all}?fieldValidation=X`, object),
    step("create dry", "POST", `${all}?dryRun=All`, object),
    step("create", "POST", `${all}?fieldManager=maker`, object),
    step("create again", "POST", all, object),
    step("create at its name", "POST", one, object),
  ];
}

function updates(all: string, one: string, object: ApiObject): Step[] {
  const { metadata } = object;
  const named = (name?: string) => ({ ...object, metadata: { ...metadata, name } });
  const stale = { ...object, metadata: { ...metadata, resourceVersion: "1" } };
  const step = (
    name: string,
    method: string,
    path: string,
    body?: unknown,
    type?: string,
  ): Step => ({ name, method, path, body, ...(type !== undefined && { type }) });
  return [
    step("update with another name", "PUT", one, named("other-name")),
    step("update what is stale", "PUT", one, stale),
    step("update with another uid", "PUT", one, {
      ...object,
      metadata: { ...metadata, uid: "00000000-0000-4000-8000-000000000000" },
    }),
    step("update what is not there", "PUT", `${all}/10.9.9.9`, {
      ...object,
      metadata: { ...metadata, name: "10.9.9.9" },
    }),
  ];
}

function patches(all: string, one: string, object: ApiObject): Step[] {
  const { metadata } = object;
  const step = (
    name: string,
    method: string,
    path: string,
    body?: unknown,
    type?: string,
  ): Step => ({ name, method, path, body, ...(type !== undefined && { type }) });
  return [
    step(
      "merge",
      "PATCH",
      `${one}?fieldManager=merger`,
      { metadata: { labels: { l: "1" } } },
      MERGE,
    ),
    step("merge a bad label", "PATCH", one, { metadata: { labels: { "A b": "c" } } }, MERGE),
    step("merge a string for metadata", "PATCH", one, { metadata: "x" }, MERGE),
    step("merge another name", "PATCH", one, { metadata: { name: "z" } }, MERGE),
    step("merge at a stale version", "PATCH", one, { metadata: { resourceVersion: "1" } }, MERGE),
    step(
      "patch strategically",
      "PATCH",
      `${one}?fieldManager=merger`,
      { metadata: { annotations: { a: "1" } } },
      "application/strategic-merge-patch+json",
    ),
    step(
      "patch by JSON",
      "PATCH",
      one,
      '[{"op":"test","path":"/nothing","value":1}]',
      "application/json-patch+json",
    ),
    step("patch by an unknown type", "PATCH", one, "{}", "application/x-patch"),
    step("apply without a manager", "PATCH", one, object, APPLY),
    step(
      "apply",
      "PATCH",
      `${one}?fieldManager=applier`,
      {
        apiVersion: object.apiVersion,
        kind: object.kind,
        metadata: { name: metadata?.name, labels: { l2: "1" } },
      },
      APPLY,
    ),
    step(
      "apply against another's field",
      "PATCH",
      `${one}?fieldManager=applier`,
      {
        apiVersion: object.apiVersion,
        kind: object.kind,
        metadata: { name: metadata?.name, labels: { l: "2" } },
      },
      APPLY,
    ),
    step(
      "apply an unknown field",
      "PATCH",
      `${one}?fieldManager=applier&force=true`,
      {
        apiVersion: object.apiVersion,
        kind: object.kind,
        unknown: 1,
      },
      APPLY,
    ),
    step("patch what is not there", "PATCH", `${all}/nope`, {}, MERGE),
  ];
}

function reads(all: string, one: string): Step[] {
  const step = (name: string, path: string, accept?: string): Step => ({
    name,
    method: "GET",
    path,
    ...(accept !== undefined && { accept }),
  });
  return [
    step("get", one),
    step("get as a table", one, TABLE),
    step("get its metadata", one, PARTIAL),
    step("get what is not there", `${all}/nope`),
    step("list", `${all}?labelSelector=l%3D1`),
    step("list as a table without objects", `${all}?includeObject=None&labelSelector=l%3D1`, TABLE),
    step("list metadata", `${all}?labelSelector=l%3D1`, PARTIALS),
    step("list by a bad label", `${all}?labelSelector=a%3D%3D%3Db`),
    step("list by an unknown field", `${all}?fieldSelector=spec.nothing%3Da`),
    step("list by name", `${all}?fieldSelector=metadata.name%3Dnope`),
    step("get the status", `${one}/status`),
    step("get the scale", `${one}/scale`),
    step("get an unknown subresource", `${one}/nothing`),
    step("watch", `${all}?watch=1&timeoutSeconds=0&resourceVersion=x`),
  ];
}

function statusWrites(one: string, object: ApiObject): Step[] {
  const step = (name: string, method: string, body: unknown, type = "application/json"): Step => ({
    name,
    method,
    path: `${one}/status`,
    body,
    type,
  });
  return [
    step("merge into the status", "PATCH", { metadata: { labels: { s: "1" } }, status: {} }, MERGE),
    step("merge a wrong status", "PATCH", { status: "x" }, MERGE),
    step("update the status under another name", "PUT", {
      ...object,
      metadata: { ...object.metadata, name: "other-name" },
    }),
  ];
}

function deletes(all: string, one: string): Step[] {
  const step = (name: string, method: string, path: string, body?: unknown): Step => ({
    name,
    method,
    path,
    body,
  });
  const uid = "00000000-0000-4000-8000-000000000000";
  return [
    step("delete another uid", "DELETE", one, { preconditions: { uid } }),
    step("delete another version", "DELETE", one, { preconditions: { resourceVersion: "1" } }),
    step("delete by an unknown policy", "DELETE", `${one}?propagationPolicy=Some`),
    step("delete with other options", "DELETE", one, { kind: "Pod", apiVersion: "v1" }),
    step("delete dry", "DELETE", `${one}?dryRun=All`),
    step("delete", "DELETE", `${one}?gracePeriodSeconds=0`),
    step("delete again", "DELETE", one),
    step("apply what is not there", "PATCH", `${all}/10.9.9.8?fieldManager=applier`, "{}"),
    step("delete all of a label", "DELETE", `${all}?labelSelector=l%3Dnever`),
    step("put at the list", "PUT", all, {}),
  ];
}

/** Everything about one kind; the object is there between `create` and `delete`. */
function stepsOf(object: ApiObject): Step[] {
  const kind = kindOf(object);
  const body = made(object);
  const all = pathOf(kind);
  const one = `${all}/${body.metadata?.name}`;
  const steps = [
    ...creates(all, one, body),
    ...updates(all, one, body),
    ...patches(all, one, body),
    ...reads(all, one),
    ...statusWrites(one, body),
    ...deletes(all, one),
  ];
  const title = `${body.apiVersion} ${body.kind}`;
  return steps.map((step) => ({ ...step, name: `${title}: ${step.name}` }));
}

const namespace: Step[] = [
  {
    name: "namespace",
    method: "POST",
    path: "/api/v1/namespaces",
    body: { metadata: { name: NAMESPACE } },
  },
  {
    name: "service account",
    method: "POST",
    path: `/api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
    body: { metadata: { name: "default" } },
  },
];

export const kindSteps: readonly Step[] = [...namespace, ...objects.flatMap(stepsOf)];
