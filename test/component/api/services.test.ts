import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi({
    settings: {
      serviceCidrs: ["10.9.0.0/27"],
      nodePorts: { first: 30_000, last: 30_019 },
      advertise: { address: "192.0.2.1", port: 6443 },
    },
  });
});
afterAll(() => api.close());

const PATH = "/api/v1/namespaces/default/services";
const service = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { selector: { app: "a" }, ports: [{ port: 80 }], ...spec },
});
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
const drop = (name: string) => api.call("DELETE", `${PATH}/${name}`);

test("the first address is the API's own", async () => {
  const { body } = await api.call("GET", `${PATH}/kubernetes`);
  expect(body.spec).toMatchObject({ clusterIP: "10.9.0.1", clusterIPs: ["10.9.0.1"] });
  const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes";
  expect((await api.call("GET", slices)).body.endpoints[0].addresses).toEqual(["192.0.2.1"]);
});

describe("addresses", () => {
  test.each([
    ["10.9.0.1", "provided IP is already allocated"],
    ["10.8.0.1", "not in the valid range. The range of valid IPs is 10.9.0.0/27"],
  ])("%s cannot be had", async (clusterIP, message) => {
    const { code, body } = await api.call("POST", PATH, service("no", { clusterIP }));
    expect(code).toBe(422);
    expect(body.message).toContain(message);
    expect(body.details.causes[0].field).toBe("spec.clusterIPs");
  });

  test("one that was let go can be had again", async () => {
    expect((await api.call("POST", PATH, service("a", { clusterIP: "10.9.0.9" }))).code).toBe(201);
    await drop("a");
    expect((await api.call("POST", PATH, service("b", { clusterIP: "10.9.0.9" }))).code).toBe(201);
    await drop("b");
  });

  test("a refused Service takes nothing with it", async () => {
    const bad = service("Bad Name", { clusterIP: "10.9.0.10" });
    expect((await api.call("POST", PATH, bad)).code).toBe(422);
    expect((await api.call("POST", PATH, service("good", { clusterIP: "10.9.0.10" }))).code).toBe(
      201,
    );
    await drop("good");
  });

  test("headless and external Services have none", async () => {
    const headless = await api.call("POST", PATH, service("h", { clusterIP: "None" }));
    expect(headless.body.spec).toMatchObject({ clusterIP: "None", clusterIPs: ["None"] });
    const external = service("x", { type: "ExternalName", externalName: "a.b", ports: undefined });
    expect((await api.call("POST", PATH, external)).body.spec.clusterIP).toBeUndefined();
    await drop("h");
    await drop("x");
  });

  test("a client that writes back without them keeps them", async () => {
    const made = (await api.call("POST", PATH, service("k", { type: "NodePort" }))).body;
    const put = await api.call("PUT", `${PATH}/k`, service("k", { type: "NodePort" }));
    expect(put.body.spec.clusterIP).toBe(made.spec.clusterIP);
    expect(put.body.spec.ports[0].nodePort).toBe(made.spec.ports[0].nodePort);
    await drop("k");
  });

  test("two families on a cluster of one are refused", async () => {
    const dual = service("d", { ipFamilyPolicy: "RequireDualStack" });
    const { code, body } = await api.call("POST", PATH, dual);
    expect(code).toBe(422);
    expect(body.message).toContain("not configured for dual-stack");
  });
});

describe("ports", () => {
  test.each([
    [29_999, "provided port is not in the valid range. The range of valid ports is 30000-30019"],
    [30_007, "provided port is already allocated"],
  ])("%d cannot be had", async (nodePort, message) => {
    const ports = (port: number) => ({ type: "NodePort", ports: [{ port: 80, nodePort: port }] });
    await api.call("POST", PATH, service("holder", ports(30_007)));
    const { body } = await api.call("POST", PATH, service("np", ports(nodePort)));
    expect(body.details.causes[0]).toMatchObject({ field: "spec.ports[0].nodePort" });
    expect(body.message).toContain(message);
    await drop("holder");
  });

  test("go when the type no longer has them", async () => {
    const made = (await api.call("POST", PATH, service("t", { type: "NodePort" }))).body;
    const { nodePort } = made.spec.ports[0];
    const spec = { type: "ClusterIP", externalTrafficPolicy: null };
    const patched = await api.call("PATCH", `${PATH}/t`, { spec }, MERGE);
    expect(patched.body.spec.ports[0].nodePort).toBeUndefined();
    const again = service("u", { type: "NodePort", ports: [{ port: 80, nodePort }] });
    expect((await api.call("POST", PATH, again)).code).toBe(201);
    await drop("t");
    await drop("u");
  });
});

test("whatever happens, no address and no port is held twice, and none is lost", async () => {
  const step = fc.record({
    name: fc.integer({ min: 0, max: 11 }).map((n) => `s${n}`),
    act: fc.constantFrom("create", "node", "delete", "switch"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      await Promise.all(
        steps.map(({ name, act }) => {
          if (act === "create") return api.call("POST", PATH, service(name));
          if (act === "node") return api.call("POST", PATH, service(name, { type: "NodePort" }));
          if (act === "delete") return drop(name);
          return api.call("PATCH", `${PATH}/${name}`, { spec: { type: "NodePort" } }, MERGE);
        }),
      );
      const { items } = (await api.call("GET", PATH)).body;
      const ips = items.map((s: { spec: { clusterIP: string } }) => s.spec.clusterIP);
      expect(new Set(ips).size).toBe(ips.length);
      const ports = items.flatMap((s: { spec: { ports: Array<{ nodePort?: number }> } }) =>
        s.spec.ports.flatMap(({ nodePort }) => nodePort ?? []),
      );
      expect(new Set(ports).size).toBe(ports.length);
      for (const { metadata } of items)
        if (metadata.name !== "kubernetes") await drop(metadata.name);
    }),
    { numRuns: 25 },
  );
  const all = Array.from({ length: 20 }, (_, i) => `all${i}`);
  for (const name of all) {
    expect((await api.call("POST", PATH, service(name, { type: "NodePort" }))).code).toBe(201);
  }
  const full = await api.call("POST", PATH, service("full", { type: "NodePort" }));
  expect(full.body.message).toContain("range is full");
  for (const name of all) await drop(name);
});
