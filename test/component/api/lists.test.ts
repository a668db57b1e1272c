import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
const PATH = "/api/v1/namespaces/default/configmaps";
const NAMES = Array.from({ length: 10 }, (_, i) => `l${i}`);

beforeAll(async () => {
  api = await startApi();
  for (const [i, name] of NAMES.entries()) {
    const labels = { parity: i % 2 === 0 ? "even" : "odd", nth: String(i) };
    await api.create(PATH, { metadata: { name, labels } });
  }
});
afterAll(() => api.close());

const namesIn = (body: { items: Array<{ metadata: { name: string } }> }): string[] =>
  body.items.map(({ metadata }) => metadata.name);

describe("selectors", () => {
  test.each([
    ["labelSelector=parity%3Deven", ["l0", "l2", "l4", "l6", "l8"]],
    ["labelSelector=nth+in+(1,2)", ["l1", "l2"]],
    ["labelSelector=parity%21%3Deven,nth%21%3D1", ["l3", "l5", "l7", "l9"]],
    ["labelSelector=absent", []],
    ["fieldSelector=metadata.name%3Dl3", ["l3"]],
    ["fieldSelector=metadata.namespace%3Dother", []],
    ["labelSelector=parity%3Dodd&fieldSelector=metadata.name%21%3Dl1", ["l3", "l5", "l7", "l9"]],
  ])("%s", async (query, names) => {
    const { body } = await api.call("GET", `${PATH}?${query}`);
    expect(body).toMatchObject({ kind: "ConfigMapList", apiVersion: "v1" });
    expect(namesIn(body)).toEqual(names);
  });

  test("a field that the kind does not know is refused", async () => {
    const { code, body } = await api.call("GET", `${PATH}?fieldSelector=data.k%3Dv`);
    expect(code).toBe(400);
    expect(body.message).toContain('"data.k" is not a known field selector');
  });

  test("all namespaces at once", async () => {
    const { body } = await api.call("GET", "/api/v1/configmaps?labelSelector=nth");
    expect(namesIn(body)).toEqual(NAMES);
  });
});

describe("pages", () => {
  test("go on at the same revision, and count what is left", async () => {
    const first = (await api.call("GET", `${PATH}?limit=4`)).body;
    expect(namesIn(first)).toEqual(NAMES.slice(0, 4));
    expect(first.metadata.remainingItemCount).toBe(6);
    await api.create(PATH, { metadata: { name: "l55" } });
    await api.call("DELETE", `${PATH}/l6`);
    const token = encodeURIComponent(first.metadata.continue);
    const rest = (await api.call("GET", `${PATH}?limit=100&continue=${token}`)).body;
    expect(namesIn(rest)).toEqual(NAMES.slice(4));
    expect(rest.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    expect(rest.metadata.continue).toBeUndefined();
    await api.call("DELETE", `${PATH}/l55`);
    await api.create(PATH, { metadata: { name: "l6", labels: { parity: "even", nth: "6" } } });
  });

  test("a token that the history has left behind is 410, with one that goes on", async () => {
    const first = (await api.call("GET", `${PATH}?limit=4`)).body;
    await api.create(PATH, { metadata: { name: "l45" } });
    await api.store.compact(api.store.revision());
    const token = encodeURIComponent(first.metadata.continue);
    const gone = await api.call("GET", `${PATH}?limit=4&continue=${token}`);
    expect(gone.code).toBe(410);
    expect(gone.body.reason).toBe("Expired");
    const next = encodeURIComponent(gone.body.metadata.continue);
    const rest = (await api.call("GET", `${PATH}?continue=${next}`)).body;
    expect(namesIn(rest)).toEqual(["l4", "l45", ...NAMES.slice(5)]);
    await api.call("DELETE", `${PATH}/l45`);
  });

  test.each([
    ["continue=xyz", 400],
    ["continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0&resourceVersion=5", 400],
    ["sendInitialEvents=true", 422],
    ["timeoutSeconds=soon", 400],
    ["limit=many", 400],
    ["resourceVersionMatch=Exact", 422],
    ["resourceVersion=0&resourceVersionMatch=Exact", 422],
    ["resourceVersion=1&resourceVersionMatch=Wrong", 422],
    ["resourceVersion=99999999", 504],
    ["resourceVersion=x", 400],
  ])("%s is refused", async (query, code) => {
    expect((await api.call("GET", `${PATH}?${query}`)).code).toBe(code);
  });

  test("an exact revision shows the state of then", async () => {
    const { resourceVersion } = (await api.call("GET", PATH)).body.metadata;
    await api.create(PATH, { metadata: { name: "later" } });
    const exact = `resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`;
    expect(namesIn((await api.call("GET", `${PATH}?${exact}`)).body)).toEqual(NAMES);
    const atLeast = `resourceVersion=${resourceVersion}&resourceVersionMatch=NotOlderThan`;
    expect(namesIn((await api.call("GET", `${PATH}?${atLeast}`)).body)).toContain("later");
    await api.call("DELETE", `${PATH}/later`);
  });
});

describe("forms", () => {
  test("a table with the objects' metadata, or none, or all", async () => {
    const headers = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };
    const { body } = await api.call("GET", `${PATH}?limit=1`, undefined, { headers });
    expect(body.kind).toBe("Table");
    expect(body.metadata.continue).toBeString();
    expect(body.rows[0].object.kind).toBe("PartialObjectMetadata");
    const none = await api.call("GET", `${PATH}?includeObject=None`, undefined, { headers });
    expect(none.body.rows[0].object).toBeNull();
    const all = await api.call("GET", `${PATH}?includeObject=Object`, undefined, { headers });
    expect(all.body.rows[0].object.kind).toBe("ConfigMap");
  });

  test("metadata alone", async () => {
    const headers = { accept: "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io" };
    const { body } = await api.call("GET", PATH, undefined, { headers });
    expect(body.kind).toBe("PartialObjectMetadataList");
    expect(body.items[0]).toMatchObject({
      kind: "PartialObjectMetadata",
      metadata: { name: "l0" },
    });
  });

  test("a version of a kind that is stored as another", async () => {
    const v2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
    const v1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
    const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "d" };
    await api.create(v1, {
      metadata: { name: "h" },
      spec: { scaleTargetRef, maxReplicas: 3, targetCPUUtilizationPercentage: 50 },
    } as object);
    const newer = (await api.call("GET", `${v2}/h`)).body;
    expect(newer.apiVersion).toBe("autoscaling/v2");
    expect(newer.spec.metrics[0].resource.target.averageUtilization).toBe(50);
    const older = (await api.call("GET", v1)).body;
    expect(older.items[0]).toMatchObject({
      apiVersion: "autoscaling/v1",
      spec: { targetCPUUtilizationPercentage: 50 },
    });
  });
});
