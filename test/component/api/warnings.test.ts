/** What clients are warned of reaches them, when it should. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { until } from "#test/component/controllers/plane.ts";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const APPS = "/apis/apps/v1/namespaces/default/deployments";
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
const OLD = { "beta.kubernetes.io/os": "linux" };
const WARNING =
  "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use " +
  '\\"kubernetes.io/os\\" instead';

const deployment = (name: string, nodeSelector = {}) => ({
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: "a" } },
    template: {
      metadata: { labels: { app: "a" } },
      spec: { nodeSelector, containers: [{ name: "c", image: "i:1" }] },
    },
  },
});

const warned = (headers: Headers): string => headers.get("warning") ?? "";

test("a new object is warned of, each time it is sent, and one without fault is not", async () => {
  const dry = await api.call("POST", `${APPS}?dryRun=All`, deployment("d", OLD));
  expect([dry.code, warned(dry.headers)]).toEqual([201, `299 - "${WARNING}"`]);
  const made = await api.call("POST", APPS, deployment("d", OLD));
  expect(warned(made.headers)).toBe(`299 - "${WARNING}"`);
  expect(warned((await api.call("POST", APPS, deployment("fine"))).headers)).toBe("");
});

test("a change of the template is, one of labels or of the status is not", async () => {
  const change = async (path: string, patch: object): Promise<string> => {
    const { code, headers } = await api.call("PATCH", `${APPS}/${path}`, patch, MERGE);
    expect(code).toBe(200);
    return warned(headers);
  };
  expect(await change("d", { spec: { replicas: 3 } })).toBe(`299 - "${WARNING}"`);
  expect(await change("d", { metadata: { labels: { a: "b" } } })).toBe("");
  expect(await change("d/status", { status: { replicas: 1 } })).toBe("");
  const without = { spec: { template: { spec: { nodeSelector: null } } } };
  expect(await change("d", without)).toBe("");
});

test("what is refused is not", async () => {
  const bad = { ...deployment("bad", OLD), spec: { ...deployment("bad", OLD).spec, replicas: -1 } };
  const { code, headers } = await api.call("POST", APPS, bad);
  expect([code, warned(headers)]).toEqual([422, ""]);
});

test("definitions of unknown formats are, and finalizers of custom resources", async () => {
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const text = (format: string) => ({ type: "string", format });
  const properties = {
    a: text("date-time"),
    b: text("color"),
    c: { type: "integer", format: "x" },
  };
  const spec = {
    type: "object",
    properties: { ...properties, d: { type: "array", items: text("z") } },
  };
  const names = { plural: "hats", singular: "hat", kind: "Hat", listKind: "HatList" };
  const made = await api.call("POST", path, {
    metadata: { name: "hats.warn.io" },
    spec: {
      ...{ group: "warn.io", scope: "Namespaced", names },
      versions: [
        {
          ...{ name: "v1", served: true, storage: true },
          schema: { openAPIV3Schema: { type: "object", properties: { spec } } },
        },
      ],
    },
  });
  expect(made.code).toBe(201);
  expect(warned(made.headers)).toContain('unrecognized format \\"color\\"');
  expect(warned(made.headers)).toContain('unrecognized format \\"z\\"');
  expect(warned(made.headers).match(/299/g)).toHaveLength(2);
  const hats = "/apis/warn.io/v1/namespaces/default/hats";
  const put = (finalizers: string[]) =>
    api.call("POST", hats, { metadata: { name: "h", finalizers } });
  await until("hats are served", async () => (await api.call("GET", hats)).code === 200);
  const hat = await put(["plain", "dotted.io", "fine.io/x", "orphan"]);
  expect(hat.code).toBe(201);
  const why = "to avoid accidental conflicts with other finalizer writers";
  expect(warned(hat.headers)).toBe(
    [
      `299 - "metadata.finalizers: \\"dotted.io\\": prefer a domain-qualified finalizer name ` +
        `including a path (/) ${why}"`,
      `299 - "metadata.finalizers: \\"plain\\": prefer a domain-qualified finalizer name ${why}"`,
    ].join(", "),
  );
  const later = await api.call("PATCH", `${hats}/h`, { metadata: { labels: { a: "b" } } }, MERGE);
  expect(warned(later.headers)).toBe("");
});

test("many warnings are cut to what a client reads in headers", async () => {
  const env = Array.from({ length: 4_000 }, () => ({ name: `A_${"x".repeat(300)}`, value: "" }));
  const many = deployment("many");
  Object.assign(many.spec.template.spec.containers[0] as object, { env });
  const { code, headers } = await api.call("POST", `${APPS}?dryRun=All`, many);
  expect(code).toBe(201);
  const told = warned(headers).split(", 299 ");
  expect(told).toHaveLength(4_096 / 256);
  expect(told[0]).toStartWith('299 - "spec.template.spec.containers[0].env[1]: hides previous');
});
