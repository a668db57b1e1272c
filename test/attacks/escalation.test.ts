/** Writing roles and bindings gives no permission that the writer does not hold. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { UserInfo } from "#api/core.ts";
import type { PolicyRule } from "#resources/types.gen.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { allow, RBAC, RBAC_GROUP, rule } from "#test/support/rights.ts";

let api: TestApi;
/** Writes cluster roles and bindings, and holds a right on config maps. */
let writer: UserInfo;
/** Holds every right by rules, without system:masters. */
let chief: UserInfo;

const WRITE = ["get", "list", "create", "update", "patch", "delete"];
const HELD = rule("", "configmaps", ["get"]);
const EVERYTHING = { clusterRoleSelectors: [{ matchLabels: { take: "all" } }] };
const PATCHES = {
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  json: "application/json-patch+json",
  apply: "application/apply-patch+yaml",
};

beforeAll(async () => {
  api = await startApi();
  const kinds = ["clusterroles", "clusterrolebindings", "roles", "rolebindings"];
  writer = await allow(api, "writer", HELD, ...kinds.map((kind) => rule(RBAC_GROUP, kind, WRITE)));
  const urls = { verbs: ["*"], nonResourceURLs: ["*"] };
  chief = await allow(api, "chief", rule("*", "*", ["*"]), urls);
  await role("all-rights", [rule("*", "*", ["*"])]);
});
afterAll(() => api.close());

const role = (name: string, rules: PolicyRule[], more: object = {}) =>
  api.create(`${RBAC}/clusterroles`, { metadata: { name }, rules, ...more } as object);

const post = (body: object, user: UserInfo, query = "") =>
  api.call("POST", `${RBAC}/clusterroles${query}`, body, { user });

const patch = (name: string, type: keyof typeof PATCHES, body: object, query = "") =>
  api.call(
    "PATCH",
    `${RBAC}/clusterroles/${name}?fieldManager=t${type === "apply" ? "&force=true" : ""}${query}`,
    body,
    {
      user: writer,
      headers: { "content-type": PATCHES[type] },
    },
  );

const read = async (name: string) => (await api.call("GET", `${RBAC}/clusterroles/${name}`)).body;

const applied = (name: string, more: object) => ({
  apiVersion: `${RBAC_GROUP}/v1`,
  kind: "ClusterRole",
  metadata: { name },
  ...more,
});

const REFUSED = "must have cluster-admin privileges to use the aggregationRule";

describe("the aggregationRule of a ClusterRole", () => {
  const aggregated = (name: string) => ({ metadata: { name }, aggregationRule: EVERYTHING });

  test("is not created without every right", async () => {
    for (const query of ["", "?dryRun=All"]) {
      const { code, body } = await post(aggregated("gathers"), writer, query);
      expect([code, body.reason]).toEqual([403, "Forbidden"]);
      expect(body.message).toBe(`clusterroles.${RBAC_GROUP} "gathers" is forbidden: ${REFUSED}`);
    }
    const put = `${RBAC}/clusterroles/gathers`;
    expect((await api.call("PUT", put, aggregated("gathers"), { user: writer })).code).toBe(403);
    expect((await patch("gathers", "apply", applied("gathers", aggregated("gathers")))).code).toBe(
      403,
    );
  });

  test("is not set on an existing role, by any kind of patch", async () => {
    await role("plain", [HELD]);
    const set = { aggregationRule: EVERYTHING };
    const bodies = {
      merge: set,
      strategic: set,
      json: [{ op: "add", path: "/aggregationRule", value: EVERYTHING }],
      apply: applied("plain", set),
    };
    for (const type of ["merge", "strategic", "json", "apply"] as const) {
      for (const query of ["", "&dryRun=All"]) {
        expect([type, (await patch("plain", type, bodies[type], query)).code]).toEqual([type, 403]);
      }
    }
    const live = await read("plain");
    const put = await api.call(
      "PUT",
      `${RBAC}/clusterroles/plain`,
      { ...live, ...set },
      { user: writer },
    );
    expect(put.code).toBe(403);
    expect((await read("plain")).aggregationRule).toBeUndefined();
  });

  test("is not changed or removed, and its role keeps its labels", async () => {
    await role("gathered", [], { aggregationRule: EVERYTHING });
    const changes = [
      { aggregationRule: { clusterRoleSelectors: [{}] } },
      { aggregationRule: null },
      { metadata: { labels: { other: "label" } } },
    ];
    for (const change of changes) {
      expect((await patch("gathered", "merge", change)).code).toBe(403);
    }
  });

  test("is for who has every right, or may escalate", async () => {
    expect((await post(aggregated("by-chief"), chief)).code).toBe(201);
    const verbs = [...WRITE, "escalate"];
    const climber = await allow(api, "climber", rule(RBAC_GROUP, "clusterroles", verbs));
    expect((await post(aggregated("by-climber"), climber)).code).toBe(201);
    const resources = await allow(api, "resources", rule("*", "*", ["create", "get"]));
    expect((await post(aggregated("by-resources"), resources)).code).toBe(403);
  });
});

describe("a role of more rights than the writer's", () => {
  test("gets no label by which another role takes its rights", async () => {
    const labels = { [`${RBAC_GROUP}/aggregate-to-view`]: "true" };
    for (const type of ["merge", "strategic"] as const) {
      expect((await patch("all-rights", type, { metadata: { labels } })).code).toBe(403);
    }
    const live = await read("all-rights");
    live.metadata.labels = labels;
    const put = await api.call("PUT", `${RBAC}/clusterroles/all-rights`, live, { user: writer });
    expect(put.code).toBe(403);
    expect(put.body.message).toContain("attempting to grant RBAC permissions not currently held");
    expect(JSON.stringify(await read("view"))).not.toContain('"resources":["*"]');
  });

  test("is changed in what only garbage collection needs", async () => {
    const metadata = { finalizers: ["example.com/held"] };
    expect((await patch("all-rights", "merge", { metadata })).code).toBe(200);
    expect((await patch("all-rights", "merge", { metadata: { finalizers: [] } })).code).toBe(200);
  });

  test("is bound to nobody else by the writer", async () => {
    const roleRef = { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: "all-rights" };
    const path = `${RBAC}/clusterrolebindings`;
    await api.create(path, { metadata: { name: "bound" }, roleRef, subjects: [] } as object);
    const subjects = [{ kind: "User", apiGroup: RBAC_GROUP, name: "writer" }];
    for (const change of [{ subjects }, { metadata: { labels: { a: "b" } } }]) {
      const { code } = await api.call("PATCH", `${path}/bound`, change, {
        user: writer,
        headers: { "content-type": PATCHES.merge },
      });
      expect(code).toBe(403);
    }
    const missing = { ...roleRef, name: "not-there" };
    const binding = { metadata: { name: "missing" }, roleRef: missing, subjects };
    expect((await api.call("POST", path, binding, { user: writer })).code).toBe(404);
  });
});

describe("paths that are no resources", () => {
  const path = (...nonResourceURLs: string[]): PolicyRule => ({ verbs: ["get"], nonResourceURLs });

  test("are given away only as far as they are held", async () => {
    const user = await allow(
      api,
      "paths",
      rule(RBAC_GROUP, "clusterroles", ["create"]),
      path("/held/*", "/one"),
    );
    const give = async (name: string, ...urls: string[]): Promise<number> =>
      (await post({ metadata: { name }, rules: [path(...urls)] }, user)).code;
    expect(await give("part", "/held/a", "/held/b/*", "/held/*", "/one")).toBe(201);
    for (const url of ["*", "/*", "/held*", "/held", "/one*", "/one/*", "/other", "/held/a", ""]) {
      expect([url, await give("more", "/other", url)]).toEqual([url, 403]);
    }
    for (const url of ["*", "/*", "/held*", "/held", "/one*", "/one/*"]) {
      expect([url, await give("more", url)]).toEqual([url, 403]);
    }
  });

  test("are in no Role, and give nothing in a namespace", async () => {
    const role = { metadata: { name: "paths" }, rules: [path("/metrics")] };
    const namespaced = `${RBAC}/namespaces/default`;
    expect((await api.call("POST", `${namespaced}/roles`, role)).code).toBe(422);
    await api.create(`${RBAC}/clusterroles`, role as object);
    await api.create(`${namespaced}/rolebindings`, {
      metadata: { name: "paths" },
      roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: "paths" },
      subjects: [{ kind: "User", apiGroup: RBAC_GROUP, name: "local" }],
    } as object);
    const user = { name: "local", groups: [] };
    expect((await api.call("GET", "/metrics", undefined, { user })).code).toBe(403);
  });
});

test("the role of a binding never changes", async () => {
  const path = `${RBAC}/clusterrolebindings`;
  const roleRef = { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: "view" };
  await api.create(path, { metadata: { name: "fixed" }, roleRef, subjects: [] } as object);
  const change = { roleRef: { ...roleRef, name: "cluster-admin" } };
  const headers = { "content-type": PATCHES.merge };
  expect((await api.call("PATCH", `${path}/fixed`, change, { headers })).code).toBe(422);
  const user = writer;
  expect((await api.call("PATCH", `${path}/fixed`, change, { headers, user })).code).toBe(422);
});

test("a binding to the user * binds only a user of that name", async () => {
  await api.create(`${RBAC}/clusterrolebindings`, {
    metadata: { name: "star" },
    roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: "all-rights" },
    subjects: [{ kind: "User", apiGroup: RBAC_GROUP, name: "*" }],
  } as object);
  const user = { name: "passer-by", groups: ["system:authenticated"] };
  expect((await api.call("GET", "/api/v1/secrets", undefined, { user })).code).toBe(403);
});
