import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const PATH = "/apis/apps/v1/namespaces/default/deployments";
const type = (contentType: string) => ({ headers: { "content-type": contentType } });
const JSON_PATCH = type("application/json-patch+json");
const MERGE = type("application/merge-patch+json");
const STRATEGIC = type("application/strategic-merge-patch+json");
const APPLY = type("application/apply-patch+yaml");

interface Container {
  name: string;
  image?: string;
  env?: Array<{ name: string; value: string }>;
}

const deployment = (name: string, containers: Container[] = [{ name: "a", image: "i:1" }]) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers } },
  },
});
const containersOf = (body: { spec: { template: { spec: { containers: Container[] } } } }) =>
  body.spec.template.spec.containers;
const apply = (name: string, manager: string, object: object, query = "") =>
  api.call(
    "PATCH",
    `${PATH}/${name}?fieldManager=${manager}${query}`,
    JSON.stringify(object),
    APPLY,
  );

describe("patches", () => {
  test("merge: null takes away, lists are replaced", async () => {
    await api.create(PATH, {
      ...deployment("m"),
      metadata: { name: "m", labels: { a: "1", b: "2" } },
    });
    const patch = {
      metadata: { labels: { a: null, c: "3" } },
      spec: { template: { spec: { containers: [{ name: "z", image: "i:2" }] } } },
    };
    const { body } = await api.call("PATCH", `${PATH}/m`, patch, MERGE);
    expect(body.metadata.labels).toEqual({ b: "2", c: "3" });
    expect(containersOf(body).map(({ name }) => name)).toEqual(["z"]);
  });

  test("strategic: lists merge by their keys, and directives are obeyed", async () => {
    await api.create(
      PATH,
      deployment("s", [
        { name: "a", image: "i:1", env: [{ name: "K", value: "v" }] },
        { name: "b", image: "i:1" },
      ]),
    );
    const patch = {
      spec: {
        template: {
          spec: {
            containers: [
              { name: "a", image: "i:2", env: [{ name: "L", value: "w" }] },
              { name: "b", $patch: "delete" },
            ],
          },
        },
      },
    };
    const { body } = await api.call("PATCH", `${PATH}/s`, patch, STRATEGIC);
    expect(containersOf(body)).toEqual([
      expect.objectContaining({
        name: "a",
        image: "i:2",
        env: [
          { name: "L", value: "w" },
          { name: "K", value: "v" },
        ],
      }),
    ]);
  });

  test("JSON: operations in order, and a test that can fail", async () => {
    await api.create(PATH, deployment("j"));
    const good = [
      { op: "test", path: "/spec/replicas", value: 1 },
      { op: "replace", path: "/spec/replicas", value: 4 },
      { op: "add", path: "/metadata/labels", value: { x: "y" } },
    ];
    const { body } = await api.call("PATCH", `${PATH}/j`, good, JSON_PATCH);
    expect([body.spec.replicas, body.metadata.labels]).toEqual([4, { x: "y" }]);
    const bad = await api.call(
      "PATCH",
      `${PATH}/j`,
      [{ op: "test", path: "/spec/replicas", value: 1 }],
      JSON_PATCH,
    );
    expect(bad.code).toBe(422);
  });

  test("JSON: as many operations as the limit says, and no more", async () => {
    await api.create(PATH, deployment("many"));
    const patch = (count: number) =>
      Array.from({ length: count }, () => ({ op: "test", path: "/spec/replicas", value: 1 }));
    const most = limits.jsonPatchOperationsMax;
    expect((await api.call("PATCH", `${PATH}/many`, patch(most), JSON_PATCH)).code).toBe(200);
    const { code, body } = await api.call("PATCH", `${PATH}/many`, patch(most + 1), JSON_PATCH);
    const words = `The allowed maximum operations in a JSON patch is ${most}, got ${most + 1}`;
    expect([code, body.reason, body.message]).toEqual([
      413,
      "RequestEntityTooLarge",
      `Request entity too large: ${words}`,
    ]);
  });

  test.each([
    ["an unknown type", type("text/plain"), {}, 415],
    ["a list where an object must be", MERGE, [1], 400],
    ["broken JSON", MERGE, "{", 400],
    ["a path that is not there", JSON_PATCH, [{ op: "remove", path: "/nope" }], 422],
    ["a wrong type", MERGE, { spec: { replicas: "two" } }, 422],
    ["another name", MERGE, { metadata: { name: "other" } }, 400],
    ["what validation refuses", MERGE, { spec: { replicas: -1 } }, 422],
    ["an old revision", MERGE, { metadata: { resourceVersion: "1" } }, 409],
    ["a change of the selector", MERGE, { spec: { selector: { matchLabels: { app: "x" } } } }, 422],
  ])("%s is refused", async (_what, options, patch, code) => {
    await api.call("POST", PATH, deployment("r"));
    const answer = await api.call("PATCH", `${PATH}/r`, patch as object | string, options);
    expect([answer.code, answer.body.kind]).toEqual([code, "Status"]);
  });

  test("force is for apply alone", async () => {
    const { code } = await api.call("PATCH", `${PATH}/r?force=true`, {}, MERGE);
    expect(code).toBe(422);
  });
});

describe("server-side apply", () => {
  test("creates, owns, and takes away what it no longer names", async () => {
    const full = deployment("own", [{ name: "a", image: "i:1", env: [{ name: "K", value: "v" }] }]);
    expect((await apply("own", "me", full)).code).toBe(201);
    const { body } = await apply("own", "me", deployment("own"));
    expect(containersOf(body)[0]?.env).toBeUndefined();
    const [entry] = body.metadata.managedFields;
    expect(entry).toMatchObject({ manager: "me", operation: "Apply", apiVersion: "apps/v1" });
  });

  test("the same again changes nothing", async () => {
    const first = await apply("idem", "me", deployment("idem"));
    const second = await apply("idem", "me", deployment("idem"));
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion);
  });

  test("conflicts name the owner, and force takes over", async () => {
    await apply("con", "one", deployment("con"));
    const other = deployment("con", [{ name: "a", image: "i:2" }]);
    const refused = await apply("con", "two", other);
    expect(refused.code).toBe(409);
    expect(refused.body.message).toContain('conflict with "one"');
    expect(refused.body.details.causes).toContainEqual({
      reason: "FieldManagerConflict",
      message: 'conflict with "one"',
      field: '.spec.template.spec.containers[name="a"].image',
    });
    const forced = await apply("con", "two", other, "&force=true");
    expect(containersOf(forced.body)[0]?.image).toBe("i:2");
  });

  test("two share a list by its keys", async () => {
    await apply("share", "one", deployment("share"));
    const mine = deployment("share", [{ name: "b", image: "i:1" }]);
    const { body } = await apply("share", "two", mine);
    expect(containersOf(body).map(({ name }) => name)).toEqual(["a", "b"]);
  });

  test("updates are tracked too, and an apply after them meets them", async () => {
    await apply("mix", "one", {
      ...deployment("mix"),
      spec: { ...deployment("mix").spec, replicas: 2 },
    });
    await api.call("PATCH", `${PATH}/mix?fieldManager=scaler`, { spec: { replicas: 5 } }, MERGE);
    const again = await apply("mix", "one", {
      ...deployment("mix"),
      spec: { ...deployment("mix").spec, replicas: 2 },
    });
    expect(again.body.message).toContain('conflict with "scaler"');
    const without = await apply("mix", "one", deployment("mix"));
    expect(without.body.spec.replicas).toBe(5);
  });

  test("the status has owners of its own", async () => {
    await apply("stat", "one", deployment("stat"));
    const status = { ...deployment("stat"), spec: undefined, status: { replicas: 3 } };
    const path = `${PATH}/stat/status?fieldManager=agent`;
    const { body } = await api.call("PATCH", path, JSON.stringify(status), APPLY);
    expect(body.status.replicas).toBe(3);
    expect(body.metadata.managedFields).toContainEqual(
      expect.objectContaining({ manager: "agent", subresource: "status" }),
    );
  });

  test.each([
    ["no manager", `${PATH}/x`, deployment("x"), 422],
    ["no kind", `${PATH}/x?fieldManager=me`, { metadata: { name: "x" } }, 400],
    [
      "managed fields of its own",
      `${PATH}/x?fieldManager=me`,
      { ...deployment("x"), metadata: { name: "x", managedFields: [{ manager: "y" }] } },
      400,
    ],
    ["something that is no object", `${PATH}/x?fieldManager=me`, [1], 400],
  ])("%s is refused", async (_what, path, object, code) => {
    const answer = await api.call("PATCH", path, JSON.stringify(object), APPLY);
    expect(answer.code).toBe(code);
  });

  test("YAML is taken as it comes", async () => {
    const yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: y\ndata:\n  k: v\n";
    const path = "/api/v1/namespaces/default/configmaps/y?fieldManager=me";
    const { code, body } = await api.call("PATCH", path, yaml, APPLY);
    expect([code, body.data]).toEqual([201, { k: "v" }]);
  });
});
