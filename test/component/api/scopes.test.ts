/** Admission by what a pod says: scopes of quotas, classes, limits, levels of security. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";

const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
const SCHEDULING = "/apis/scheduling.k8s.io/v1/priorityclasses";

let api: TestApi;
beforeAll(async () => {
  api = await startApi();
  await api.create(SCHEDULING, { metadata: { name: "high" }, value: 1000 } as object);
});
afterAll(() => api.close());

let count = 0;
async function fresh(labels: Record<string, string> = {}): Promise<string> {
  const name = `scope${count++}`;
  await api.create("/api/v1/namespaces", { metadata: { name, labels } });
  return `/api/v1/namespaces/${name}`;
}
const pod = (name: string, spec: object = {}, container: object = {}) => ({
  metadata: { name },
  spec: { containers: [{ name: "c", image: "i:1", ...container }], ...spec },
});
const post = (path: string, object: object) => api.call("POST", path, object);
const requests = { resources: { requests: { cpu: "100m" } } };

describe("a quota's scope", () => {
  async function quota(scope: object): Promise<string> {
    const ns = await fresh();
    const hard = { pods: "1" };
    await api.create(`${ns}/resourcequotas`, {
      metadata: { name: "q" },
      spec: { hard, ...scope },
    } as object);
    // The controller's part: the first count.
    const status = { hard, used: { pods: "0" } };
    await api.call("PATCH", `${ns}/resourcequotas/q/status`, { status }, MERGE);
    return ns;
  }
  const selector = (scopeName: string, operator: string, values?: string[]) => ({
    scopeSelector: { matchExpressions: [{ scopeName, operator, ...(values && { values }) }] },
  });
  const near = {
    affinity: {
      podAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          {
            topologyKey: "zone",
            namespaces: ["other"],
            labelSelector: { matchLabels: { a: "b" } },
          },
        ],
      },
    },
  };
  const ended = { activeDeadlineSeconds: 60 };
  const high = { priorityClassName: "high" };
  test.each<[string, object, object, object]>([
    ["BestEffort", { scopes: ["BestEffort"] }, pod("x"), pod("x", {}, requests)],
    ["NotBestEffort", { scopes: ["NotBestEffort"] }, pod("x", {}, requests), pod("x")],
    ["Terminating", { scopes: ["Terminating"] }, pod("x", ended), pod("x")],
    ["NotTerminating", { scopes: ["NotTerminating"] }, pod("x"), pod("x", ended)],
    ["PriorityClass In", selector("PriorityClass", "In", ["high"]), pod("x", high), pod("x")],
    ["PriorityClass NotIn", selector("PriorityClass", "NotIn", ["high"]), pod("x"), pod("x", high)],
    ["PriorityClass Exists", selector("PriorityClass", "Exists"), pod("x", high), pod("x")],
    [
      "CrossNamespacePodAffinity",
      selector("CrossNamespacePodAffinity", "Exists"),
      pod("x", near),
      pod("x"),
    ],
    [
      "two scopes",
      { scopes: ["NotTerminating"], ...selector("PriorityClass", "In", ["high"]) },
      pod("x", high),
      pod("x", { ...high, ...ended }),
    ],
  ])("%s counts the pods that it means alone", async (_, scope, meant, other) => {
    const ns = await quota(scope);
    const named = (object: object, name: string) => ({ ...object, metadata: { name } });
    expect((await post(`${ns}/pods`, named(meant, "a"))).code).toBe(201);
    expect((await post(`${ns}/pods`, named(other, "b"))).code).toBe(201);
    const refused = await post(`${ns}/pods`, named(meant, "c"));
    expect([refused.code, refused.body.message]).toEqual([
      403,
      'pods "c" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1',
    ]);
    expect((await post(`${ns}/pods`, named(other, "d"))).code).toBe(201);
  });

  test("that no object of its kind can have is refused", async () => {
    const ns = await fresh();
    const spec = { hard: { services: "1" }, scopes: ["BestEffort"] };
    const { code, body } = await post(`${ns}/resourcequotas`, { metadata: { name: "q" }, spec });
    expect([code, body.message]).toEqual([422, expect.stringContaining("spec.scopes")]);
  });
});

describe("a runtime class", () => {
  beforeAll(async () => {
    await api.create("/apis/node.k8s.io/v1/runtimeclasses", {
      metadata: { name: "boxed" },
      handler: "boxed",
      overhead: { podFixed: { memory: "64Mi" } },
      scheduling: {
        nodeSelector: { box: "yes" },
        tolerations: [{ key: "box", operator: "Exists", effect: "NoSchedule" }],
      },
    } as object);
  });

  test("gives its overhead and its place", async () => {
    const own = { key: "own", operator: "Exists" };
    const wanted = { runtimeClassName: "boxed", nodeSelector: { a: "b" }, tolerations: [own] };
    const { body } = await post(`${await fresh()}/pods`, pod("p", wanted));
    expect(body.spec.overhead).toEqual({ memory: "64Mi" });
    expect(body.spec.nodeSelector).toEqual({ a: "b", box: "yes" });
    expect(body.spec.tolerations).toEqual(
      expect.arrayContaining([own, { key: "box", operator: "Exists", effect: "NoSchedule" }]),
    );
  });

  test.each<[string, object, string]>([
    ["another place", { runtimeClassName: "boxed", nodeSelector: { box: "no" } }, "conflict"],
    ["another overhead", { runtimeClassName: "boxed", overhead: { memory: "1Mi" } }, "match"],
    ["an overhead of nobody", { overhead: { memory: "1Mi" } }, "without corresponding"],
  ])("takes no pod that asks for %s", async (_, spec, why) => {
    const { code, body } = await post(`${await fresh()}/pods`, pod("p", spec));
    expect([code, body.message]).toEqual([403, expect.stringContaining(why)]);
  });
});

describe("a priority class", () => {
  test("is that of pods which name none, where it says so", async () => {
    const ns = await fresh();
    const usual = { metadata: { name: "usual" }, value: 50, globalDefault: true };
    await api.create(SCHEDULING, { ...usual, preemptionPolicy: "Never" } as object);
    const { spec } = (await post(`${ns}/pods`, pod("a"))).body;
    expect(spec).toMatchObject({
      priorityClassName: "usual",
      priority: 50,
      preemptionPolicy: "Never",
    });
    const other = { priorityClassName: "high", preemptionPolicy: "Never" };
    expect((await post(`${ns}/pods`, pod("b", other))).body.message).toContain(
      "the string value of PreemptionPolicy (Never) must not be provided",
    );
    await api.call("DELETE", `${SCHEDULING}/usual`);
    expect((await post(`${ns}/pods`, pod("c"))).body.spec.priority).toBe(0);
    // What a pod was given stays with it.
    expect((await api.call("GET", `${ns}/pods/a`)).body.spec.priority).toBe(50);
  });

  test("of the system cannot be made by hand, nor a number above the highest", async () => {
    for (const [name, value] of [
      ["system-mine", 5],
      ["mine", 1_000_000_001],
    ]) {
      expect((await post(SCHEDULING, { metadata: { name }, value })).code).toBe(422);
    }
  });
});

describe("an ingress class", () => {
  const CLASSES = "/apis/networking.k8s.io/v1/ingressclasses";
  const annotations = { "ingressclass.kubernetes.io/is-default-class": "true" };
  const make = (name: string) =>
    api.create(CLASSES, {
      metadata: { name, annotations },
      spec: { controller: "example.com/c" },
    } as object);
  const ingress = (name: string, metadata: object = {}) => ({
    metadata: { name, ...metadata },
    spec: { defaultBackend: { service: { name: "s", port: { number: 80 } } } },
  });

  test("is given to who names none, and none is where there are two", async () => {
    const path = `${(await fresh()).replace("/api/v1", "/apis/networking.k8s.io/v1")}/ingresses`;
    await make("front");
    expect((await post(path, ingress("a"))).body.spec.ingressClassName).toBe("front");
    const named = ingress("b", { annotations: { "kubernetes.io/ingress.class": "old" } });
    expect((await post(path, named)).body.spec.ingressClassName).toBeUndefined();
    await make("back");
    const { code, body } = await post(path, ingress("c"));
    expect([code, body.message]).toEqual([403, expect.stringContaining("2 default IngressClass")]);
  });
});

describe("a limit", () => {
  test("of whole pods, and of the room between asking and having", async () => {
    const ns = await fresh();
    const limits = [
      { type: "Pod", max: { cpu: "1" } },
      { type: "Container", maxLimitRequestRatio: { cpu: "2" } },
    ];
    await api.create(`${ns}/limitranges`, { metadata: { name: "l" }, spec: { limits } } as object);
    const cpu = (request: string, limit: string) => ({
      resources: { requests: { cpu: request }, limits: { cpu: limit } },
    });
    const wide = await post(`${ns}/pods`, pod("wide", {}, cpu("100m", "500m")));
    expect([wide.code, wide.body.message]).toEqual([
      403,
      expect.stringContaining("cpu max limit to request ratio per Container is 2"),
    ]);
    const both = ["a", "b"].map((name) => ({ name, image: "i", ...cpu("600m", "600m") }));
    const large = await post(`${ns}/pods`, pod("large", { containers: both }));
    expect([large.code, large.body.message]).toEqual([
      403,
      expect.stringContaining("maximum cpu usage per Pod is 1, but limit is 1200m"),
    ]);
    expect((await post(`${ns}/pods`, pod("good", {}, cpu("500m", "1")))).code).toBe(201);
  });
});

describe("a level of security", () => {
  const LEVEL = "pod-security.kubernetes.io";

  test("that a namespace gets later is told of the pods which it would refuse", async () => {
    const ns = await fresh();
    await post(`${ns}/pods`, pod("good"));
    await post(`${ns}/pods`, pod("bad", { hostNetwork: true }));
    const labels = { [`${LEVEL}/enforce`]: "baseline" };
    const { code, headers } = await api.call("PATCH", ns, { metadata: { labels } }, MERGE);
    const warning = headers.get("warning") ?? "";
    expect([code, warning]).toEqual([200, expect.stringContaining("existing pods in namespace")]);
    expect(warning).toContain("bad: host namespaces");
    expect(warning).not.toContain("good");
  });

  test("holds for what is added to a pod, and not for what is said of it", async () => {
    const ns = await fresh();
    const before = { hostNetwork: true, schedulingGates: [{ name: "example.com/wait" }] };
    await post(`${ns}/pods`, pod("old", before));
    await post(`${ns}/pods`, pod("new"));
    const labels = { [`${LEVEL}/enforce`]: "baseline" };
    await api.call("PATCH", ns, { metadata: { labels } }, MERGE);
    const note = { metadata: { annotations: { note: "kept" } } };
    expect((await api.call("PATCH", `${ns}/pods/old`, note, MERGE)).code).toBe(200);
    const debug = { name: "d", image: "i", securityContext: { privileged: true } };
    const { code, body } = await api.call(
      "PATCH",
      `${ns}/pods/new/ephemeralcontainers`,
      { spec: { ephemeralContainers: [debug] } },
      MERGE,
    );
    expect([code, body.message]).toEqual([403, expect.stringContaining("privileged")]);
  });
});
