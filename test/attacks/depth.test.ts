/** Bodies that are small as text and large or deep as objects: they are rejected, not served. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";

const CONFIG = "/api/v1/namespaces/x/configmaps";
const OPEN = "/apis/attacks.example.com/v1/namespaces/x/opens";
const JSON_TYPE = "application/json";

let api: TestApi;

/** A resource without a schema of its own. */
const OF_OPEN = { apiVersion: "attacks.example.com/v1", kind: "Open" };
const OPENS = {
  metadata: { name: "opens.attacks.example.com" },
  spec: {
    group: "attacks.example.com",
    scope: "Namespaced",
    names: { plural: "opens", kind: "Open" },
    versions: [
      {
        ...{ name: "v1", served: true, storage: true },
        schema: {
          openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        },
      },
    ],
  },
};

/** Waits until the definition is served. */
async function served(path: string): Promise<void> {
  const until = performance.now() + 5_000;
  while ((await api.call("GET", path)).code !== 200) {
    if (performance.now() > until) throw new Error(`${path} is not served`);
    await Bun.sleep(2);
  }
}

beforeAll(async () => {
  api = await startApi();
  await api.create("/api/v1/namespaces", { metadata: { name: "x" } });
  await api.create(CONFIG, { metadata: { name: "a" }, data: { a: "b" } } as object);
  await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", OPENS as object);
  await served(OPEN);
  await api.create(OPEN, { ...OF_OPEN, metadata: { name: "a" } } as object);
});
afterAll(() => api.close());

const DEEP = 100_000;
const DEEP_VALUES = [
  ["lists", `${"[".repeat(DEEP)}${"]".repeat(DEEP)}`],
  ["maps", `${'{"a":'.repeat(DEEP)}1${"}".repeat(DEEP)}`],
] as const;

describe.each(DEEP_VALUES)("a body of many levels of %s", (_, value) => {
  const object = `{"metadata":{"name":"b"},"data":${value}}`;
  const added = `[{"op":"add","path":"/data","value":${value}}]`;
  const strategic = "application/strategic-merge-patch+json";
  test.each([
    ["POST", CONFIG, JSON_TYPE, object],
    ["POST", OPEN, JSON_TYPE, object],
    ["POST", OPEN, "application/yaml", object],
    ["PUT", `${OPEN}/a`, JSON_TYPE, object],
    ["PATCH", `${CONFIG}/a`, "application/merge-patch+json", object],
    ["PATCH", `${CONFIG}/a`, strategic, object],
    ["PATCH", `${OPEN}/a`, "application/merge-patch+json", object],
    ["PATCH", `${OPEN}/a`, "application/json-patch+json", added],
    ["PATCH", `${OPEN}/a`, "application/apply-patch+yaml", `data: ${value}`],
    ["DELETE", `${CONFIG}/a`, JSON_TYPE, `{"preconditions":${value}}`],
  ])("%s %s %s", async (method, path, type, body) => {
    const headers = { "content-type": type };
    const answer = await api.call(method, `${path}?dryRun=All&fieldManager=m`, body, { headers });
    expect({ code: answer.code, text: answer.text.slice(0, 200) }).toMatchObject({ code: 400 });
  });
});

test("a JSON patch that copies copies makes no deep object", async () => {
  const operations = [{ op: "add", path: "/data", value: { a: { b: {} } } as object }];
  let path = "/data/a/b";
  // Each copy doubles the levels.
  for (let step = 0; step < 16; step++) {
    const to = `${path}/c`;
    operations.push({ op: "copy", from: "/data", path: to } as never);
    path = `${to}${path.slice("/data".length)}`;
  }
  const headers = { "content-type": "application/json-patch+json" };
  const answer = await api.call("PATCH", `${OPEN}/a?dryRun=All`, operations, { headers });
  expect(answer.code).toBe(422);
});

test("aliases in YAML make no object that is larger than a body may be", async () => {
  const lists = Array.from({ length: 90 }, () => "*a").join(",");
  const body = `metadata: {name: b}\nbig: &a "${"x".repeat(1_000_000)}"\nlist: [${lists}]`;
  const headers = { "content-type": "application/yaml" };
  const answer = await api.call("POST", `${OPEN}?dryRun=All`, body, { headers });
  expect({ code: answer.code, text: answer.text.slice(0, 300) }).toMatchObject({
    code: 400,
    text: expect.stringContaining("excessive aliasing"),
  });
});
