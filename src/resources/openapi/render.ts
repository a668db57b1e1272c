/** Operations as path items of OpenAPI 2 and 3. */
import type { Operation, Parameter } from "#resources/openapi/operation.ts";
import { type Dialect, type Doc, PATCH, refTo } from "#resources/openapi/schemas.ts";

const PLAIN = ["application/json", "application/yaml"];
const BODIES = [...PLAIN, "application/vnd.kubernetes.protobuf"];
const STREAMS = ["application/json;stream=watch"];
const CUSTOM_PATCHES = [
  "application/apply-patch+yaml",
  "application/json-patch+json",
  "application/merge-patch+json",
];
const PATCHES = [...CUSTOM_PATCHES, "application/strategic-merge-patch+json"];
const TITLES: Readonly<Record<number, string>> = { 200: "OK", 201: "Created", 202: "Accepted" };

export function pathsOf(operations: readonly Operation[], dialect: Dialect): Doc {
  const paths: { [path: string]: Doc } = {};
  for (const operation of operations) {
    let item = paths[operation.path];
    if (item === undefined) {
      item = { parameters: pathParameters(operation.path, dialect) };
      paths[operation.path] = item;
    }
    item[operation.method] = dialect.version === 3 ? renderV3(operation) : renderV2(operation);
  }
  return Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1)));

  function renderV3(operation: Operation): Doc {
    const { body } = operation;
    const types = body === PATCH ? patchTypes(operation) : bodyTypes(operation);
    return {
      ...common(operation),
      parameters: operation.query.map((each) => parameter(each, "query", dialect)),
      ...(body !== undefined && { requestBody: { content: contentOf(types, body, dialect) } }),
      responses: answers(operation, (name) => ({
        content: contentOf(answerTypes(operation), name, dialect),
      })),
    };
  }

  function renderV2(operation: Operation): Doc {
    const { body } = operation;
    const given: Doc[] = operation.query.map((each) => parameter(each, "query", dialect));
    if (body !== undefined) {
      const required = operation.method !== "delete";
      given.unshift({ name: "body", in: "body", required, schema: refTo(body, dialect) });
    }
    return {
      ...common(operation),
      consumes: body === PATCH ? patchTypes(operation) : ["*/*"],
      produces: operation.answer === undefined ? ["*/*"] : answerTypes(operation),
      schemes: ["https"],
      parameters: given,
      responses: answers(operation, (name) => ({ schema: refTo(name, dialect) })),
    };
  }
}

const patchTypes = ({ custom }: Operation): string[] => (custom ? CUSTOM_PATCHES : PATCHES);
const bodyTypes = ({ custom }: Operation): string[] => (custom ? PLAIN : BODIES);
const answerTypes = (operation: Operation): string[] =>
  operation.action === "list" ? [...bodyTypes(operation), ...STREAMS] : bodyTypes(operation);

const common = ({ id, action, gvk, path }: Operation): Doc => ({
  operationId: id,
  tags: [tagOf(path)],
  "x-kubernetes-action": action,
  "x-kubernetes-group-version-kind": gvk,
});

/** `core_v1`, `apps_v1`, as client generators know them. */
function tagOf(path: string): string {
  const [, root, first = "", second = ""] = path.split("/");
  if (root === "api") return `core_${first}`;
  const group = first.replace(/\.k8s\.io$/, "").replaceAll(/[.-](.)/g, (_, c) => c.toUpperCase());
  return `${group}_${second}`;
}

function answers(operation: Operation, bodyOf: (name: string) => Doc): Doc {
  const { answer, codes } = operation;
  const out: Doc = {};
  for (const code of codes) {
    out[code] = { description: TITLES[code], ...(answer !== undefined && bodyOf(answer)) };
  }
  return { ...out, "401": { description: "Unauthorized" } };
}

function contentOf(types: readonly string[], name: string, dialect: Dialect): Doc {
  const schema = refTo(name, dialect);
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

function parameter({ name, type }: Parameter, where: string, { version }: Dialect): Doc {
  const base = { name, in: where, ...(where === "path" && { required: true }) };
  const schema = { type, uniqueItems: true };
  return version === 3 ? { ...base, schema } : { ...base, ...schema };
}

function pathParameters(path: string, dialect: Dialect): Doc[] {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  return [
    ...names.map((name) => parameter({ name, type: "string" }, "path", dialect)),
    parameter({ name: "pretty", type: "string" }, "query", dialect),
  ];
}
