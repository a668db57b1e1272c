import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";
import { fakeClock } from "#test/support/clock.ts";

let api: TestApi;
const clock = fakeClock();
beforeAll(async () => {
  api = await startApi({ clock });
});
afterAll(() => api.close());

const CM = "/api/v1/namespaces/default/configmaps";
const PODS = "/api/v1/namespaces/default/pods";
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
const cm = (name: string, more: object = {}) => ({ metadata: { name, ...more } });
const pod = (name: string, nodeName?: string) => ({
  metadata: { name },
  spec: { containers: [{ name: "c", image: "i:1" }], ...(nodeName && { nodeName }) },
});

describe("at once", () => {
  test("answers a Status that names what went", async () => {
    const made = await api.create(CM, cm("a"));
    const { code, body } = await api.call("DELETE", `${CM}/a`);
    expect(code).toBe(200);
    expect(body).toMatchObject({
      kind: "Status",
      status: "Success",
      details: { name: "a", kind: "configmaps", uid: (made.metadata as { uid?: string }).uid },
    });
    expect((await api.call("DELETE", `${CM}/a`)).code).toBe(404);
  });

  test.each([
    [{ uid: "other" }, /UID in the precondition \(other\)/],
    [{ resourceVersion: "1" }, /ResourceVersion in the precondition \(1\)/],
  ])("preconditions %j must hold", async (preconditions, message) => {
    await api.call("POST", CM, cm("pre"));
    const { code, body } = await api.call("DELETE", `${CM}/pre`, { preconditions });
    expect(code).toBe(409);
    expect(body.message).toMatch(message);
  });

  test("options that make no sense are refused", async () => {
    await api.create(CM, cm("opt"));
    expect((await api.call("DELETE", `${CM}/opt?propagationPolicy=Maybe`)).code).toBe(422);
    expect((await api.call("DELETE", `${CM}/opt?gracePeriodSeconds=soon`)).code).toBe(400);
    expect((await api.call("DELETE", `${CM}/opt`, { kind: "Pod" })).code).toBe(400);
  });
});

describe("finalizers", () => {
  test("hold an object until the last one is gone", async () => {
    await api.create(CM, cm("f", { finalizers: ["a.b/c", "a.b/d"] }));
    const deleted = await api.call("DELETE", `${CM}/f`);
    expect(deleted.body.metadata.deletionTimestamp).toBeString();
    expect(deleted.body.metadata.deletionGracePeriodSeconds).toBe(0);
    const more = { metadata: { finalizers: ["a.b/c", "a.b/d", "a.b/e"] } };
    const refused = await api.call("PATCH", `${CM}/f`, more, MERGE);
    expect(refused.code).toBe(422);
    expect(refused.body.message).toContain("no new finalizers can be added");
    const one = await api.call("PATCH", `${CM}/f`, { metadata: { finalizers: ["a.b/c"] } }, MERGE);
    expect(one.code).toBe(200);
    expect((await api.call("GET", `${CM}/f`)).code).toBe(200);
    const none = await api.call("PATCH", `${CM}/f`, { metadata: { finalizers: null } }, MERGE);
    expect(none.code).toBe(200);
    expect((await api.call("GET", `${CM}/f`)).code).toBe(404);
  });

  test.each([
    ["Foreground", ["foregroundDeletion"]],
    ["Orphan", ["orphan"]],
  ])("%s deletion waits for the garbage controller", async (policy, finalizers) => {
    const name = policy.toLowerCase();
    await api.create(CM, cm(name));
    const { body } = await api.call("DELETE", `${CM}/${name}`, { propagationPolicy: policy });
    expect(body.metadata.finalizers).toEqual(finalizers);
    const background = await api.call("DELETE", `${CM}/${name}?propagationPolicy=Background`);
    expect(background.code).toBe(200);
    expect((await api.call("GET", `${CM}/${name}`)).code).toBe(404);
  });
});

describe("pods", () => {
  test("one without a node goes at once", async () => {
    await api.create(PODS, pod("loose"));
    await api.call("DELETE", `${PODS}/loose`);
    expect((await api.call("GET", `${PODS}/loose`)).code).toBe(404);
  });

  test("one on a node has its grace, and the agent ends it", async () => {
    await api.create(PODS, pod("bound", "n1"));
    const { body } = await api.call("DELETE", `${PODS}/bound`);
    const { deletionTimestamp, deletionGracePeriodSeconds, generation } = body.metadata;
    expect(deletionGracePeriodSeconds).toBe(30);
    expect(Date.parse(deletionTimestamp) - clock.now()).toBe(30_000);
    expect(generation).toBe(2);
    const shorter = await api.call("DELETE", `${PODS}/bound`, { gracePeriodSeconds: 5 });
    expect(shorter.body.metadata.deletionGracePeriodSeconds).toBe(5);
    const longer = await api.call("DELETE", `${PODS}/bound`, { gracePeriodSeconds: 60 });
    expect(longer.body.metadata.deletionGracePeriodSeconds).toBe(5);
    await api.call("DELETE", `${PODS}/bound?gracePeriodSeconds=0`);
    expect((await api.call("GET", `${PODS}/bound`)).code).toBe(404);
  });

  test("one that has ended goes at once", async () => {
    await api.create(PODS, pod("ended", "n1"));
    const status = { status: { phase: "Succeeded" } };
    await api.call("PATCH", `${PODS}/ended/status`, status, MERGE);
    await api.call("DELETE", `${PODS}/ended`);
    expect((await api.call("GET", `${PODS}/ended`)).code).toBe(404);
  });
});

describe("namespaces", () => {
  test("terminate, take nothing new, and go when they are finalized", async () => {
    await api.create("/api/v1/namespaces", { metadata: { name: "gone" } });
    const { body } = await api.call("DELETE", "/api/v1/namespaces/gone");
    expect(body.status.phase).toBe("Terminating");
    const late = await api.call("POST", "/api/v1/namespaces/gone/configmaps", cm("late"));
    expect(late.code).toBe(403);
    expect(late.body.message).toBe(
      'configmaps "late" is forbidden: unable to create new content in namespace gone because it is being terminated',
    );
    expect(late.body.details.causes).toEqual([
      {
        reason: "NamespaceTerminating",
        message: "namespace gone is being terminated",
        field: "metadata.namespace",
      },
    ]);
    body.spec.finalizers = [];
    expect((await api.call("PUT", "/api/v1/namespaces/gone/finalize", body)).code).toBe(200);
    expect((await api.call("GET", "/api/v1/namespaces/gone")).code).toBe(404);
  });

  test("some stay", async () => {
    const { code, body } = await api.call("DELETE", "/api/v1/namespaces/kube-system");
    expect(code).toBe(403);
    expect(body.message).toContain("this namespace may not be deleted");
  });
});

describe("collections", () => {
  test("are deleted by selector", async () => {
    for (const name of ["c1", "c2", "c3"]) {
      await api.create(CM, cm(name, { labels: { set: name === "c3" ? "b" : "a" } }));
    }
    const { code, body } = await api.call("DELETE", `${CM}?labelSelector=set%3Da`);
    expect([code, body.items.length]).toEqual([200, 2]);
    const left = (await api.call("GET", `${CM}?labelSelector=set`)).body.items;
    expect(left.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(["c3"]);
  });
});

describe("eviction", () => {
  const evict = (name: string) =>
    api.call("POST", `${PODS}/${name}/eviction`, { metadata: { name } });
  const PDBS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

  test("honours the budget with upstream's cause, and spends it", async () => {
    for (const name of ["e1", "e2"]) {
      const object = pod(name, "n1");
      await api.create(PODS, { ...object, metadata: { name, labels: { app: "e" } } });
      const status = {
        phase: "Running",
        conditions: [{ type: "Ready", status: "True" }],
      };
      await api.call("PATCH", `${PODS}/${name}/status`, { status }, MERGE);
    }
    await api.create(PDBS, {
      metadata: { name: "b" },
      spec: { minAvailable: 1, selector: { matchLabels: { app: "e" } } },
    } as object);
    const early = await evict("e1");
    expect(early.code).toBe(429);
    expect(early.headers.get("retry-after")).toBe("10");
    const status = {
      observedGeneration: 1,
      disruptionsAllowed: 1,
      currentHealthy: 2,
      desiredHealthy: 1,
      expectedPods: 2,
    };
    await api.call("PATCH", `${PDBS}/b/status`, { status }, MERGE);
    expect((await evict("e1")).code).toBe(201);
    const gone = (await api.call("GET", `${PODS}/e1`)).body;
    expect(gone.metadata.deletionTimestamp).toBeString();
    expect(gone.status.conditions).toContainEqual(
      expect.objectContaining({ type: "DisruptionTarget", reason: "EvictionByEvictionAPI" }),
    );
    const spent = (await api.call("GET", `${PDBS}/b`)).body.status;
    expect(spent.disruptionsAllowed).toBe(0);
    expect(Object.keys(spent.disruptedPods)).toEqual(["e1"]);
    const refused = await evict("e2");
    expect(refused.code).toBe(429);
    expect(refused.body.message).toBe(
      "Cannot evict pod as it would violate the pod's disruption budget.",
    );
    expect(refused.body.details.causes).toEqual([
      {
        reason: "DisruptionBudget",
        message: "The disruption budget b needs 1 healthy pods and has 2 currently",
      },
    ]);
  });
});
