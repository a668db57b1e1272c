/** How answers travel: packed, kept by those that know them, and what is absent. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { limits } from "#base/limits.ts";
import type { ApiObject } from "#resources/meta.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";
const TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io";
const PROTOBUF = "application/vnd.kubernetes.protobuf";
const FAR = "192.0.2.9";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
  const half = "x".repeat(limits.gzipBytesMin / 2);
  for (const name of ["a", "b", "c"]) {
    await api.create(MAPS, { metadata: { name }, data: { half } } as object);
  }
});
afterAll(() => api.close());

/** As a client at that address asks. */
function ask(
  path: string,
  headers: Record<string, string> = {},
  remoteAddress = FAR,
): Promise<Response> {
  return api.raw(path, { headers }, { user: ADMIN, remoteAddress });
}
const GZIP = { "accept-encoding": "deflate, gzip" };
/** A table's ages may be those of the next second. */
const ageless = (text: string): string => text.replaceAll(/"\d+s"/g, '"-"');
const encodingOf = (response: Response) => response.headers.get("content-encoding");

describe("what is long", () => {
  test.each([
    ["a list", MAPS, "application/json"],
    ["a table", MAPS, TABLE],
    ["one object", `${MAPS}/big`, "application/json"],
  ])("%s is packed where the client takes it, and is the same", async (_, path, accept) => {
    const data = { whole: "y".repeat(limits.gzipBytesMin) };
    await api.call("POST", MAPS, { metadata: { name: "big" }, data });
    const object = accept === TABLE ? "?includeObject=Object" : "";
    const plain = await ask(`${path}${object}`, { accept });
    const packed = await ask(`${path}${object}`, { ...GZIP, accept });
    expect([encodingOf(plain), encodingOf(packed)]).toEqual([null, "gzip"]);
    expect(packed.headers.get("vary")).toContain("Accept-Encoding");
    const bytes = await packed.bytes();
    const text = await plain.text();
    expect(ageless(gunzipSync(bytes).toString())).toBe(ageless(text));
    expect(bytes.length).toBeLessThan(text.length / 10);
  });

  test("is sent as it is to clients that take nothing packed, and one object nearby", async () => {
    for (const near of ["127.0.0.1", "::1", "::ffff:127.0.0.1"]) {
      expect(encodingOf(await ask(MAPS, GZIP, near))).toBeNull();
    }
    expect(encodingOf(await ask(MAPS, { "accept-encoding": "br" }))).toBeNull();
  });

  test("so is what is short, and a watch", async () => {
    expect(encodingOf(await ask(`${MAPS}/kube-root-ca.crt`, GZIP))).toBeNull();
    const watch = await ask(`${MAPS}?watch=1&timeoutSeconds=1`, GZIP);
    expect(encodingOf(watch)).toBeNull();
    await watch.body?.cancel();
  });
});

const AGGREGATED =
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

const definition: ApiObject & { spec: object } = {
  metadata: { name: "pets.answers.example.com" },
  spec: {
    group: "answers.example.com",
    scope: "Namespaced",
    names: { kind: "Pet", plural: "pets" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object" } },
      },
    ],
  },
};

describe("documents", () => {
  const V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
  const DOCUMENTS: Array<[string, string]> = [
    ["/apis", AGGREGATED],
    ["/openapi/v2", "application/json"],
    ["/openapi/v2", V2],
    ["/openapi/v3", "application/json"],
  ];
  const tagOf = async (path: string, accept: string, known?: string) => {
    const headers = { accept, ...(known !== undefined && { "if-none-match": known }) };
    const response = await ask(path, headers);
    const tag = response.headers.get("etag") ?? "";
    return { tag, code: response.status, length: (await response.bytes()).length };
  };

  test("are kept by clients until there is something new", async () => {
    const before = new Map<string, string>();
    for (const [path, accept] of DOCUMENTS) {
      const first = await tagOf(path, accept);
      expect(first.code).toBe(200);
      expect(first.tag).toMatch(/^"[0-9A-F]{64,}"$/);
      const again = await tagOf(path, accept, first.tag);
      expect(again).toEqual({ tag: first.tag, code: 304, length: 0 });
      before.set(path + accept, first.tag);
    }
    await api.create(
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
      structuredClone(definition),
    );
    for (const [path, accept] of DOCUMENTS) {
      const old = before.get(path + accept);
      // The server makes its documents anew when nothing else is to be done.
      for (let tries = 0; tries < 6_000; tries++) {
        if ((await tagOf(path, accept, old)).code === 200) break;
        await Bun.sleep(10);
      }
      const now = await tagOf(path, accept, old);
      expect([path, now.code, now.tag === old]).toEqual([path, 200, false]);
    }
  });

  test("of one group name their content in their address, and are kept for a year", async () => {
    const index = JSON.parse(await (await ask("/openapi/v3")).text());
    const { serverRelativeURL } = index.paths["apis/apps/v1"];
    const document = await ask(serverRelativeURL);
    expect(document.headers.get("cache-control")).toBe("public, immutable, max-age=31536000");
    expect(JSON.parse(await document.text()).paths).toHaveProperty([
      "/apis/apps/v1/namespaces/{namespace}/deployments",
    ]);
    const [path] = serverRelativeURL.split("?");
    const moved = await ask(`${path}?hash=0`);
    expect([moved.status, moved.headers.get("location")]).toEqual([301, serverRelativeURL]);
  });
});

describe("what v1.34 does not serve by default is not there", () => {
  test.each([
    "admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies",
    "admissionregistration.k8s.io/v1alpha1/mutatingadmissionpolicies",
    "certificates.k8s.io/v1beta1/clustertrustbundles",
    "networking.k8s.io/v1beta1/servicecidrs",
    "resource.k8s.io/v1beta1/resourceclaims",
    "storagemigration.k8s.io/v1alpha1/storageversionmigrations",
    "internal.apiserver.k8s.io/v1alpha1/storageversions",
    "policy/v1beta1/podsecuritypolicies",
    "extensions/v1beta1/ingresses",
  ])("%s", async (path) => {
    for (const method of ["GET", "POST"]) {
      const { code, body } = await api.call(
        method,
        `/apis/${path}`,
        method === "POST" ? {} : undefined,
      );
      expect([method, code, body.reason ?? body]).toEqual([method, 404, expect.anything()]);
    }
    const group = await api.call("GET", `/apis/${path.split("/").slice(0, 2).join("/")}`);
    expect(JSON.stringify(group.body)).not.toContain(`"${path.split("/").at(-1)}"`);
  });
});

test("a form that there is none of for a kind is 406, not another one", async () => {
  const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/pets.answers.example.com";
  expect((await ask(path, { accept: PROTOBUF })).status).toBe(200);
  const pets = "/apis/answers.example.com/v1/namespaces/default/pets";
  expect((await ask(pets, { accept: PROTOBUF })).status).toBe(406);
  expect((await ask(pets, { accept: `${PROTOBUF},application/json` })).status).toBe(200);
});
