import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { ADMIN_TOKEN, startApi, type TestApi } from "#test/support/api.ts";
import { fakeClock } from "#test/support/clock.ts";

let api: TestApi;
const clock = fakeClock();
beforeAll(async () => {
  api = await startApi({ clock });
});
afterAll(() => api.close());

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const PODS = "/api/v1/namespaces/default/pods";
const bob = { name: "bob", groups: ["system:authenticated"] };

async function withToken(token: string, path: string, init: RequestInit = {}) {
  const headers = { authorization: `Bearer ${token}`, ...(init.headers as object) };
  const response = await api.raw(path, { ...init, headers }, {});
  const body = (await response.json()) as { message: string };
  return { code: response.status, body };
}

describe("who asks", () => {
  test("nobody gets 401, but may know that the server lives", async () => {
    const answer = await api.raw(PODS, {}, {});
    expect(answer.status).toBe(401);
    expect(await answer.json()).toMatchObject({ reason: "Unauthorized", message: "Unauthorized" });
    for (const path of ["/livez", "/readyz", "/healthz", "/version", "/readyz?verbose"]) {
      expect((await api.raw(path, {}, {})).status).toBe(200);
    }
    expect((await api.raw("/metrics", {}, {})).status).toBe(401);
  });

  test("a token that is none of ours gets 401", async () => {
    for (const token of ["x", "a.b.c", "abcdef.0123456789abcdef"]) {
      expect((await withToken(token, PODS)).code).toBe(401);
    }
  });

  test("the admin's token is good for everything", async () => {
    expect((await withToken(ADMIN_TOKEN, PODS)).code).toBe(200);
  });

  test("bootstrap tokens are good until they expire", async () => {
    const data = (fields: Record<string, string>) =>
      Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, btoa(v)]));
    await api.create("/api/v1/namespaces/kube-system/secrets", {
      metadata: { name: "bootstrap-token-abcdef" },
      type: "bootstrap.kubernetes.io/token",
      data: data({
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        expiration: new Date(clock.now() + 60_000).toISOString(),
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:nodes",
      }),
    } as object);
    const token = "abcdef.0123456789abcdef";
    const good = await withToken(token, PODS);
    expect(good.code).toBe(403);
    expect(good.body.message).toContain('User "system:bootstrap:abcdef" cannot list resource');
    await clock.advance(61_000);
    expect((await withToken(token, PODS)).code).toBe(401);
  });

  test("a node is its key", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const other = await generateKeyPair("ES256");
    await api.create("/api/v1/namespaces/kube-system/secrets", {
      metadata: { name: "n1.node-key.bramble" },
      data: { key: btoa(JSON.stringify(await exportJWK(publicKey))) },
    } as object);
    const sign = (key: CryptoKey, name: string, seconds: number) =>
      new SignJWT({})
        .setProtectedHeader({ alg: "ES256", kid: name })
        .setIssuer("bramble-node")
        .setSubject(`system:node:${name}`)
        .setExpirationTime(Math.floor(clock.now() / 1000) + seconds)
        .sign(key);
    const path = `${PODS}?fieldSelector=spec.nodeName%3Dn1`;
    expect((await withToken(await sign(privateKey, "n1", 600), path)).code).toBe(200);
    expect((await withToken(await sign(other.privateKey, "n1", 600), path)).code).toBe(401);
    expect((await withToken(await sign(privateKey, "n2", 600), path)).code).toBe(401);
    expect((await withToken(await sign(privateKey, "n1", -600), path)).code).toBe(401);
    await api.call("DELETE", "/api/v1/namespaces/kube-system/secrets/n1.node-key.bramble");
    expect((await withToken(await sign(privateKey, "n1", 600), path)).code).toBe(401);
  });
});

describe("service account tokens", () => {
  const ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts";
  const tokenFor = async (account: string, spec: object) =>
    api.call("POST", `${ACCOUNTS}/${account}/token`, { spec });

  test("say who they are, and die with what they are bound to", async () => {
    await api.create(ACCOUNTS, { metadata: { name: "robot" } });
    await api.create(PODS, {
      metadata: { name: "p" },
      spec: { serviceAccountName: "robot", containers: [{ name: "c", image: "i:1" }] },
    } as object);
    const boundObjectRef = { kind: "Pod", apiVersion: "v1", name: "p" };
    const made = await tokenFor("robot", { expirationSeconds: 3600, boundObjectRef });
    expect(made.code).toBe(201);
    const { token, expirationTimestamp } = made.body.status;
    expect(Date.parse(expirationTimestamp) - clock.now()).toBeLessThanOrEqual(3_600_000);
    const review = await api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {
      spec: { token },
    });
    expect(review.body.status).toMatchObject({
      authenticated: true,
      user: {
        username: "system:serviceaccount:default:robot",
        groups: [
          "system:serviceaccounts",
          "system:serviceaccounts:default",
          "system:authenticated",
        ],
        extra: { "authentication.kubernetes.io/pod-name": ["p"] },
      },
    });
    expect((await withToken(token, PODS)).code).toBe(403);
    await api.call("DELETE", `${PODS}/p`);
    expect((await withToken(token, PODS)).code).toBe(401);
  });

  test("are good for their audience and their time alone", async () => {
    const elsewhere = (await tokenFor("robot", { audiences: ["vault"] })).body.status.token;
    expect((await withToken(elsewhere, PODS)).code).toBe(401);
    const reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    const asked = { spec: { token: elsewhere, audiences: ["vault", "x"] } };
    const review = await api.call("POST", reviews, asked);
    expect(review.body.status.audiences).toEqual(["vault"]);
    const short = (await tokenFor("robot", { expirationSeconds: 600 })).body.status.token;
    expect((await withToken(short, PODS)).code).toBe(403);
    await clock.advance(601_000);
    expect((await withToken(short, PODS)).code).toBe(401);
  });

  test.each([
    [{ expirationSeconds: 10 }, 422],
    [{ boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "none" } }, 404],
    [{ boundObjectRef: { kind: "ConfigMap", apiVersion: "v1", name: "none" } }, 400],
  ])("%j is refused", async (spec, code) => {
    expect((await tokenFor("robot", spec)).code).toBe(code);
  });

  test("a Secret may hold one for good", async () => {
    const made = await api.create("/api/v1/namespaces/default/secrets", {
      metadata: {
        name: "robot-token",
        annotations: { "kubernetes.io/service-account.name": "robot" },
      },
      type: "kubernetes.io/service-account-token",
    } as object);
    const { data } = made as { data?: Record<string, string> };
    const token = atob(data?.["token"] ?? "");
    expect((await withToken(token, PODS)).body.message).toContain(
      "system:serviceaccount:default:robot",
    );
    clock.jump(400 * 24 * 3_600_000);
    expect((await withToken(token, PODS)).code).toBe(403);
    await api.call("DELETE", "/api/v1/namespaces/default/secrets/robot-token");
    expect((await withToken(token, PODS)).code).toBe(401);
  });

  test("the keys are published", async () => {
    const config = (await api.call("GET", "/.well-known/openid-configuration")).body;
    expect(config.issuer).toBe("https://kubernetes.default.svc.cluster.local");
    const { keys } = JSON.parse((await api.call("GET", "/openid/v1/jwks")).text);
    expect(keys[0]).toMatchObject({ kty: "EC", crv: "P-256", alg: "ES256", use: "sig" });
    expect(keys[0].d).toBeUndefined();
  });
});

describe("who may do what", () => {
  test("a role in one namespace holds there, and only for its verbs", async () => {
    await api.create(`${RBAC}/namespaces/default/roles`, {
      metadata: { name: "reader" },
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] }],
    } as object);
    await api.create(`${RBAC}/namespaces/default/rolebindings`, {
      metadata: { name: "bob" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reader" },
      subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "bob" }],
    } as object);
    expect((await api.call("GET", PODS, undefined, { user: bob })).code).toBe(200);
    const elsewhere = await api.call("GET", "/api/v1/pods", undefined, { user: bob });
    expect(elsewhere.body.message).toBe(
      'pods is forbidden: User "bob" cannot list resource "pods" in API group "" at the cluster scope',
    );
    const one = await api.call("DELETE", `${PODS}/x`, undefined, { user: bob });
    expect(one.body.message).toBe(
      'pods "x" is forbidden: User "bob" cannot delete resource "pods" in API group "" in the namespace "default"',
    );
    await api.call("DELETE", `${RBAC}/namespaces/default/rolebindings/bob`);
    expect((await api.call("GET", PODS, undefined, { user: bob })).code).toBe(403);
  });

  test("aggregated roles hold what their parts hold, and what is added later", async () => {
    const path = `${RBAC}/clusterroles`;
    const rulesOf = async (name: string) =>
      JSON.stringify((await api.call("GET", `${path}/${name}`)).body.rules);
    expect(await rulesOf("view")).toContain("configmaps");
    expect(await rulesOf("admin")).toContain("rolebindings");
    await api.create(path, {
      metadata: {
        name: "view-foos",
        labels: { "rbac.authorization.k8s.io/aggregate-to-view": "true" },
      },
      rules: [{ apiGroups: ["x.io"], resources: ["foos"], verbs: ["get"] }],
    } as object);
    await clock.advance(1);
    for (const name of ["view", "edit", "admin"]) expect(await rulesOf(name)).toContain("foos");
  });

  test("nobody gives away what they do not have", async () => {
    const eve = { name: "eve", groups: ["system:authenticated"] };
    await api.create(`${RBAC}/namespaces/default/rolebindings`, {
      metadata: { name: "eve" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "admin" },
      subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "eve" }],
    } as object);
    const role = (resources: string[]) => ({
      metadata: { name: `r-${resources[0]}` },
      rules: [{ apiGroups: [""], resources, verbs: ["get"] }],
    });
    const path = `${RBAC}/namespaces/default/roles`;
    expect((await api.call("POST", path, role(["secrets"]), { user: eve })).code).toBe(201);
    const refused = await api.call("POST", path, role(["nodes"]), { user: eve });
    expect(refused.code).toBe(403);
    expect(refused.body.message).toContain(
      "is attempting to grant RBAC permissions not currently held",
    );
    const binding = {
      metadata: { name: "up" },
      roleRef: {
        apiGroup: "rbac.authorization.k8s.io",
        kind: "ClusterRole",
        name: "cluster-admin",
      },
      subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "eve" }],
    };
    const bindings = `${RBAC}/namespaces/default/rolebindings`;
    expect((await api.call("POST", bindings, binding, { user: eve })).code).toBe(403);
  });

  test("reviews answer without acting", async () => {
    const path = "/apis/authorization.k8s.io/v1";
    const ask = (resourceAttributes: object) =>
      api.call("POST", `${path}/subjectaccessreviews`, {
        spec: { user: "eve", resourceAttributes },
      });
    const secrets = { namespace: "default", verb: "get", resource: "secrets" };
    expect((await ask(secrets)).body.status.allowed).toBe(true);
    expect((await ask({ ...secrets, namespace: "kube-system" })).body.status.allowed).toBe(false);
    const self = await api.call(
      "POST",
      `${path}/selfsubjectaccessreviews`,
      { spec: { nonResourceAttributes: { verb: "get", path: "/version" } } },
      { user: bob },
    );
    expect(self.body.status.allowed).toBe(true);
    const me = await api.call(
      "POST",
      "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      {},
      { user: bob },
    );
    expect(me.body.status.userInfo.username).toBe("bob");
  });

  test("impersonation is for who may", async () => {
    const as = { headers: { "impersonate-user": "system:serviceaccount:default:x" } };
    const seen = await api.call("GET", PODS, undefined, as);
    expect(seen.body.message).toContain('User "system:serviceaccount:default:x" cannot list');
    const refused = await api.call("GET", PODS, undefined, { ...as, user: bob });
    expect(refused.body.message).toContain(
      'User "bob" cannot impersonate resource "serviceaccounts"',
    );
    const nobody = await api.call("GET", PODS, undefined, {
      headers: { "impersonate-group": "x" },
    });
    expect(nobody.code).toBe(400);
  });

  test("a node reads what its pods need, and no more", async () => {
    const node = { name: "system:node:n5", groups: ["system:nodes", "system:authenticated"] };
    const secrets = "/api/v1/namespaces/default/secrets";
    for (const name of ["needed", "other"]) await api.create(secrets, { metadata: { name } });
    await api.create(PODS, {
      metadata: { name: "user" },
      spec: {
        nodeName: "n5",
        containers: [{ name: "c", image: "i:1", envFrom: [{ secretRef: { name: "needed" } }] }],
      },
    } as object);
    const get = (path: string) => api.call("GET", path, undefined, { user: node });
    expect((await get(`${secrets}/needed`)).code).toBe(200);
    expect((await get(`${secrets}/other`)).code).toBe(403);
    expect((await get(secrets)).code).toBe(403);
    expect((await get("/api/v1/nodes/n5")).code).toBe(404);
    expect((await get("/api/v1/services")).code).toBe(200);
    const maps = "/api/v1/namespaces/kube-system/configmaps";
    const named = (name: string) => get(`${maps}?fieldSelector=metadata.name%3D${name}`);
    expect((await named("kube-dns")).code).toBe(200);
    expect((await named("other")).code).toBe(403);
    expect((await get(maps)).code).toBe(403);
    const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    expect((await get(`${leases}/n5`)).code).toBe(404);
    expect((await get(`${leases}/n6`)).code).toBe(403);
  });
});
