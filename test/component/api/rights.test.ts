/** Acting as others in every way, tokens bound to every kind, and who may hand rights on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const GROUP = "rbac.authorization.k8s.io";
const CORE = "/api/v1/namespaces/default";
const AUTHENTICATION = "/apis/authentication.k8s.io/v1";
const AUTHORIZATION = "/apis/authorization.k8s.io/v1";

const someone = (name: string) => ({ name, groups: ["system:authenticated"] });

interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
  readonly resourceNames?: string[];
}

/** Gives a user a role of its own, for the whole cluster. */
async function allow(user: string, ...rules: Rule[]): Promise<void> {
  await api.create(`${RBAC}/clusterroles`, { metadata: { name: user }, rules } as object);
  await api.create(`${RBAC}/clusterrolebindings`, {
    metadata: { name: user },
    roleRef: { apiGroup: GROUP, kind: "ClusterRole", name: user },
    subjects: [{ kind: "User", apiGroup: GROUP, name: user }],
  } as object);
}

describe("acting as somebody else", () => {
  const whoAmI = (headers: Record<string, string>, user = someone("mask")) =>
    api.call("POST", `${AUTHENTICATION}/selfsubjectreviews`, {}, { headers, user });
  const JANE = { "impersonate-user": "jane" };

  test("takes name, groups, uid and extra, each for who may", async () => {
    const extra = { "impersonate-extra-example.com%2fteam": "red", "impersonate-uid": "u-1" };
    const headers = { ...JANE, "impersonate-group": "devs", ...extra };
    const denied = async (): Promise<string> => (await whoAmI(headers)).body.message;
    expect(await denied()).toContain('cannot impersonate resource "users"');
    const verbs = ["impersonate"];
    await allow("mask", { apiGroups: [""], resources: ["users"], verbs, resourceNames: ["jane"] });
    expect(await denied()).toContain('groups "devs" is forbidden');
    const path = `${RBAC}/clusterroles/mask`;
    const role = (await api.call("GET", path)).body;
    const grant = async (apiGroup: string, resource: string): Promise<void> => {
      role.rules.push({ apiGroups: [apiGroup], resources: [resource], verbs });
      delete role.metadata.resourceVersion;
      expect((await api.call("PUT", path, role)).code).toBe(200);
    };
    await grant("", "groups");
    expect(await denied()).toContain('cannot impersonate resource "uids"');
    await grant("authentication.k8s.io", "uids");
    expect(await denied()).toContain('cannot impersonate resource "userextras/example.com/team"');
    await grant("authentication.k8s.io", "userextras/example.com/team");
    const { code, body } = await whoAmI(headers);
    expect(code).toBe(201);
    expect(body.status.userInfo).toEqual({
      username: "jane",
      uid: "u-1",
      groups: ["devs", "system:authenticated"],
      extra: { "example.com/team": ["red"] },
    });
    expect((await whoAmI({ "impersonate-user": "joe" })).code).toBe(403);
  });

  test("is more than to be nobody: groups or a uid alone are refused", async () => {
    const admin = { name: "admin", groups: ["system:masters"] };
    for (const header of ["impersonate-group", "impersonate-uid"]) {
      expect([header, (await whoAmI({ [header]: "x" }, admin)).code]).toEqual([header, 400]);
    }
  });
});

describe("a token", () => {
  const askFor = async (boundObjectRef?: object): Promise<string> => {
    const made = await api.call("POST", `${CORE}/serviceaccounts/robot/token`, {
      spec: { ...(boundObjectRef && { boundObjectRef }) },
    });
    expect(made.code).toBe(201);
    return made.body.status.token;
  };
  const review = async (token: string) =>
    (await api.call("POST", `${AUTHENTICATION}/tokenreviews`, { spec: { token } })).body.status;
  beforeAll(async () => {
    await api.create(`${CORE}/serviceaccounts`, { metadata: { name: "robot" } });
  });

  test.each([
    ["Secret", `${CORE}/secrets`, {}],
    ["Node", "/api/v1/nodes", { "authentication.kubernetes.io/node-name": ["bound"] }],
  ])("bound to a %s dies with it, and with one of the same name", async (kind, path, extra) => {
    const make = () => api.create(path, { metadata: { name: "bound" } });
    await make();
    const token = await askFor({ kind, apiVersion: "v1", name: "bound" });
    const status = await review(token);
    expect(status.authenticated).toBe(true);
    expect(status.user.extra ?? {}).toMatchObject(extra);
    await api.call("DELETE", `${path}/bound`);
    expect((await review(token)).authenticated ?? false).toBe(false);
    await make();
    expect((await review(token)).authenticated ?? false).toBe(false);
    await api.call("DELETE", `${path}/bound`);
  });

  test("for another uid is refused", async () => {
    await api.create(`${CORE}/secrets`, { metadata: { name: "other" } });
    const boundObjectRef = { kind: "Secret", apiVersion: "v1", name: "other", uid: "not-this" };
    const made = await api.call("POST", `${CORE}/serviceaccounts/robot/token`, {
      spec: { boundObjectRef },
    });
    expect(made.code).toBe(409);
  });

  test("dies with its account, and with one of the same name", async () => {
    const token = await askFor();
    expect((await review(token)).authenticated).toBe(true);
    await api.call("DELETE", `${CORE}/serviceaccounts/robot`);
    expect((await review(token)).authenticated ?? false).toBe(false);
    await api.create(`${CORE}/serviceaccounts`, { metadata: { name: "robot" } });
    expect((await review(token)).authenticated ?? false).toBe(false);
  });
});

describe("who hands rights on", () => {
  const roles = { apiGroups: [GROUP], resources: ["roles"], verbs: ["create", "update", "get"] };
  const bindings = { ...roles, resources: ["rolebindings"] };
  const nodes = [{ apiGroups: [""], resources: ["nodes"], verbs: ["get"] }];
  const give = (name: string, user: string) =>
    api.call(
      "POST",
      `${RBAC}/namespaces/default/roles`,
      { metadata: { name }, rules: nodes },
      { user: someone(user) },
    );
  const bind = (name: string, user: string, role: string) =>
    api.call(
      "POST",
      `${RBAC}/namespaces/default/rolebindings`,
      {
        metadata: { name },
        roleRef: { apiGroup: GROUP, kind: "ClusterRole", name: role },
        subjects: [{ kind: "User", apiGroup: GROUP, name: "friend" }],
      },
      { user: someone(user) },
    );

  test("may with escalate write roles with more than they have", async () => {
    await allow("clerk", roles);
    await allow("chief", roles, { ...roles, verbs: ["escalate"] });
    expect((await give("by-clerk", "clerk")).code).toBe(403);
    expect((await give("by-chief", "chief")).code).toBe(201);
  });

  test("may with bind bind the roles that are named, and no other", async () => {
    const verbs = ["bind"];
    const named = {
      ...{ apiGroups: [GROUP], resources: ["clusterroles"], verbs },
      resourceNames: ["view"],
    };
    await allow("usher", bindings, named);
    expect((await bind("v", "usher", "view")).code).toBe(201);
    const refused = await bind("e", "usher", "edit");
    expect(refused.code).toBe(403);
    expect(refused.body.message).toContain("attempting to grant RBAC permissions");
  });

  test("reviews of a namespace, and of all that one may", async () => {
    const about = { namespace: "default", verb: "get", resource: "nodes" };
    const local = `${AUTHORIZATION}/namespaces/default/localsubjectaccessreviews`;
    const ask = (resourceAttributes: object) =>
      api.call("POST", local, { spec: { user: "clerk", resourceAttributes } });
    expect((await ask(about)).body.status.allowed).toBe(false);
    const mine = { ...about, group: GROUP, resource: "roles" };
    expect((await ask(mine)).body.status.allowed).toBe(true);
    expect((await ask({ ...about, namespace: "kube-system" })).code).toBe(422);
    const rules = await api.call(
      "POST",
      `${AUTHORIZATION}/selfsubjectrulesreviews`,
      { spec: { namespace: "default" } },
      { user: someone("clerk") },
    );
    expect(rules.body.status.resourceRules).toContainEqual(roles);
    expect(rules.body.status.incomplete).toBe(false);
    expect(JSON.stringify(rules.body.status.nonResourceRules)).toContain("/healthz");
  });
});
