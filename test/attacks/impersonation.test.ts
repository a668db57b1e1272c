/** Acting as others, and certificates for others: each part needs its own right. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import type { UserInfo } from "#api/core.ts";
import { cloneJson } from "#api/json.ts";
import { requestCertificate } from "#base/x509.ts";
import type { ApiObject } from "#resources/meta.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { allow, rule } from "#test/support/rights.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const AUTHENTICATION = "authentication.k8s.io";

/** Returns the user name that the API sees, or the status code of a rejection. */
async function whoAmI(user: UserInfo, headers: Record<string, string>) {
  const path = `/apis/${AUTHENTICATION}/v1/selfsubjectreviews`;
  const { code, body } = await api.call("POST", path, {}, { user, headers });
  return code === 201 ? body.status.userInfo : code;
}

describe("impersonation", () => {
  const act = (resource: string, names?: string[], group = "") =>
    rule(group, resource, ["impersonate"], names);

  test("of a user needs that user, and of system:masters that group", async () => {
    const mask = await allow(api, "mask", act("users", ["jane"]), act("groups", ["devs"]));
    expect(await whoAmI(mask, { "impersonate-user": "jane" })).toMatchObject({ username: "jane" });
    expect(await whoAmI(mask, { "impersonate-user": "joe" })).toBe(403);
    for (const group of ["system:masters", "devs,system:masters", "devs, system:masters"]) {
      const headers = { "impersonate-user": "jane", "impersonate-group": group };
      expect(await whoAmI(mask, headers)).toBe(403);
    }
  });

  test("of a user gives no service account, node or extra field", async () => {
    const mask = await allow(api, "users", act("users"));
    const names = ["system:serviceaccount:kube-system:default", "system:serviceaccount:default:x"];
    for (const name of names) expect(await whoAmI(mask, { "impersonate-user": name })).toBe(403);
    const jane = { "impersonate-user": "jane" };
    expect(await whoAmI(mask, { ...jane, "impersonate-uid": "u" })).toBe(403);
    expect(await whoAmI(mask, { ...jane, "impersonate-extra-scope": "x" })).toBe(403);
    expect(await whoAmI(mask, { ...jane, "impersonate-extra-__proto__": "x" })).toBe(403);
    expect(await whoAmI(mask, { ...jane, "impersonate-extra-%5F_proto__": "x" })).toBe(403);
    const node = { "impersonate-user": "system:node:n1", "impersonate-group": "system:nodes" };
    expect(await whoAmI(mask, node)).toBe(403);
  });

  test("of an extra field needs its key, and a field without a value is none", async () => {
    const fields = act("userextras/scope", undefined, AUTHENTICATION);
    const mask = await allow(api, "extras", act("users"), fields);
    const jane = { "impersonate-user": "jane" };
    expect(await whoAmI(mask, { ...jane, "impersonate-extra-scope": "x" })).toMatchObject({
      extra: { scope: ["x"] },
    });
    expect(await whoAmI(mask, { ...jane, "impersonate-extra-other": "x" })).toBe(403);
    for (const value of ["", ",", " , "]) {
      const { extra } = await whoAmI(mask, { ...jane, "impersonate-extra-other": value });
      expect(extra).toBeUndefined();
    }
  });

  test("of a namespace's service accounts gives no others, and no odd names", async () => {
    await api.create("/api/v1/namespaces", { metadata: { name: "team" } });
    const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/team";
    const roleRef = { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "accounts" };
    await api.create(`${rbac}/roles`, {
      metadata: { name: "accounts" },
      rules: [act("serviceaccounts")],
    } as ApiObject);
    await api.create(`${rbac}/rolebindings`, {
      metadata: { name: "accounts" },
      roleRef,
      subjects: [{ kind: "User", apiGroup: roleRef.apiGroup, name: "lead" }],
    } as ApiObject);
    const lead = { name: "lead", groups: ["system:authenticated"] };
    const as = (name: string) => whoAmI(lead, { "impersonate-user": name });
    expect(await as("system:serviceaccount:team:robot")).toMatchObject({
      groups: ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"],
    });
    const others = ["default:x", "team:Bad Name", "team:a/b", "team:", "team:a:b", "TEAM:a", ":a"];
    for (const name of others) expect(await as(`system:serviceaccount:${name}`)).toBe(403);
  });

  test("keeps the group of the unauthenticated for who asks for it", async () => {
    const mask = await allow(api, "anon", act("users"), act("groups"));
    const group = "system:unauthenticated";
    const review = rule(AUTHENTICATION, "selfsubjectreviews", ["create"]);
    await allow(api, "jane", review);
    await allow(api, "system:anonymous", review);
    const headers = { "impersonate-user": "jane", "impersonate-group": group };
    expect(await whoAmI(mask, headers)).toMatchObject({ groups: [group] });
    expect(await whoAmI(mask, { "impersonate-user": "system:anonymous" })).toMatchObject({
      groups: [group],
    });
  });
});

describe("a certificate request", () => {
  const PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
  const GROUP = "certificates.k8s.io";
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = createPrivateKey(privateKey.export({ type: "pkcs8", format: "pem" }));
  const pem = requestCertificate({
    ...{ key, subject: { commonName: "x", organizations: ["y"] } },
    altNames: { dns: [], ips: [] },
  });
  const make = (name: string, signerName: string, more: object = {}) =>
    api.create(PATH, {
      metadata: { name },
      spec: { request: btoa(pem), signerName, usages: ["client auth"] },
      ...more,
    } as ApiObject);
  const approved = { type: "Approved", status: "True", reason: "r", message: "m" };
  const write = async (name: string, part: string, status: object, user: UserInfo) => {
    const live = (await api.call("GET", `${PATH}/${name}`)).body;
    const body = { ...live, status };
    return (await api.call("PUT", `${PATH}/${name}${part}`, body, { user })).code;
  };
  const parts = (verbs: string[]) => [
    rule(GROUP, "certificatesigningrequests", verbs),
    rule(GROUP, "certificatesigningrequests/approval", verbs),
    rule(GROUP, "certificatesigningrequests/status", verbs),
  ];
  const WRITES = ["get", "create", "update", "patch"];

  test("is made by who asks, undecided", async () => {
    const status = { conditions: [approved], certificate: btoa(pem) };
    const spec = { username: "system:kube-controller-manager", groups: ["system:masters"] };
    const request = { request: btoa(pem), signerName: "a.example/b", usages: ["client auth"] };
    const user = await allow(api, "asker", ...parts(["create"]));
    const body = { metadata: { name: "own" }, spec: { ...request, ...spec }, status };
    const made = await api.call("POST", PATH, body, { user });
    expect(made.body.spec).toMatchObject({ username: "asker", groups: ["system:authenticated"] });
    expect(made.body.status).toEqual({});
  });

  test("is approved for its signer alone, by its name or its domain", async () => {
    await make("a", "a.example/b");
    await make("c", "a.example/c");
    await make("d", "aa.example/b");
    const writer = await allow(api, "writer", ...parts(WRITES));
    const signers = (name: string) => rule(GROUP, "signers", ["approve"], [name]);
    const one = await allow(api, "one", ...parts(WRITES), signers("a.example/b"));
    const domain = await allow(api, "domain", ...parts(WRITES), signers("a.example/*"));
    const odd = await allow(api, "odd", ...parts(WRITES), signers("*"), signers("a.example/"));
    const status = { conditions: [approved] };
    expect(await write("a", "/approval", status, writer)).toBe(403);
    expect(await write("a", "/approval", status, odd)).toBe(403);
    expect(await write("c", "/approval", status, one)).toBe(403);
    expect(await write("d", "/approval", status, one)).toBe(403);
    expect(await write("d", "/approval", status, domain)).toBe(403);
    expect(await write("a", "/approval", status, one)).toBe(200);
    expect(await write("c", "/approval", status, domain)).toBe(200);
    await api.call("PUT", `${PATH}/d`, {}, { user: writer });
    expect((await api.call("GET", `${PATH}/d`)).body.status).toEqual({});
  });

  test("is not approved by its status, and not signed without that right", async () => {
    await make("s", "a.example/s");
    const writer = await allow(
      api,
      "status",
      ...parts(WRITES),
      rule(GROUP, "signers", ["approve"], ["a.example/s"]),
    );
    const certificate = btoa("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n");
    expect(await write("s", "/status", { conditions: [approved] }, writer)).toBe(422);
    expect(await write("s", "/status", { certificate }, writer)).toBe(403);
    await write("s", "", { conditions: [approved], certificate }, writer);
    await write("s", "/approval", { conditions: [approved], certificate }, writer);
    const { status } = (await api.call("GET", `${PATH}/s`)).body;
    expect(status.certificate).toBeUndefined();
    expect(status.conditions).toHaveLength(1);
  });

  test("for system:masters is not made, in whatever way its subject is written", async () => {
    for (const organizations of [["system:masters"], ["x", "system:masters"]]) {
      const request = btoa(
        requestCertificate({
          ...{ key, subject: { commonName: "x", organizations } },
          altNames: { dns: [], ips: [] },
        }),
      );
      const spec = {
        ...{ request, usages: ["client auth"] },
        signerName: "kubernetes.io/kube-apiserver-client",
      };
      const made = await api.call("POST", PATH, { metadata: { name: "m" }, spec });
      expect(made.code).toBe(403);
    }
  });
});

test("a copy of an object has no prototype from the object", () => {
  const value = JSON.parse('{"a":{"__proto__":{"evil":true}}}') as { a: { evil?: boolean } };
  const copy = cloneJson(cloneJson(value));
  expect(copy.a.evil).toBeUndefined();
  expect(JSON.stringify(copy)).toBe(JSON.stringify(value));
});
