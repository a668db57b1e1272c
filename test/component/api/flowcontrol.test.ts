/** Priority and fairness through the API: its own objects decide who waits, and for whom. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { ADMIN_TOKEN, startApi, type TestApi } from "#test/support/api.ts";

const FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1";
const MAPS = "/api/v1/namespaces/default/configmaps";
const TOKENS = {
  greedy: { name: "greedy", groups: ["workers"] },
  modest: { name: "modest", groups: ["workers"] },
};

let api: TestApi;
beforeAll(async () => {
  const admin = { name: "admin", groups: ["system:masters"] };
  const tokens = [[ADMIN_TOKEN, admin] as const, ...Object.entries(TOKENS)];
  api = await startApi({
    auth: { tokens: new Map(tokens) },
    settings: { requestsInFlightMax: 40 },
  });
  await api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
    metadata: { name: "workers" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "workers" }],
  } as object);
  await api.create(`${FLOW}/prioritylevelconfigurations`, {
    metadata: { name: "narrow" },
    spec: {
      type: "Limited",
      limited: {
        nominalConcurrencyShares: 1,
        borrowingLimitPercent: 0,
        limitResponse: {
          type: "Queue",
          queuing: { queues: 4, handSize: 1, queueLengthLimit: 5 },
        },
      },
    },
  } as object);
  await api.create(`${FLOW}/flowschemas`, {
    metadata: { name: "workers" },
    spec: {
      matchingPrecedence: 10,
      priorityLevelConfiguration: { name: "narrow" },
      distinguisherMethod: { type: "ByUser" },
      rules: [
        {
          subjects: [{ kind: "Group", group: { name: "workers" } }],
          resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"] }],
        },
      ],
    },
  } as object);
});
afterAll(() => api.close());

let count = 0;

/** A write, which takes a sync of the disk; its status, and when it was answered. */
async function write(token: string, order: string[]): Promise<Response> {
  count += 1;
  const answer = await api.raw(
    MAPS,
    {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ metadata: { name: `m${count}` } }),
    },
    {},
  );
  order.push(token);
  return answer;
}

describe("priority and fairness", () => {
  test("has upstream's default objects", async () => {
    const { body } = await api.call("GET", `${FLOW}/flowschemas`);
    const names = body.items.map((each: { metadata: { name: string } }) => each.metadata.name);
    for (const name of ["exempt", "probes", "system-nodes", "global-default", "catch-all"]) {
      expect(names).toContain(name);
    }
  });

  test("one with many requests is refused past its queue, and told when to come", async () => {
    const order: string[] = [];
    const all = await Promise.all(Array.from({ length: 20 }, () => write("greedy", order)));
    const refused = all.filter(({ status }) => status === 429);
    expect(all.filter(({ status }) => status === 201)).toHaveLength(6);
    expect(refused).toHaveLength(14);
    expect(refused[0]?.headers.get("retry-after")).toBe("1");
    expect(await refused[0]?.json()).toMatchObject({ reason: "TooManyRequests", code: 429 });
  });

  test("one with few requests does not wait for those of another", async () => {
    const order: string[] = [];
    const greedy = Array.from({ length: 6 }, () => write("greedy", order));
    const modest = write("modest", order);
    const answers = await Promise.all([...greedy, modest]);
    expect(answers.every(({ status }) => status === 201)).toBe(true);
    expect(order.indexOf("modest")).toBeLessThanOrEqual(2);
  });

  test("who is exempt never waits", async () => {
    const order: string[] = [];
    const all = await Promise.all(Array.from({ length: 60 }, () => write(ADMIN_TOKEN, order)));
    expect(all.every(({ status }) => status === 201)).toBe(true);
  });
});
