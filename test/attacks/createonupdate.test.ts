/** PUT and server-side apply on a missing object create it: they need the right to create. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { UserInfo } from "#api/core.ts";
import type { Kind } from "#resources/kind.ts";
import { kinds } from "#resources/kinds.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { allow, rule } from "#test/support/rights.ts";

let api: TestApi;
let updater: UserInfo;
let creator: UserInfo;
let namedCreator: UserInfo;

const APPLY = "application/apply-patch+yaml";
const EVERY = ["get", "update", "patch"];

beforeAll(async () => {
  api = await startApi();
  updater = await allow(api, "updater", rule("*", "*", EVERY));
  creator = await allow(api, "creator", rule("*", "*", [...EVERY, "create"]));
  const named = rule("", "configmaps", ["create"], ["this"]);
  namedCreator = await allow(api, "named", rule("", "configmaps", EVERY), named);
  await api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    metadata: { name: "things.example.com" },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { plural: "things", kind: "Thing", singular: "thing", listKind: "ThingList" },
      versions: [
        {
          name: "v1",
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: "object" } },
        },
      ],
    },
  } as object);
});
afterAll(() => api.close());

/** The kinds whose strategy allows it in Kubernetes 1.34. */
const CREATED_BY_PUT = new Set([
  ...["Endpoints", "Event", "LimitRange", "Service", "Lease", "RuntimeClass"],
  ...["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
]);

const versionOf = ({ group, version }: Kind): string =>
  group === "" ? version : `${group}/${version}`;

function pathOf(kind: Kind): string {
  const root = kind.group === "" ? "/api" : "/apis";
  const namespace = kind.namespaced ? "/namespaces/default" : "";
  return `${root}/${versionOf(kind)}${namespace}/${kind.plural}/absent`;
}

const written = kinds.filter(
  ({ verbsLeftOut }) => !["update", "patch"].some((verb) => verbsLeftOut.includes(verb as never)),
);

const put = async (kind: Kind, user: UserInfo, query = "") => {
  const body = { apiVersion: versionOf(kind), kind: kind.kind, metadata: { name: "absent" } };
  return api.call("PUT", pathOf(kind) + query, body, { user });
};

const apply = (path: string, user: UserInfo, body: object) =>
  api.call("PATCH", `${path}?fieldManager=test`, body, {
    user,
    headers: { "content-type": APPLY },
  });

describe("PUT of a missing object", () => {
  test("answers 403 without create where upstream would create it, else 404", async () => {
    expect(written.length).toBeGreaterThan(50);
    for (const kind of written) {
      const expected = CREATED_BY_PUT.has(kind.kind) ? [403] : [404, 405];
      const { code } = await put(kind, updater);
      expect([kind.kind, expected.includes(code), code]).toEqual([kind.kind, true, code]);
      const dry = (await put(kind, updater, "?dryRun=All")).code;
      expect([kind.kind, dry]).toEqual([kind.kind, code]);
      expect((await api.call("GET", pathOf(kind))).code).not.toBe(200);
    }
  });

  test("with create is served for those kinds alone", async () => {
    for (const kind of written) {
      const { code } = await put(kind, creator);
      const missing = code === 404 || code === 405;
      expect([kind.kind, code, missing]).toEqual([
        ...[kind.kind, code],
        !CREATED_BY_PUT.has(kind.kind),
      ]);
      if (code === 201) await api.call("DELETE", pathOf(kind));
    }
  });

  test("says who cannot create what", async () => {
    const lease = written.find(({ kind }) => kind === "Lease") as Kind;
    const { body } = await put(lease, updater);
    expect(body.reason).toBe("Forbidden");
    expect(body.message).toBe(
      'leases.coordination.k8s.io "absent" is forbidden: User "updater" cannot create resource ' +
        '"leases" in API group "coordination.k8s.io" in the namespace "default"',
    );
  });
});

describe("server-side apply of a missing object", () => {
  const path = "/api/v1/namespaces/default/configmaps";
  const map = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name } });

  test("needs create, of that name", async () => {
    expect((await apply(`${path}/this`, updater, map("this"))).code).toBe(403);
    expect((await apply(`${path}/that`, namedCreator, map("that"))).code).toBe(403);
    expect((await apply(`${path}/this`, namedCreator, map("this"))).code).toBe(201);
    expect((await apply(`${path}/that`, creator, map("that"))).code).toBe(201);
    expect((await apply(`${path}/this`, updater, map("this"))).code).toBe(200);
  });

  test("needs it for custom resources, and through every kind that is served", async () => {
    const things = "/apis/example.com/v1/namespaces/default/things/absent";
    const thing = { apiVersion: "example.com/v1", kind: "Thing", metadata: { name: "absent" } };
    expect((await apply(things, updater, thing)).code).toBe(403);
    expect((await api.call("PUT", things, thing, { user: creator })).code).toBe(404);
    for (const kind of written) {
      const body = { apiVersion: versionOf(kind), kind: kind.kind, metadata: { name: "absent" } };
      const { code } = await apply(pathOf(kind), updater, body);
      expect([kind.kind, code]).toEqual([kind.kind, 403]);
    }
  });

  test("of a status never creates", async () => {
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "absent" } };
    const status = "/api/v1/namespaces/default/pods/absent/status";
    expect((await apply(status, creator, pod)).code).toBe(404);
    expect((await api.call("PUT", status, pod, { user: creator })).code).toBe(404);
  });

  test("of any subresource never creates", async () => {
    const apps = "/apis/apps/v1/namespaces/default/deployments/absent/scale";
    const pods = "/api/v1/namespaces/default/pods/absent";
    const csr = "/apis/certificates.k8s.io/v1/certificatesigningrequests/absent";
    const service = "/api/v1/namespaces/default/services/absent/status";
    const parts = [apps, service, `${pods}/ephemeralcontainers`, `${pods}/resize`];
    for (const part of [...parts, `${csr}/approval`, `${csr}/status`]) {
      const body = { metadata: { name: "absent" } };
      for (const code of [
        (await api.call("PUT", part, body, { user: creator })).code,
        (await apply(part, creator, body)).code,
      ]) {
        expect([part, code >= 400 && code < 500 && code !== 403]).toEqual([part, true]);
      }
    }
    expect((await api.call("GET", pods)).code).toBe(404);
    const live = "/api/v1/namespaces/default/services/absent";
    expect((await api.call("GET", live)).code).toBe(404);
  });

  test("in a namespace that is not there never creates", async () => {
    const lease = "/apis/coordination.k8s.io/v1/namespaces/none/leases/absent";
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "absent" },
    };
    expect((await api.call("PUT", lease, body, { user: creator })).code).toBe(404);
    expect((await apply(lease, creator, body)).code).toBe(404);
  });

  test("other patches never create", async () => {
    for (const type of ["merge-patch+json", "strategic-merge-patch+json"]) {
      const headers = { "content-type": `application/${type}` };
      const answer = await api.call("PATCH", `${path}/absent`, {}, { user: creator, headers });
      expect(answer.code).toBe(404);
    }
  });
});

test("admission judges a create", async () => {
  await api.create("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", {
    metadata: { name: "no-create" },
    spec: {
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: ["coordination.k8s.io"],
            apiVersions: ["*"],
            resources: ["leases"],
            operations: ["CREATE"],
          },
        ],
      },
      validations: [{ expression: "false", message: "no leases are created" }],
    },
  } as object);
  await api.create("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", {
    metadata: { name: "no-create" },
    spec: { policyName: "no-create", validationActions: ["Deny"] },
  } as object);
  const lease = written.find(({ kind }) => kind === "Lease") as Kind;
  const refused = await put(lease, creator);
  expect(refused.body.message).toContain("no leases are created");
});
