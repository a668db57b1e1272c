/** Two identities or requests never share a cache entry, whatever bytes their names contain. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Puller } from "#agents/runtime/pull.ts";
import type { UserInfo } from "#api/core.ts";
import { type Asked, classify, inOrder } from "#api/fair/classify.ts";
import { compoundKey } from "#base/key.ts";
import type { FlowSchema } from "#resources/types.gen.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { RBAC, RBAC_GROUP, rule } from "#test/support/rights.ts";

let api: TestApi;
const SEPARATORS = ["\n", "\0", ",", "|", "/", " ", ":", "\r\n", "\u2028", '","', "1:"];

beforeAll(async () => {
  api = await startApi();
  await api.create(`${RBAC}/clusterroles`, {
    metadata: { name: "reader" },
    rules: [rule("", "secrets", ["list"])],
  } as object);
  await api.create(`${RBAC}/clusterrolebindings`, {
    metadata: { name: "reader" },
    roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: "reader" },
    subjects: [{ kind: "Group", apiGroup: RBAC_GROUP, name: "readers" }],
  } as object);
});
afterAll(() => api.close());

const secrets = async (user: UserInfo): Promise<number> =>
  (await api.call("GET", "/api/v1/secrets", undefined, { user })).code;

describe("a user without rights", () => {
  test.each(SEPARATORS)(
    "gets none by a name that ends like the groups of another: %j",
    async (by) => {
      expect(await secrets({ name: "mary", groups: ["readers", "staff"] })).toBe(200);
      expect(await secrets({ name: `mary${by}readers`, groups: ["staff"] })).toBe(403);
      expect(await secrets({ name: `mary${by}readers${by}staff`, groups: [] })).toBe(403);
    },
  );

  test.each(SEPARATORS)("gets none by a group that holds others: %j", async (by) => {
    expect(await secrets({ name: "jane", groups: ["a", "readers"] })).toBe(200);
    expect(await secrets({ name: "jane", groups: [`a${by}readers`] })).toBe(403);
    expect(await secrets({ name: "jane", groups: [`readers${by}a`] })).toBe(403);
  });

  test.each(SEPARATORS)("takes none away from who has them: %j", async (by) => {
    expect(await secrets({ name: `joe${by}readers`, groups: [] })).toBe(403);
    expect(await secrets({ name: "joe", groups: ["readers"] })).toBe(200);
  });

  test("gets none through a review of odd names", async () => {
    const review = async (user: string, groups: string[]): Promise<boolean> => {
      const resourceAttributes = { resource: "secrets", verb: "list" };
      const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
      const { body } = await api.call("POST", path, { spec: { user, groups, resourceAttributes } });
      return body.status.allowed;
    };
    expect(await review("eve", ["x", "readers"])).toBe(true);
    for (const by of SEPARATORS) {
      expect(await review(`eve${by}x`, [`readers${by}`])).toBe(false);
      expect(await review("eve", [`x${by}readers`])).toBe(false);
    }
  });
});

describe("the turns of requests", () => {
  const schema = (name: string, type?: string): FlowSchema => ({
    metadata: { name },
    spec: {
      priorityLevelConfiguration: { name: "level" },
      ...(type && { distinguisherMethod: { type } }),
      rules: [
        {
          subjects: [{ kind: "User", user: { name: "*" } }],
          nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
        },
      ],
    },
  });
  const flowOf = (name: string, user: string, type?: string): string => {
    const asked: Asked = {
      user: { name: user, groups: [] },
      verb: "get",
      path: "/",
      target: undefined,
    };
    return classify(inOrder([schema(name, type)]), asked, () => true)?.flow ?? "";
  };

  test("of two users are two", () => {
    const seen = new Set<string>();
    const users = SEPARATORS.flatMap((by) => [`a${by}b`, `a${by}`, `${by}b`]);
    for (const user of users) {
      for (const name of ["s", "s.a"]) seen.add(flowOf(name, user, "ByUser"));
    }
    expect(seen.size).toBe(users.length * 2);
  });
});

test("two pulls with different credentials are two", async () => {
  const failed = () => Promise.reject(new Error("not in this test"));
  const puller = new Puller({ caller: {}, suspects: { recover: failed }, env: {} } as never);
  const pull = (username: string, password: string) => {
    const pulled = puller.pull("NO IMAGE", { username, password });
    pulled.catch(() => undefined);
    return pulled;
  };
  for (const by of SEPARATORS) expect(pull("me", `my${by}own`)).not.toBe(pull(`me${by}my`, "own"));
});

test("a compound key is as different as its parts", () => {
  const texts = ["", "a", "-", "1:a", "0:", ...SEPARATORS];
  const seen = new Map<string, string>();
  const lists = texts.flatMap((a) => [
    [a],
    ...texts.flatMap((b) => [
      [a, b],
      [a, b, undefined],
    ]),
  ]);
  for (const list of [[], [undefined], [undefined, undefined], ...lists]) {
    const key = compoundKey(...list);
    const text = JSON.stringify(list);
    expect(seen.get(key) ?? text).toBe(text);
    seen.set(key, text);
  }
});
