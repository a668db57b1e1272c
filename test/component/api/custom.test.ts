import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };

const schema = {
  type: "object",
  properties: {
    spec: {
      type: "object",
      required: ["size"],
      properties: {
        size: { type: "integer", minimum: 1, maximum: 9 },
        color: { type: "string", enum: ["red", "blue"], default: "red" },
        name: { type: "string", pattern: "^[a-z]+$", maxLength: 5 },
        free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        ports: {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["port"],
          items: {
            type: "object",
            required: ["port"],
            properties: { port: { type: "integer" }, name: { type: "string" } },
          },
        },
      },
    },
    status: {
      type: "object",
      properties: { ready: { type: "boolean" }, replicas: { type: "integer" } },
    },
  },
};

function definition(kind: string, version: object = {}, spec: object = {}) {
  const plural = `${kind.toLowerCase()}s`;
  return {
    metadata: { name: `${plural}.x.io` },
    spec: {
      group: "x.io",
      scope: "Namespaced",
      names: {
        kind,
        plural,
        shortNames: [kind === "Thing" ? "th" : kind.toLowerCase().slice(0, 3)],
      },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: {
            status: {},
            scale: { specReplicasPath: ".spec.size", statusReplicasPath: ".status.replicas" },
          },
          additionalPrinterColumns: [
            { name: "Size", type: "integer", jsonPath: ".spec.size" },
            { name: "Ready", type: "boolean", jsonPath: ".status.ready" },
            { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
          ],
          selectableFields: [{ jsonPath: ".spec.color" }],
          ...version,
        },
      ],
      ...spec,
    },
  };
}

/** Lets the server work until something is so. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error("it never came about");
    await Bun.sleep(2);
  }
}

const isGone = async (path: string): Promise<boolean> => (await api.call("GET", path)).code === 404;

async function define(object: ReturnType<typeof definition>): Promise<string> {
  const made = await api.call("POST", CRDS, object);
  if (made.code !== 201) throw new Error(made.text);
  const { name } = object.metadata;
  await until(async () => {
    const { body } = await api.call("GET", `${CRDS}/${name}`);
    const conditions: Array<{ type: string; status: string }> = body.status.conditions ?? [];
    return conditions.some(({ type, status }) => type === "Established" && status === "True");
  });
  return `/apis/x.io/v1/namespaces/default/${object.spec.names.plural}`;
}

const thing = (name: string, spec: object) => ({
  apiVersion: "x.io/v1",
  kind: "Thing",
  metadata: { name },
  spec,
});

describe("a definition", () => {
  let path = "";
  beforeAll(async () => {
    path = await define(definition("Thing"));
  });

  test("is served, found and described", async () => {
    const { resources } = (await api.call("GET", "/apis/x.io/v1")).body;
    const names = resources.map((each: { name: string }) => each.name);
    expect(names).toEqual(["things", "things/status", "things/scale"]);
    expect(resources[0]).toMatchObject({ kind: "Thing", shortNames: ["th"], namespaced: true });
    expect((await api.call("GET", "/openapi/v3/apis/x.io/v1")).text).toContain('"color"');
  });

  test("sets defaults, prunes what it does not know, keeps what it preserves", async () => {
    const spec = { size: 2, stray: 1, free: { any: { thing: 1 } } };
    const { code, body } = await api.call("POST", path, thing("a", spec));
    expect(code).toBe(201);
    expect(body.spec).toEqual({ size: 2, color: "red", free: { any: { thing: 1 } } });
    expect(body.metadata.generation).toBe(1);
  });

  test.each([
    [{ size: "two" }, "spec.size", /must be of type integer: "string"/],
    [{}, "spec.size", "Required value"],
    [{ size: 10 }, "spec.size", "spec.size in body should be less than or equal to 9"],
    [
      { size: 1, color: "green" },
      "spec.color",
      'Unsupported value: "green": supported values: "red", "blue"',
    ],
    [{ size: 1, name: "A" }, "spec.name", "spec.name in body should match '^[a-z]+$'"],
    [{ size: 1, name: "abcdef" }, "spec.name", "Too long: may not be more than 5 bytes"],
    [
      { size: 1, ports: [{ port: 1 }, { port: 1 }] },
      "spec.ports[1]",
      'Duplicate value: {"port":1}',
    ],
  ])("refuses %j", async (spec, field, message) => {
    const { code, body } = await api.call("POST", path, thing("bad", spec));
    expect(code).toBe(422);
    expect(body.details).toMatchObject({ group: "x.io", kind: "Thing", name: "bad" });
    expect(body.details.causes[0].field).toBe(field);
    expect(body.details.causes[0].message).toMatch(message);
  });

  test("unknown fields are refused when strict", async () => {
    const stray = thing("strict", { size: 1, stray: 1 });
    const { code, body } = await api.call("POST", `${path}?fieldValidation=Strict`, stray);
    expect(code).toBe(400);
    expect(body.message).toContain('unknown field "spec.stray"');
  });

  test("status and scale are apart", async () => {
    await api.create(path, thing("sub", { size: 3 }));
    const both = { spec: { size: 9 }, status: { ready: true, replicas: 2 } };
    const status = await api.call("PATCH", `${path}/sub/status`, both, MERGE);
    expect(status.body).toMatchObject({ spec: { size: 3 }, status: { ready: true } });
    expect(status.body.metadata.generation).toBe(1);
    const scale = (await api.call("GET", `${path}/sub/scale`)).body;
    expect(scale).toMatchObject({ spec: { replicas: 3 }, status: { replicas: 2 } });
    await api.call("PATCH", `${path}/sub/scale`, { spec: { replicas: 5 } }, MERGE);
    const after = (await api.call("GET", `${path}/sub`)).body;
    expect([after.spec.size, after.metadata.generation]).toEqual([5, 2]);
  });

  test("tables show its columns", async () => {
    const headers = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
    const { body } = await api.call("GET", `${path}?fieldSelector=metadata.name%3Dsub`, undefined, {
      headers,
    });
    expect(body.columnDefinitions.map((c: { name: string }) => c.name)).toEqual([
      "Name",
      "Size",
      "Ready",
      "Age",
    ]);
    expect(body.rows[0].cells.slice(0, 3)).toEqual(["sub", 5, true]);
  });

  test("fields can be selected that it names", async () => {
    await api.create(path, thing("blue", { size: 1, color: "blue" }));
    const { body } = await api.call("GET", `${path}?fieldSelector=spec.color%3Dblue`);
    expect(body.items.map((i: { metadata: { name: string } }) => i.metadata.name)).toEqual([
      "blue",
    ]);
    expect((await api.call("GET", `${path}?fieldSelector=spec.size%3D1`)).code).toBe(400);
  });

  test("server-side apply merges its lists by key; strategic patches are not for it", async () => {
    const apply = (manager: string, port: number) =>
      api.call(
        "PATCH",
        `${path}/ssa?fieldManager=${manager}`,
        JSON.stringify(thing("ssa", { size: 1, ports: [{ port }] })),
        { headers: { "content-type": "application/apply-patch+yaml" } },
      );
    expect((await apply("one", 1)).code).toBe(201);
    const { body } = await apply("two", 2);
    expect(body.spec.ports).toEqual([{ port: 1 }, { port: 2 }]);
    const headers = { "content-type": "application/strategic-merge-patch+json" };
    expect((await api.call("PATCH", `${path}/ssa`, {}, { headers })).code).toBe(415);
  });

  test.each([
    ["unknown: x\nspec:\n  size: 1", 500, ".unknown: field not declared in schema"],
    ["spec:\n  size: 1\n  a: 1\n  b: 1", 500, "errors:\n  .spec.a: field not declared in schema\n"],
    ["spec:\n  size: 1\n  size: 2", 400, 'line 7: key "size" already set in map'],
  ])("applying %j is refused", async (body, code, message) => {
    const text = `apiVersion: x.io/v1\nkind: Thing\nmetadata:\n  name: odd\n${body}`;
    const query = "fieldManager=m&fieldValidation=Strict";
    const answer = await api.call("PATCH", `${path}/odd?${query}`, text, {
      headers: { "content-type": "application/apply-patch+yaml" },
    });
    expect(answer.code).toBe(code);
    expect(answer.body.message).toContain(message);
  });

  test("a replacement must name its revision", async () => {
    const { code } = await api.call("PUT", `${path}/ssa`, thing("ssa", { size: 1 }));
    expect(code).toBe(422);
  });

  test("watches of its objects end with it", async () => {
    const path = await define(definition("Fleeting"));
    await api.create(path, { ...thing("a", { size: 1 }), kind: "Fleeting" });
    const watch = await api.watch(`${path}?watch=1`);
    expect((await watch.next()).type).toBe("ADDED");
    await api.call("DELETE", `${CRDS}/fleetings.x.io`);
    expect((await watch.rest()).map(({ type }) => type)).toEqual(["DELETED"]);
  });

  test("its objects go with it", async () => {
    await api.create(path, {
      ...thing("held", { size: 1 }),
      metadata: { name: "held", finalizers: ["x.io/y"] },
    });
    const { body } = await api.call("DELETE", `${CRDS}/things.x.io`);
    expect(body.metadata.deletionTimestamp).toBeString();
    await until(async () => api.store.count("x.io/things/") <= 1);
    expect(api.store.count("x.io/things/")).toBe(1);
    await api.call("PATCH", `${path}/held`, { metadata: { finalizers: null } }, MERGE);
    await until(() => isGone(`${CRDS}/things.x.io`));
    expect((await api.call("GET", path)).code).toBe(404);
  });
});

describe("null", () => {
  const text = { type: "string" };
  const nullable = { ...text, nullable: true };
  let path = "";
  const spec = async (given: object, name = "n"): Promise<unknown> => {
    await api.call("DELETE", `${path}/${name}`);
    const { code, body } = await api.call("POST", path, { metadata: { name }, spec: given });
    return code === 201 ? body.spec : body.message;
  };
  beforeAll(async () => {
    const properties = {
      foo: { ...nullable, default: "default" },
      bar: nullable,
      baz: text,
      qux: { ...text, default: "x" },
      one: { ...nullable, enum: ["a", "b"] },
    };
    const rules = [{ rule: "!has(self.bar) || self.bar != 'no'" }];
    const own = { type: "object", properties, "x-kubernetes-validations": rules };
    path = await define(
      definition("Nullish", {
        schema: { openAPIV3Schema: { type: "object", properties: { spec: own } } },
        selectableFields: [],
        subresources: undefined,
      }),
    );
  });

  test("stays where it is a value, gives way to a default, or goes", async () => {
    const given = { foo: null, bar: null, baz: null, qux: null };
    expect(await spec(given)).toEqual({ foo: null, bar: null, qux: "x" });
    expect(await spec({})).toEqual({ foo: "default", qux: "x" });
    expect((await api.call("GET", `${path}/n`)).body.spec).toEqual({ foo: "default", qux: "x" });
  });

  test("is no choice, whatever else is", async () => {
    expect(await spec({ one: null })).toContain(
      'spec.one: Unsupported value: null: supported values: "a", "b"',
    );
  });

  test("is nothing to rules", async () => {
    expect(await spec({ bar: "no" })).toContain("failed rule");
    expect(await spec({ bar: null })).toEqual({ foo: "default", bar: null, qux: "x" });
  });

  test("of a merge patch removes, and the default comes back", async () => {
    await spec({ foo: "mine", bar: "yes", baz: "z" });
    const patch = { spec: { foo: null, bar: null, baz: null } };
    const { body } = await api.call("PATCH", `${path}/n`, patch, MERGE);
    expect(body.spec).toEqual({ foo: "default", qux: "x" });
  });

  test("of a JSON patch stands as it would in a new object", async () => {
    await spec({ foo: "mine", bar: "yes", baz: "z", qux: "q" });
    const set = ["foo", "bar", "baz", "qux"].map((field) => ({
      op: "replace",
      path: `/spec/${field}`,
      value: null,
    }));
    const { body } = await api.call("PATCH", `${path}/n`, JSON.stringify(set), {
      headers: { "content-type": "application/json-patch+json" },
    });
    expect(body.spec).toEqual({ foo: null, bar: null, qux: "x" });
  });
});

describe("a schema that is tightened", () => {
  const item = (value: object) => ({
    type: "object",
    properties: { name: { type: "string" }, value: { type: "integer", ...value } },
  });
  const keyed = { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] };
  const schema = (limit: object) => ({
    type: "object",
    properties: {
      spec: {
        type: "object",
        properties: {
          size: { type: "integer", ...limit },
          other: { type: "integer", ...limit },
          keyed: { type: "array", ...keyed, items: { ...item(limit), required: ["name"] } },
          plain: { type: "array", items: item(limit) },
        },
      },
      status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    },
  });
  const versions = (limit: object) => ({
    schema: { openAPIV3Schema: schema(limit) },
    selectableFields: [],
    subresources: { status: {} },
  });
  let path = "";
  const change = (patch: object, subresource = "") =>
    api.call("PATCH", `${path}/old${subresource}`, patch, MERGE);
  const refused = async (spec: object): Promise<string[]> => {
    const { code, body } = await change({ spec });
    expect(code).toBe(422);
    return body.details.causes.map(({ field }: { field: string }) => field);
  };
  const items = (...values: number[]) => values.map((value, at) => ({ name: `n${at}`, value }));

  beforeAll(async () => {
    path = await define(definition("Strict", versions({})));
    const spec = { size: 99, other: 1, keyed: items(99, 1), plain: items(99, 1) };
    await api.create(path, { metadata: { name: "old" }, spec } as object);
    const tight = definition("Strict", versions({ maximum: 9 }));
    expect((await api.call("PUT", `${CRDS}/stricts.x.io`, await current(tight))).code).toBe(200);
    await until(async () => {
      const probe = { metadata: { name: "new" }, spec: { size: 99 } };
      return (await api.call("POST", `${path}?dryRun=All`, probe)).code === 422;
    });
  });
  /** With the revision that a replacement must name. */
  async function current(tight: ReturnType<typeof definition>) {
    const { metadata } = (await api.call("GET", `${CRDS}/stricts.x.io`)).body;
    return { ...tight, apiVersion: "apiextensions.k8s.io/v1", metadata };
  }

  test("lets be what was wrong before and is as it was", async () => {
    expect((await change({ metadata: { labels: { a: "b" } } })).code).toBe(200);
    expect((await change({ spec: { other: 2 } })).code).toBe(200);
    expect((await change({ spec: { keyed: items(99, 2) } })).code).toBe(200);
    expect((await change({ status: { ready: true } }, "/status")).code).toBe(200);
  });

  test("refuses what is changed to be wrong, or wrong in another way", async () => {
    expect(await refused({ size: 98 })).toEqual(["spec.size"]);
    expect(await refused({ other: 10 })).toEqual(["spec.other"]);
    expect(await refused({ keyed: items(99, 10) })).toEqual(["spec.keyed[1].value"]);
  });

  test("knows nothing of the items of a plain list that is changed", async () => {
    expect(await refused({ plain: items(99, 2) })).toEqual(["spec.plain[0].value"]);
  });

  test("takes what is mended", async () => {
    const { code, body } = await change({ spec: { size: 9, keyed: items(9, 9), plain: null } });
    expect([code, body.spec.size]).toEqual([200, 9]);
    expect(await refused({ size: 10 })).toEqual(["spec.size"]);
  });
});

describe("names", () => {
  test("are taken once in a group", async () => {
    await define(definition("Gadget"));
    const rival = definition("Gizmo");
    rival.spec.names.shortNames = ["gad"];
    await api.call("POST", CRDS, rival);
    await until(async () => {
      const { body } = await api.call("GET", `${CRDS}/gizmos.x.io`);
      return body.status.conditions !== undefined;
    });
    const { status } = (await api.call("GET", `${CRDS}/gizmos.x.io`)).body;
    expect(status.conditions).toContainEqual(
      expect.objectContaining({
        type: "NamesAccepted",
        status: "False",
        message: '"gad" is already in use',
      }),
    );
    expect((await api.call("GET", "/apis/x.io/v1/gizmos")).code).toBe(404);
  });
});

describe("versions", () => {
  test("show the same object, each under its own name", async () => {
    const base = definition("Widget", { deprecated: true });
    const [v1] = base.spec.versions;
    const v2 = { ...v1, name: "v2", storage: false, deprecated: false };
    const path = await define({
      ...base,
      spec: { ...base.spec, versions: [v1, v2] as typeof base.spec.versions },
    });
    const made = await api.call("POST", path, {
      metadata: { name: "w" },
      spec: { size: 1 },
    });
    expect(made.headers.get("warning")).toContain("x.io/v1 Widget is deprecated");
    const other = path.replace("/v1/", "/v2/");
    expect((await api.call("GET", `${other}/w`)).body.apiVersion).toBe("x.io/v2");
    const list = (await api.call("GET", other)).body;
    expect([list.apiVersion, list.items[0].apiVersion]).toEqual(["x.io/v2", "x.io/v2"]);
    const patched = await api.call("PATCH", `${other}/w`, { spec: { size: 2 } }, MERGE);
    expect(patched.body).toMatchObject({ apiVersion: "x.io/v2", spec: { size: 2 } });
    expect((await api.call("GET", `${path}/w`)).body).toMatchObject({
      apiVersion: "x.io/v1",
      spec: { size: 2 },
    });
  });
});

describe("rules", () => {
  const ruled = (kind: string, spec: object, rules: object[]) =>
    definition(kind, {
      schema: {
        openAPIV3Schema: {
          type: "object",
          properties: { spec: { type: "object", ...spec, "x-kubernetes-validations": rules } },
        },
      },
      selectableFields: [],
      subresources: undefined,
    });
  const numbers = { properties: { x: { type: "integer" }, y: { type: "integer" } } };

  test("hold on create and update, with their own words", async () => {
    const path = await define(
      ruled("Rule", numbers, [
        { rule: "self.x + self.y > 0" },
        { rule: "self.x >= oldSelf.x", message: "x may not shrink", fieldPath: ".x" },
        {
          rule: "self.y < 100",
          messageExpression: "'y is ' + string(self.y)",
          reason: "FieldValueForbidden",
        },
      ]),
    );
    const bad = await api.call("POST", path, { metadata: { name: "a" }, spec: { x: 1, y: -1 } });
    expect(bad.code).toBe(422);
    expect(bad.body.details.causes[0]).toMatchObject({
      field: "spec",
      message: 'Invalid value: "object": failed rule: self.x + self.y > 0',
    });
    await api.create(path, { metadata: { name: "a" }, spec: { x: 5, y: 1 } } as object);
    const less = await api.call("PATCH", `${path}/a`, { spec: { x: 4 } }, MERGE);
    expect(less.body.details.causes[0]).toMatchObject({
      field: "spec.x",
      message: 'Invalid value: "object": x may not shrink',
    });
    const much = await api.call("PATCH", `${path}/a`, { spec: { y: 100 } }, MERGE);
    expect(much.body.details.causes[0].message).toBe("Forbidden: y is 100");
    const missing = await api.call("POST", path, { metadata: { name: "b" }, spec: { x: 1 } });
    expect(missing.body.message).toContain("no such key: y");
  });

  test.each([
    ["self.z == 100", "undefined field 'z'"],
    ["self = 42", "Syntax error"],
    ["self.x + 'a' == 'b'", "found no matching overload for '_+_' applied to '(int, string)'"],
  ])("%s is no rule", async (rule, message) => {
    const { code, body } = await api.call("POST", CRDS, ruled("Wrong", numbers, [{ rule }]));
    expect(code).toBe(422);
    expect(body.message).toContain(message);
    expect(body.details.causes[0].field).toBe(
      "spec.versions[0].schema.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule",
    );
  });

  test("what could cost too much is refused, what does cost too much fails", async () => {
    const strings = { type: "array", items: { type: "string" } };
    const nested = { properties: { x: { ...strings, items: strings } } };
    const rule = "self.x.all(a, a.all(b, self.x.all(c, c.size() > 0)))";
    const dear = await api.call("POST", CRDS, ruled("Dear", nested, [{ rule }]));
    expect(dear.body.message).toContain("exceeds budget");
    const bounded = {
      properties: { x: { type: "array", maxItems: 1000, items: { type: "integer" } } },
    };
    const path = await define(
      ruled("Slow", bounded, [{ rule: "self.x.all(a, self.x.all(b, a == b))" }]),
    );
    const spec = { x: Array.from({ length: 900 }, () => 1) };
    const ran = await api.call("POST", path, { metadata: { name: "s" }, spec });
    expect(ran.body.message).toContain("call cost exceeds limit");
  });

  test.each([
    ["[3, 1].isSorted() || [1, 2].sum() == 3", true],
    ["['a', 'b', 'a'].indexOf('b') == 1 && ['a'].max() == 'a'", true],
    ["quantity('1Gi').isGreaterThan(quantity('500Mi'))", true],
    ["url('https://a.b:8080/c?d=e').getPort() == '8080'", true],
    ["cidr('10.0.0.0/8').containsIP(ip('10.1.2.3')) && !isIP('x')", true],
    ["semver('1.2.3').isLessThan(semver('1.10.0-rc.1'))", true],
    ["'a-1-b'.find('[0-9]+') == '1' && 'abc'.reverse() == 'cba'", true],
    ["sets.contains([1, 2], [2]) && !sets.intersects([1], [2])", true],
    ["'%s is %d'.format(['x', 5]) == 'x is 5'", true],
    ["has(self.x) && self.x.orValue(1) == 1", false],
  ])("%s", async (rule, fine) => {
    const kind = `${Bun.hash(rule).toString(36).replaceAll(/\d/g, "").slice(0, 3)}f`;
    const Kind = kind.charAt(0).toUpperCase() + kind.slice(1);
    const { code } = await api.call("POST", CRDS, ruled(Kind, numbers, [{ rule }]));
    expect(code).toBe(fine ? 201 : 422);
    if (!fine) return;
    const path = `/apis/x.io/v1/namespaces/default/${kind}s`;
    await until(async () => !(await isGone(path)));
    const made = await api.call("POST", path, { metadata: { name: "a" }, spec: {} });
    expect(made.code).toBe(201);
  });
});
