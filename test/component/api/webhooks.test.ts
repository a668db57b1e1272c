import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeObject } from "#api/codec.ts";
import { openPki, type Pki } from "#api/pki.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import type { ApiObject } from "#resources/meta.ts";
import { until } from "#test/component/controllers/plane.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { OWN_ADDRESS } from "#test/support/ownaddress.ts";

interface Review {
  request: {
    uid: string;
    operation: string;
    kind: object;
    resource: { resource: string };
    subResource?: string;
    name: string;
    namespace?: string;
    dryRun: boolean;
    userInfo: { username: string };
    object: { data?: Record<string, string> } | null;
    oldObject: object | null;
  };
}

let api: TestApi;
let pki: Pki;
const dir = mkdtempSync(join(tmpdir(), "bramble-webhooks-"));
const seen: Array<{ path: string; review: Review }> = [];
const answers: Record<string, (review: Review) => object | Promise<object>> = {};
/** As they are, instead of a review. */
const texts: Record<string, (review: Review) => string> = {};
let server: ReturnType<typeof Bun.serve>;

beforeAll(async () => {
  api = await startApi();
  pki = await openPki({
    dir,
    clock: realClock,
    random: realRandom,
    log: silentLog,
    names: ["hook.default.svc"],
    ips: ["127.0.0.1"],
  });
  const { certPem, keyPem } = pki.server();
  server = Bun.serve({
    port: 0,
    hostname: "0.0.0.0",
    tls: { cert: certPem, key: keyPem },
    async fetch(request) {
      const path = new URL(request.url).pathname;
      const review = (await request.json()) as Review;
      seen.push({ path, review });
      const text = texts[path]?.(review);
      if (text !== undefined) return new Response(text);
      const answer = await answers[path]?.(review);
      if (answer === undefined) return new Response("no such hook", { status: 404 });
      return Response.json({
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        response: { uid: review.request.uid, ...answer },
      });
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  pki.close();
  await api.close();
  rmSync(dir, { recursive: true, force: true });
});

const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
const HOOKS = "/apis/admissionregistration.k8s.io/v1";
const rules = [
  {
    operations: ["CREATE", "UPDATE", "DELETE"],
    apiGroups: [""],
    apiVersions: ["v1"],
    resources: ["configmaps"],
  },
];
const patch = (operations: object[]) => ({
  allowed: true,
  patchType: "JSONPatch",
  patch: btoa(JSON.stringify(operations)),
});

let count = 0;
/** A namespace that the hook is about, and nobody else's. */
async function hook(
  kind: "mutating" | "validating",
  path: string,
  more: object = {},
): Promise<string> {
  const name = `hook${count++}`;
  await api.create("/api/v1/namespaces", { metadata: { name, labels: { hooked: name } } });
  await api.create(`${HOOKS}/${kind}webhookconfigurations`, {
    metadata: { name },
    webhooks: [
      {
        name: `${name}.x.io`,
        clientConfig: {
          url: `https://127.0.0.1:${server.port}${path}`,
          caBundle: btoa(pki.caPem),
        },
        rules,
        namespaceSelector: { matchLabels: { hooked: name } },
        sideEffects: "None",
        admissionReviewVersions: ["v1"],
        ...more,
      },
    ],
  } as object);
  return `/api/v1/namespaces/${name}/configmaps`;
}
const cm = (name: string, data: Record<string, string> = {}) => ({ metadata: { name }, data });

describe("a mutating webhook", () => {
  test("changes what is written, and others see the change", async () => {
    answers["/add"] = () => patch([{ op: "add", path: "/data/added", value: "yes" }]);
    const path = await hook("mutating", "/add");
    const { code, body } = await api.call("POST", path, cm("a", { k: "v" }));
    expect([code, body.data]).toEqual([201, { k: "v", added: "yes" }]);
    const { request } = seen.at(-1)?.review ?? {};
    expect(request).toMatchObject({
      operation: "CREATE",
      name: "a",
      dryRun: false,
      oldObject: null,
    });
    expect(request?.userInfo.username).toBe("admin");
  });

  test("runs again after a later one, where it asked for it", async () => {
    answers["/count"] = ({ request }) => {
      const n = Number(request.object?.data?.["n"] ?? "0") + 1;
      return patch([{ op: "add", path: "/data/n", value: String(n) }]);
    };
    answers["/late"] = () => patch([{ op: "add", path: "/data/late", value: "yes" }]);
    const path = await hook("mutating", "/count", { reinvocationPolicy: "IfNeeded" });
    const namespace = path.split("/")[4] ?? "";
    await api.create(`${HOOKS}/mutatingwebhookconfigurations`, {
      metadata: { name: `${namespace}-late` },
      webhooks: [
        {
          name: "late.x.io",
          clientConfig: { url: `https://127.0.0.1:${server.port}/late`, caBundle: btoa(pki.caPem) },
          rules,
          namespaceSelector: { matchLabels: { hooked: namespace } },
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
        },
      ],
    } as object);
    const { body } = await api.call("POST", path, cm("a"));
    expect(body.data).toEqual({ n: "2", late: "yes" });
  });
});

describe("a validating webhook", () => {
  test("denies in its own words, and warns", async () => {
    answers["/judge"] = ({ request }) =>
      request.object?.data?.["bad"] === undefined
        ? { allowed: true, warnings: ["mind the gap"] }
        : { allowed: false, status: { message: "it is bad", code: 400 } };
    const path = await hook("validating", "/judge");
    const fine = await api.call("POST", path, cm("a"));
    expect(fine.code).toBe(201);
    expect(fine.headers.get("warning")).toContain("mind the gap");
    const bad = await api.call("POST", path, cm("b", { bad: "1" }));
    expect(bad.code).toBe(400);
    expect(bad.body.message).toMatch(
      /^admission webhook "hook\d+\.x\.io" denied the request: it is bad$/,
    );
  });

  test("that only gives a reason is quoted with it", async () => {
    answers["/reason"] = () => ({ allowed: false, status: { reason: "unwanted data" } });
    const path = await hook("validating", "/reason");
    const { code, body } = await api.call("POST", path, cm("a"));
    expect([code, body.reason]).toEqual([400, "unwanted data"]);
    expect(body.message).toEndWith("denied the request: unwanted data");
  });

  test("sees deletions with what was there", async () => {
    answers["/keep"] = ({ request }) => ({ allowed: request.operation !== "DELETE" });
    const path = await hook("validating", "/keep");
    await api.create(path, cm("a", { k: "v" }));
    const { code, body } = await api.call("DELETE", `${path}/a`);
    expect(code).toBe(400);
    expect(body.message).toContain("denied the request without explanation");
    expect(seen.at(-1)?.review.request).toMatchObject({
      object: null,
      oldObject: { data: { k: "v" } },
    });
  });

  test("is asked before a stream opens", async () => {
    answers["/attach"] = ({ request }) => ({
      allowed: (request.object as { container?: string } | null)?.container !== "main",
      status: { message: "no attaching" },
    });
    const pods = (
      await hook("validating", "/attach", {
        rules: [
          {
            operations: ["CONNECT"],
            apiGroups: [""],
            apiVersions: ["v1"],
            resources: ["pods/attach"],
          },
        ],
      })
    ).replace(/configmaps$/, "pods");
    const path = `${pods}/a/attach?stdin=true`;
    const { code, body } = await api.call("POST", `${path}&container=main`);
    expect([code, body.message]).toEqual([400, expect.stringContaining("no attaching")]);
    expect(seen.at(-1)?.review.request).toMatchObject({
      operation: "CONNECT",
      name: "a",
      kind: { kind: "PodAttachOptions" },
      subResource: "attach",
      object: { kind: "PodAttachOptions", stdin: true },
    });
    expect((await api.call("POST", path)).code).toBe(404);
  });

  test("that does not answer closes the door, or leaves it open", async () => {
    const closed = await hook("validating", "/missing");
    const refused = await api.call("POST", closed, cm("a"));
    expect(refused.code).toBe(500);
    expect(refused.body.message).toMatch(
      /failed calling webhook "hook\d+\.x\.io": failed to call webhook/,
    );
    const open = await hook("validating", "/missing", { failurePolicy: "Ignore" });
    expect((await api.call("POST", open, cm("a"))).code).toBe(201);
  });

  test("is waited for, and holds nobody else up", async () => {
    const { promise: end, resolve: release } = Promise.withResolvers<object>();
    answers["/held"] = () => end;
    const held = api.call("POST", await hook("validating", "/held"), cm("a"));
    await until("it is asked", () => seen.some(({ path }) => path === "/held"));
    const beside = await api.call("POST", "/api/v1/namespaces/default/configmaps", cm("beside"));
    expect(beside.code).toBe(201);
    release({ allowed: true });
    expect((await held).code).toBe(201);
  });

  test("that is too slow is waited for as long as it says", async () => {
    const { promise: end, resolve: release } = Promise.withResolvers<object>();
    answers["/slow"] = () => end;
    const more = { timeoutSeconds: 1 };
    const closed = await hook("validating", "/slow", more);
    const open = await hook("mutating", "/slow", { ...more, failurePolicy: "Ignore" });
    const began = performance.now();
    const [refused, taken] = [
      api.call("POST", closed, cm("a")),
      api.call("POST", open, cm("a", { k: "v" })),
    ];
    const { code, body } = await refused;
    expect([code, body.reason]).toEqual([500, "InternalError"]);
    expect(body.message).toMatch(
      /failed calling webhook "hook\d+\.x\.io": .*timeout=1s": context deadline exceeded$/,
    );
    // Not the ten seconds of a webhook that says nothing.
    expect(performance.now() - began).toBeWithin(950, 9_500);
    expect([(await taken).code, (await taken).body.data]).toEqual([201, { k: "v" }]);
    release({ allowed: true });
  });

  const apiVersion = "admission.k8s.io/v1";
  const review = (response: object) =>
    JSON.stringify({ apiVersion, kind: "AdmissionReview", response });
  const uidOf = ({ request }: Review) => request.uid;
  test.each<[string, (of: Review) => string]>([
    ["is no JSON", () => "<html>"],
    ["is empty", () => ""],
    ["has no response", () => JSON.stringify({ apiVersion })],
    ["is of another request", () => review({ uid: "other", allowed: true })],
    [
      "is of a version that was not offered",
      (of) => review({ uid: uidOf(of), allowed: true }).replace("/v1", "/v1beta1"),
    ],
    [
      "has a patch that is none",
      (of) => review({ uid: uidOf(of), allowed: true, patchType: "JSONPatch", patch: btoa("{") }),
    ],
    [
      "has a patch that cannot be done",
      (of) => {
        const wrong = [{ op: "remove", path: "/data/not/there" }];
        return review({ uid: uidOf(of), ...patch(wrong) });
      },
    ],
    ["is without end", () => "x".repeat(32 * 1024 * 1024)],
  ])("whose answer %s lets nothing in", async (what, text) => {
    const path = `/${what.replaceAll(" ", "-")}`;
    texts[path] = text;
    const url = await hook("mutating", path);
    const { code, body } = await api.call("POST", url, cm("a"));
    expect([code, body.reason]).toEqual([500, "InternalError"]);
    expect((await api.call("GET", `${url}/a`)).code).toBe(404);
  });

  test("whose certificate is not of its authority is not believed", async () => {
    answers["/any"] = () => ({ allowed: true });
    const path = await hook("validating", "/any", {
      clientConfig: { url: `https://127.0.0.1:${server.port}/any` },
    });
    expect((await api.call("POST", path, cm("a"))).code).toBe(500);
  });

  test("with side effects takes no part in a dry run", async () => {
    answers["/effects"] = () => ({ allowed: true });
    const path = await hook("validating", "/effects", { sideEffects: "NoneOnDryRun" });
    expect((await api.call("POST", `${path}?dryRun=All`, cm("a"))).code).toBe(201);
    expect(seen.at(-1)?.review.request.dryRun).toBe(true);
  });

  test("is asked only where its conditions hold", async () => {
    answers["/never"] = () => ({ allowed: false });
    const path = await hook("validating", "/never", {
      matchConditions: [{ name: "named", expression: "object.metadata.name.startsWith('x')" }],
    });
    expect((await api.call("POST", path, cm("a"))).code).toBe(201);
    expect((await api.call("POST", path, cm("xa"))).code).toBe(400);
  });

  test("is asked about objects by their labels, before or after a change", async () => {
    const asked: string[] = [];
    answers["/labelled"] = ({ request }) => {
      asked.push(`${request.operation} ${request.name}`);
      return { allowed: true };
    };
    const objectSelector = { matchExpressions: [{ key: "look", operator: "Exists" }] };
    const path = await hook("validating", "/labelled", { objectSelector });
    const labelled = { metadata: { name: "yes", labels: { look: "1" } } };
    expect((await api.call("POST", path, cm("no"))).code).toBe(201);
    expect((await api.call("POST", path, labelled)).code).toBe(201);
    await api.call("PATCH", `${path}/yes`, { metadata: { labels: { look: null } } }, MERGE);
    await api.call("PATCH", `${path}/yes`, { data: { a: "b" } }, MERGE);
    await api.call("DELETE", `${path}/yes`);
    await api.call("PATCH", `${path}/no`, { metadata: { labels: { look: "1" } } }, MERGE);
    await api.call("DELETE", `${path}/no`);
    expect(asked).toEqual(["CREATE yes", "UPDATE yes", "UPDATE no", "DELETE no"]);
  });

  test.each([
    ["Cluster", ["namespaces"]],
    ["Namespaced", ["configmaps"]],
    ["*", ["namespaces", "configmaps"]],
  ])("of scope %s is asked about %j", async (scope, wanted) => {
    const asked: string[] = [];
    answers["/scoped"] = ({ request }) => {
      asked.push(request.resource.resource);
      return { allowed: true };
    };
    const rule = { ...rules[0], operations: ["CREATE"], resources: ["*"], scope };
    const name = `scoped-${scope === "*" ? "all" : scope.toLowerCase()}`;
    const namespaceSelector = { matchLabels: { scoped: name } };
    await hook("validating", "/scoped", { rules: [rule], namespaceSelector });
    await api.create("/api/v1/namespaces", { metadata: { name, labels: { scoped: name } } });
    await api.create(`/api/v1/namespaces/${name}/configmaps`, cm("a"));
    expect(asked).toEqual(wanted);
  });

  test("behind a Service is found by its endpoints", async () => {
    answers["/svc"] = () => ({ allowed: false, status: { message: "found" } });
    await api.create("/api/v1/namespaces/default/services", {
      metadata: { name: "hook" },
      spec: { ports: [{ port: 443, targetPort: 9443 }] },
    } as object);
    const slice = {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { name: "hook-1", namespace: "default" },
      addressType: "IPv4",
      endpoints: [{ addresses: [OWN_ADDRESS], conditions: { ready: true } }],
      ports: [{ name: "", port: server.port }],
    };
    await api.store.write({
      key: "discovery.k8s.io/endpointslices/default/hook-1",
      value: encodeObject(slice as ApiObject),
      terms: { labels: { "kubernetes.io/service-name": "hook" }, fields: {} },
      expect: 0,
    });
    const path = await hook("validating", "/svc", {
      clientConfig: {
        service: { namespace: "default", name: "hook", path: "/svc" },
        caBundle: btoa(pki.caPem),
      },
    });
    const { body } = await api.call("POST", path, cm("a"));
    expect(body.message).toContain("denied the request: found");
  });
});

test.each(["mutating", "validating"] as const)(
  "a %s webhook's condition that is no expression is refused",
  async (kind) => {
    const url = "https://127.0.0.1/";
    const { code, body } = await api.call("POST", `${HOOKS}/${kind}webhookconfigurations`, {
      metadata: { name: "broken" },
      webhooks: [
        {
          name: "broken.x.io",
          clientConfig: { url },
          rules,
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
          matchConditions: [{ name: "bad", expression: "... [] bad expression" }],
        },
      ],
    });
    expect(code).toBe(422);
    expect(body.details.causes[0].field).toBe("webhooks[0].matchConditions[0].expression");
    expect(body.message).toContain("compilation failed");
  },
);

describe("a policy", () => {
  const policy = (name: string, spec: object) => ({
    metadata: { name },
    spec: {
      failurePolicy: "Fail",
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: [""],
            apiVersions: ["v1"],
            operations: ["CREATE", "UPDATE"],
            resources: ["configmaps"],
          },
        ],
      },
      ...spec,
    },
  });

  async function bind(name: string, spec: object = {}): Promise<string> {
    await api.create("/api/v1/namespaces", { metadata: { name, labels: { policed: name } } });
    await api.create(`${HOOKS}/validatingadmissionpolicybindings`, {
      metadata: { name },
      spec: {
        policyName: name,
        validationActions: ["Deny"],
        matchResources: { namespaceSelector: { matchLabels: { policed: name } } },
        ...spec,
      },
    } as object);
    return `/api/v1/namespaces/${name}/configmaps`;
  }

  test("denies what its expressions do not allow, with variables and messages", async () => {
    await api.create(
      `${HOOKS}/validatingadmissionpolicies`,
      policy("sizes", {
        variables: [{ name: "count", expression: "has(object.data) ? size(object.data) : 0" }],
        validations: [
          {
            expression: "variables.count <= 2",
            messageExpression: "'too many: ' + string(variables.count)",
            reason: "Forbidden",
          },
        ],
      }) as object,
    );
    const path = await bind("sizes");
    expect((await api.call("POST", path, cm("ok", { a: "1" }))).code).toBe(201);
    const { code, body } = await api.call("POST", path, cm("big", { a: "1", b: "2", c: "3" }));
    expect(code).toBe(403);
    expect(body.message).toBe(
      "configmaps \"big\" is forbidden: ValidatingAdmissionPolicy 'sizes' with binding 'sizes' denied request: too many: 3",
    );
    expect(
      (
        await api.call(
          "POST",
          "/api/v1/namespaces/default/configmaps",
          cm("big", { a: "1", b: "2", c: "3" }),
        )
      ).code,
    ).toBe(201);
  });

  test("takes parameters, and may only warn", async () => {
    await api.create("/api/v1/namespaces/default/configmaps", cm("limit", { max: "1" }));
    await api.create(
      `${HOOKS}/validatingadmissionpolicies`,
      policy("limited", {
        paramKind: { apiVersion: "v1", kind: "ConfigMap" },
        validations: [{ expression: "size(object.data) <= int(params.data.max)" }],
      }) as object,
    );
    const paramRef = { name: "limit", namespace: "default", parameterNotFoundAction: "Deny" };
    const path = await bind("limited", { paramRef, validationActions: ["Warn"] });
    const { code, headers } = await api.call("POST", path, cm("a", { a: "1", b: "2" }));
    expect(code).toBe(201);
    expect(headers.get("warning")).toContain("Validation failed for ValidatingAdmissionPolicy");
  });

  test("that cannot be compiled is refused", async () => {
    const bad = policy("bad", { validations: [{ expression: "object.(" }] });
    const { code, body } = await api.call("POST", `${HOOKS}/validatingadmissionpolicies`, bad);
    expect(code).toBe(422);
    expect(body.details.causes[0].field).toBe("spec.validations[0].expression");
  });
});

describe("a webhook whose rules speak of another version", () => {
  const SCALERS = "/apis/autoscaling";
  const scaleTargetRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web" };
  const scaler = (name: string) => ({
    metadata: { name },
    spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 3 },
  });
  async function scalerHook(name: string, matchPolicy: string): Promise<string> {
    const path = `/${name}`;
    const namespace = `ns-${name}`;
    await api.create("/api/v1/namespaces", { metadata: { name: namespace } } as object);
    await api.create(`${HOOKS}/mutatingwebhookconfigurations`, {
      metadata: { name },
      webhooks: [
        {
          name: `${name}.x.io`,
          matchPolicy,
          clientConfig: {
            url: `https://127.0.0.1:${server.port}${path}`,
            caBundle: Buffer.from(pki.caPem).toString("base64"),
          },
          rules: [
            {
              operations: ["CREATE"],
              apiGroups: ["autoscaling"],
              apiVersions: ["v1"],
              resources: ["horizontalpodautoscalers"],
            },
          ],
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
          sideEffects: "None",
          admissionReviewVersions: ["v1"],
        },
      ],
    } as object);
    answers[path] = () =>
      patch([{ op: "add", path: "/spec/targetCPUUtilizationPercentage", value: 40 }]);
    return namespace;
  }

  test("sees and changes the object in that version", async () => {
    const namespace = await scalerHook("equivalent", "Equivalent");
    const path = `${SCALERS}/v2/namespaces/${namespace}/horizontalpodautoscalers`;
    const { code, body } = await api.call("POST", path, scaler("a"));
    expect([code, body.message]).toEqual([201, undefined]);
    const review = seen.filter((each) => each.path === "/equivalent").at(-1)?.review.request;
    expect(review).toMatchObject({
      kind: { group: "autoscaling", version: "v1" },
      resource: { version: "v1" },
      requestKind: { version: "v2" },
      object: { apiVersion: "autoscaling/v1", spec: { maxReplicas: 3 } },
    });
    expect(body.apiVersion).toBe("autoscaling/v2");
    expect(body.spec.metrics).toMatchObject([
      { resource: { name: "cpu", target: { averageUtilization: 40 } } },
    ]);
  });

  test("is not asked where it wants its own version exactly", async () => {
    const namespace = await scalerHook("exact", "Exact");
    const path = `${SCALERS}/v2/namespaces/${namespace}/horizontalpodautoscalers`;
    const { code, body } = await api.call("POST", path, scaler("a"));
    expect([code, body.message]).toEqual([201, undefined]);
    expect(seen.filter((each) => each.path === "/exact")).toEqual([]);
  });
});
