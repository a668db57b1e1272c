import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPki, type Pki } from "#api/pki.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { startApi, type TestApi } from "#test/support/api.ts";

interface Place {
  apiVersion: string;
  kind?: string;
  metadata: { name: string; labels?: Record<string, string> };
  hostPort?: string;
  host?: string;
  port?: string;
}

let api: TestApi;
let pki: Pki;
let server: ReturnType<typeof Bun.serve>;
let calls = 0;
const dir = mkdtempSync(join(tmpdir(), "bramble-convert-"));

/** The example of the conformance suite: `hostPort` in v1 is `host` and `port` in v2. */
function convert(place: Place, apiVersion: string): Place {
  const { hostPort, host, port, ...rest } = place;
  if (apiVersion === place.apiVersion) return place;
  if (apiVersion.endsWith("/v1")) {
    return { ...rest, apiVersion, ...(host && { hostPort: `${host}:${port}` }) };
  }
  const [h = "", p = ""] = (hostPort ?? "").split(":");
  return { ...rest, apiVersion, ...(hostPort && { host: h, port: p }) };
}

const text = { type: "string" };
const version = (name: string, storage: boolean, fields: string[]) => ({
  name,
  served: true,
  storage,
  schema: {
    openAPIV3Schema: {
      type: "object",
      properties: Object.fromEntries(fields.map((field) => [field, text])),
    },
  },
  selectableFields: fields.map((field) => ({ jsonPath: `.${field}` })),
});
const versions = (stored: string) => [
  version("v1", stored === "v1", ["hostPort"]),
  version("v2", stored === "v2", ["host", "port"]),
];

const CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const at = (v: string) => `/apis/c.io/${v}/namespaces/default/places`;
const place = (v: string, name: string, fields: object): Place => ({
  apiVersion: `c.io/${v}`,
  kind: "Place",
  metadata: { name },
  ...fields,
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error("it never came about");
    await Bun.sleep(2);
  }
}

beforeAll(async () => {
  api = await startApi();
  pki = await openPki({
    dir,
    clock: realClock,
    random: realRandom,
    log: silentLog,
    names: [],
    ips: ["127.0.0.1"],
  });
  const { certPem, keyPem } = pki.server();
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: certPem, key: keyPem },
    async fetch(request) {
      calls += 1;
      const review = (await request.json()) as {
        request: { uid: string; desiredAPIVersion: string; objects: Place[] };
      };
      const { uid, desiredAPIVersion, objects } = review.request;
      const bad = objects.some(({ metadata }) => metadata.name === "bad");
      const result = bad ? { status: "Failed", message: "it is bad" } : { status: "Success" };
      const convertedObjects = objects.map((each) => convert(each, desiredAPIVersion));
      return Response.json({ ...review, response: { uid, result, convertedObjects } });
    },
  });
  await api.create(CRD, {
    metadata: { name: "places.c.io" },
    spec: {
      group: "c.io",
      scope: "Namespaced",
      names: { kind: "Place", plural: "places" },
      versions: versions("v1"),
      conversion: {
        strategy: "Webhook",
        webhook: {
          clientConfig: { url: `https://127.0.0.1:${server.port}/`, caBundle: btoa(pki.caPem) },
          conversionReviewVersions: ["v1"],
        },
      },
    },
  } as object);
  await until(async () => (await api.call("GET", at("v2"))).code === 200);
});
afterAll(async () => {
  await server.stop(true);
  pki.close();
  await api.close();
  rmSync(dir, { recursive: true, force: true });
});

const namesAt = async (path: string): Promise<string[]> =>
  (await api.call("GET", path)).body.items.map((each: Place) => each.metadata.name);

test("objects are kept in one version and shown in each", async () => {
  const made = await api.call("POST", at("v2"), place("v2", "a", { host: "h", port: "1" }));
  expect([made.code, made.body.host, made.body.apiVersion]).toEqual([201, "h", "c.io/v2"]);
  const old = (await api.call("GET", `${at("v1")}/a`)).body;
  expect(old).toMatchObject({ apiVersion: "c.io/v1", hostPort: "h:1" });
  expect(old.host).toBeUndefined();
  expect(old.metadata.uid).toBe(made.body.metadata.uid);
  expect(old.metadata.resourceVersion).toBe(made.body.metadata.resourceVersion);
  const { body } = await api.call("PUT", `${at("v2")}/a`, { ...made.body, port: "2" });
  expect(body).toMatchObject({ host: "h", port: "2", metadata: { generation: 2 } });
  expect((await api.call("GET", `${at("v1")}/a`)).body.hostPort).toBe("h:2");
});

test("what is converted once is not converted again", async () => {
  await api.call("GET", `${at("v2")}/a`);
  const before = calls;
  await api.call("GET", `${at("v2")}/a`);
  expect(calls).toBe(before);
});

test("fields of each version select, in lists, watches and collections", async () => {
  const watch = await api.watch(`${at("v2")}?watch=1&fieldSelector=host%3Dsel`);
  await api.create(at("v2"), place("v2", "s1", { host: "sel", port: "80" }));
  await api.create(at("v1"), place("v1", "s2", { hostPort: "sel:81" }));
  await api.create(at("v1"), place("v1", "s3", { hostPort: "other:80" }));
  expect(await namesAt(`${at("v2")}?fieldSelector=host%3Dsel`)).toEqual(["s1", "s2"]);
  expect(await namesAt(`${at("v2")}?fieldSelector=host%3Dsel,port%3D81`)).toEqual(["s2"]);
  expect(await namesAt(`${at("v1")}?fieldSelector=hostPort%3Dsel:80`)).toEqual(["s1"]);
  expect((await api.call("GET", `${at("v2")}?fieldSelector=hostPort%3Dx`)).code).toBe(400);
  const live = (await api.call("GET", `${at("v2")}/s1`)).body;
  await api.call("PUT", `${at("v2")}/s1`, { ...live, host: "moved" });
  await api.call("DELETE", `${at("v2")}?fieldSelector=host%3Dsel`);
  expect(await namesAt(at("v2"))).toEqual(["a", "s1", "s3"]);
  const seen = [await watch.next(), await watch.next(), await watch.next(), await watch.next()];
  watch.end();
  expect(seen.map(({ type, object }) => [type, object.metadata.name, object.host])).toEqual([
    ["ADDED", "s1", "sel"],
    ["ADDED", "s2", "sel"],
    ["DELETED", "s1", "sel"],
    ["DELETED", "s2", "sel"],
  ]);
});

test("a webhook that refuses fails the request in its words", async () => {
  const { code, body } = await api.call("POST", at("v2"), place("v2", "bad", { host: "h" }));
  expect(code).toBe(500);
  expect(body.message).toMatch(
    /^conversion webhook for c\.io\/v2, Kind=Place failed: .*it is bad$/,
  );
});

test("lists mix what was stored in either version", async () => {
  const headers = { "content-type": "application/merge-patch+json" };
  const spec = { versions: versions("v2") };
  const changed = await api.call("PATCH", `${CRD}/places.c.io`, { spec }, { headers });
  expect(changed.body.status.storedVersions).toEqual(["v1", "v2"]);
  await until(async () => {
    await api.call("DELETE", `${at("v1")}/new`);
    await api.create(at("v1"), place("v1", "new", { hostPort: "n:1" }));
    const item = await api.store.get("c.io/places/default/new");
    return item?.value.includes('"apiVersion":"c.io/v2"') === true;
  });
  const v1 = (await api.call("GET", at("v1"))).body.items as Place[];
  expect(v1.map((each) => each.hostPort)).toEqual(["h:2", "n:1", "moved:80", "other:80"]);
  const v2 = (await api.call("GET", at("v2"))).body.items as Place[];
  expect(v2.map((each) => [each.host, each.hostPort])).toEqual([
    ["h", undefined],
    ["n", undefined],
    ["moved", undefined],
    ["other", undefined],
  ]);
});
