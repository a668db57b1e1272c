/** A right to write one object gives no control over built-in kinds, prototypes or metadata. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ApiObject } from "#resources/meta.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { eventually } from "#test/support/instance.ts";
import { allow, RBAC, RBAC_GROUP, rule } from "#test/support/rights.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const NS = "/api/v1/namespaces/default";

function definition(plural: string, group: string, kind: string, version: object = {}) {
  return {
    metadata: {
      name: `${plural}.${group}`,
      annotations: { "api-approved.kubernetes.io": "unapproved, for a test" },
    },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural, kind },
      versions: [
        {
          ...{ name: "v1", served: true, storage: true },
          schema: {
            openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
          },
          ...version,
        },
      ],
    },
  };
}

const decided = (name: string): Promise<string> =>
  eventually(`the names of ${name} are judged`, 5_000, async () => {
    const { body } = await api.call("GET", `${CRDS}/${name}`);
    const conditions: Array<{ type: string; status: string }> = body.status?.conditions ?? [];
    return conditions.find(({ type }) => type === "Established")?.status;
  });

describe("a custom resource definition with the name of a built-in kind", () => {
  test.each([
    ["clusterroles", RBAC_GROUP, "Own", "v1"],
    ["clusterroles", RBAC_GROUP, "Own", "v9"],
    ["others", RBAC_GROUP, "ClusterRole", "v1"],
    ["certificatesigningrequests", "certificates.k8s.io", "Own", "v9"],
    ["customresourcedefinitions", "apiextensions.k8s.io", "Own", "v9"],
  ])(
    "is not served, and takes nothing along when it goes: %s.%s %s %s",
    async (...[plural, group, kind, name]) => {
      const made = definition(plural, group, kind, { name });
      await api.create(CRDS, made as ApiObject);
      expect(await decided(made.metadata.name)).toBe("False");
      const listed = await api.call("GET", `${RBAC}/clusterroles`);
      expect(listed.body.kind).toBe("ClusterRoleList");
      if (name !== "v1") {
        expect((await api.call("GET", `/apis/${group}/${name}/${plural}`)).code).toBe(404);
      }
      expect((await api.call("DELETE", `${CRDS}/${made.metadata.name}`)).code).toBe(200);
      await eventually("the definition is gone", 5_000, async () => {
        const { code } = await api.call("GET", `${CRDS}/${made.metadata.name}`);
        return code === 404 || undefined;
      });
      expect((await api.call("GET", `${RBAC}/clusterroles/cluster-admin`)).code).toBe(200);
      expect((await api.call("GET", CRDS)).code).toBe(200);
    },
  );
});

test("the replicas of a custom resource change no prototype", async () => {
  const scale = { specReplicasPath: ".spec.__proto__.polluted", statusReplicasPath: ".status.r" };
  await api.create(
    CRDS,
    definition("sizes", "example.com", "Size", { subresources: { scale } }) as ApiObject,
  );
  expect(await decided("sizes.example.com")).toBe("True");
  const path = "/apis/example.com/v1/namespaces/default/sizes";
  const size = { apiVersion: "example.com/v1", kind: "Size", metadata: { name: "a" }, spec: {} };
  expect((await api.call("POST", path, size)).code).toBe(201);
  const wanted = { metadata: { name: "a", namespace: "default" }, spec: { replicas: 7 } };
  await api.call("PUT", `${path}/a/scale`, wanted);
  const headers = { "content-type": "application/merge-patch+json" };
  await api.call("PATCH", `${path}/a/scale`, { spec: { replicas: 7 } }, { headers });
  expect("polluted" in {}).toBe(false);
  expect(Object.keys(Object.prototype)).toEqual([]);
});

describe("a subresource", () => {
  const evil = {
    labels: { app: "victim" },
    annotations: { taken: "over" },
    finalizers: ["example.com/held"],
    ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "none", uid: "none" }],
  };
  const merge = { "content-type": "application/merge-patch+json" };

  test.each(["ephemeralcontainers", "resize"])("%s of a pod sets no metadata", async (part) => {
    await api.call("POST", `${NS}/serviceaccounts`, { metadata: { name: "default" } });
    const spec = { containers: [{ name: "c", image: "i" }] };
    await api.create(`${NS}/pods`, { metadata: { name: part }, spec } as ApiObject);
    const user = await allow(api, part, rule("", `pods/${part}`, ["get", "patch", "update"]));
    const path = `${NS}/pods/${part}/${part}`;
    const patched = await api.call("PATCH", path, { metadata: evil }, { user, headers: merge });
    expect(patched.code).toBe(200);
    const live = (await api.call("GET", `${NS}/pods/${part}`)).body;
    const next = { ...live, metadata: { ...live.metadata, ...evil } };
    expect((await api.call("PUT", path, next, { user })).code).toBe(200);
    const { metadata } = (await api.call("GET", `${NS}/pods/${part}`)).body;
    for (const field of Object.keys(evil)) expect(metadata[field]).toBeUndefined();
  });

  test("finalize of a namespace sets no labels", async () => {
    const user = await allow(api, "finalize", rule("", "namespaces/finalize", ["update"]));
    const live = (await api.call("GET", NS)).body;
    live.metadata.labels["pod-security.kubernetes.io/enforce"] = "privileged";
    expect((await api.call("PUT", `${NS}/finalize`, live, { user })).code).toBe(200);
    const { labels } = (await api.call("GET", NS)).body.metadata;
    expect(labels).toEqual({ "kubernetes.io/metadata.name": "default" });
  });
});

describe("the rules of a new role", () => {
  const times = (count: number, make: (index: number) => string): string[] =>
    Array.from({ length: count }, (_, index) => make(index));

  test("are compared within a limit", async () => {
    const user = await allow(
      api,
      "writer",
      rule(RBAC_GROUP, "roles", ["create"]),
      rule("", "configmaps", ["get"], ["a"]),
      rule("", "configmaps", ["list", "get"], ["b"]),
    );
    const write = async (rules: object[]): Promise<number> => {
      const role = { metadata: { generateName: "r" }, rules };
      return (await api.call("POST", `${RBAC}/namespaces/default/roles`, role, { user })).code;
    };
    const started = performance.now();
    const same = { verbs: times(500, () => "get"), apiGroups: times(500, () => "") };
    const resources = times(500, () => "configmaps");
    const resourceNames = times(500, (index) => (index % 2 === 0 ? "a" : "b"));
    expect(await write([{ ...same, resources, resourceNames }])).toBe(201);
    const other = {
      verbs: ["get", ...times(300, (i) => `v${i}`)],
      apiGroups: ["", ...times(300, (i) => `g${i}`)],
      resources: ["configmaps", ...times(300, (i) => `r${i}`)],
      resourceNames: ["a", ...times(300, (i) => `n${i}`)],
    };
    expect(await write([other])).toBe(403);
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test("beyond the limit are for who holds all of them by one rule", async () => {
    const all = rule("*", "*", ["*"]);
    const chief = await allow(api, "chief", all, { verbs: ["*"], nonResourceURLs: ["*"] });
    const many = {
      verbs: times(100, (i) => `v${i}`),
      apiGroups: times(100, (i) => `g${i}`),
      resources: times(100, (i) => `r${i}`),
      resourceNames: times(100, (i) => `n${i}`),
    };
    const role = { metadata: { name: "many" }, rules: [many] };
    expect((await api.call("POST", `${RBAC}/clusterroles`, role, { user: chief })).code).toBe(201);
  });
});
