import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";

const GROUP = "/apis/admissionregistration.k8s.io/v1";
const POLICIES = `${GROUP}/validatingadmissionpolicies`;
const BINDINGS = `${GROUP}/validatingadmissionpolicybindings`;
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());

let count = 0;

interface Setup {
  /** The namespace that only this policy is about. */
  readonly namespace: string;
  readonly name: string;
}

const rule = (group: string, version: string, resource: string, operations = ["*"]) => ({
  apiGroups: [group],
  apiVersions: [version],
  operations,
  resources: [resource],
});

const configMaps = { resourceRules: [rule("", "v1", "configmaps")] };

/** A policy with a binding to a namespace of its own. */
async function policy(spec: object, binding: object = {}): Promise<Setup> {
  count += 1;
  const name = `policy-${count}`;
  await api.create("/api/v1/namespaces", { metadata: { name, labels: { own: name } } });
  await api.create(POLICIES, {
    metadata: { name },
    spec: { matchConstraints: configMaps, ...spec },
  } as object);
  await api.create(BINDINGS, {
    metadata: { name },
    spec: {
      policyName: name,
      validationActions: ["Deny"],
      matchResources: { namespaceSelector: { matchLabels: { own: name } } },
      ...binding,
    },
  } as object);
  await followed(name);
  return { namespace: name, name };
}

/** The policy is known to the plugin once its types were checked. */
async function followed(name: string): Promise<object> {
  for (;;) {
    const { body } = await api.call("GET", `${POLICIES}/${name}`);
    if (body.status?.typeChecking !== undefined) return body.status;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

const put = (setup: Setup, data: Record<string, string>, labels: Record<string, string> = {}) =>
  api.call("POST", `/api/v1/namespaces/${setup.namespace}/configmaps`, {
    metadata: { generateName: "c-", labels },
    data,
  });

const LOOKS_MAX = 5_000;

describe("a policy", () => {
  test("denies in upstream's words", async () => {
    const setup = await policy({
      validations: [{ expression: "object.data.x == 'good'", message: "x must be good" }],
    });
    expect((await put(setup, { x: "good" })).code).toBe(201);
    const { code, body } = await put(setup, { x: "bad" });
    expect(code).toBe(422);
    expect(body.reason).toBe("Invalid");
    const text =
      `ValidatingAdmissionPolicy '${setup.name}' with binding '${setup.name}' denied request: ` +
      "x must be good";
    expect(body.message).toEndWith(`is forbidden: ${text}`);
    expect(body.details.causes).toEqual([{ message: text }]);
  });

  test("takes its message from an expression, where that makes one", async () => {
    const setup = await policy({
      validations: [
        {
          expression: "object.data.x != 'a'",
          messageExpression: "'x is ' + object.data.x",
          reason: "Forbidden",
        },
        {
          expression: "object.data.x != 'b'",
          messageExpression: "'number ' + object.data.missing",
        },
      ],
    });
    const a = await put(setup, { x: "a" });
    expect(a.code).toBe(403);
    expect(a.body.message).toEndWith("denied request: x is a");
    const b = await put(setup, { x: "b" });
    expect(b.body.message).toEndWith("failed expression: object.data.x != 'b'");
  });

  test("sees the request, its namespace and whatever was before", async () => {
    const setup = await policy({
      validations: [
        { expression: "namespaceObject.metadata.labels.own == namespaceObject.metadata.name" },
        { expression: "request.resource.resource == 'configmaps' && request.kind.version == 'v1'" },
        { expression: "request.operation != 'CREATE' || oldObject == null" },
        { expression: "request.userInfo.username == 'admin' && !request.dryRun" },
        { expression: "request.operation != 'UPDATE' || object.data.x >= oldObject.data.x" },
        { expression: "request.operation != 'DELETE' || oldObject.data.x == '9'" },
      ],
    });
    const made = await put(setup, { x: "5" });
    expect(made.code).toBe(201);
    const path = `/api/v1/namespaces/${setup.namespace}/configmaps/${made.body.metadata.name}`;
    expect((await api.call("PATCH", path, { data: { x: "4" } }, MERGE)).code).toBe(422);
    expect((await api.call("DELETE", path)).code).toBe(422);
    expect((await api.call("PATCH", path, { data: { x: "9" } }, MERGE)).code).toBe(200);
    expect((await api.call("DELETE", path)).code).toBe(200);
  });

  test("works variables out once, in order", async () => {
    const setup = await policy({
      variables: [
        { name: "count", expression: "int(object.data.count)" },
        { name: "odd", expression: "variables.count % 2 == 1" },
        { name: "broken", expression: "object.data.nowhere" },
      ],
      validations: [
        { expression: "variables.count > 1 && variables.odd" },
        { expression: "true || variables.broken == ''" },
      ],
    });
    expect((await put(setup, { count: "3" })).code).toBe(201);
    expect((await put(setup, { count: "2" })).code).toBe(422);
  });

  test("is passed over where a condition is false; a failing one asks the policy", async () => {
    const conditions = [{ name: "labelled", expression: "object.metadata.labels.check == 'yes'" }];
    const never = { validations: [{ expression: "false" }], matchConditions: conditions };
    const setup = await policy(never);
    expect((await put(setup, {}, { check: "yes" })).code).toBe(422);
    expect((await put(setup, {}, { check: "no" })).code).toBe(201);
    expect((await put(setup, {})).body.message).toContain(
      "expression 'labelled' resulted in error: no such key: check",
    );
    const lenient = await policy({ ...never, failurePolicy: "Ignore" });
    expect((await put(lenient, {})).code).toBe(201);
    expect((await put(lenient, {}, { check: "yes" })).code).toBe(422);
  });

  test("that fails denies, unless failures are ignored", async () => {
    const validations = [{ expression: "object.data.missing == 'x'" }];
    const strict = await policy({ validations });
    expect((await put(strict, {})).body.message).toEndWith(
      "expression 'object.data.missing == 'x'' resulted in error: no such key: missing",
    );
    const lenient = await policy({ validations, failurePolicy: "Ignore" });
    expect((await put(lenient, {})).code).toBe(201);
  });

  test("that costs too much ends, and others get their answers", async () => {
    const all = "object.data.x.split('').all";
    const setup = await policy({
      validations: [{ expression: `${all}(a, ${all}(b, a + b != ''))` }],
    });
    const { body } = await put(setup, { x: "y".repeat(2_000) });
    expect(body.message).toContain("cost limit exceeded");
  });

  test("that takes long, in its variables too, lets others have their turn", async () => {
    const letters = "object.data.x.split('')";
    const setup = await policy({
      variables: [
        { name: "long", expression: `${letters}.all(a, ${letters}.all(b, a + b != 'xx'))` },
        { name: "both", expression: `variables.long && ${letters}.exists(a, a == 'z')` },
      ],
      validations: [
        { expression: `[1, 2].all(n, variables.both && n > 0)` },
        { expression: "variables.long" },
        { expression: `${letters}.exists(a, ${letters}.all(b, a == 'z' && b == 'x'))` },
      ],
    });
    let turns = 0;
    let over = false;
    const others = (): void => {
      turns += 1;
      if (!over) setImmediate(others);
    };
    setImmediate(others);
    const { body } = await put(setup, { x: `${"y".repeat(300)}z` });
    over = true;
    expect(body.message).toContain(`failed expression: ${letters}.exists`);

    expect(turns).toBeGreaterThan(8);
  });

  test("asks the authorizer", async () => {
    const may = (check: string) => `authorizer.group('').resource('pods').${check}.allowed()`;
    const setup = await policy({
      validations: [
        { expression: may("namespace('default').check('create')") },
        { expression: "authorizer.requestResource.check('delete').allowed()" },
        {
          expression:
            "!authorizer.serviceAccount('default', 'nobody').group('apps')" +
            ".resource('deployments').check('get').allowed()",
        },
      ],
    });
    expect((await put(setup, {})).code).toBe(201);
    await api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
      metadata: { name: `edit-${setup.name}` },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "edit" },
      subjects: [{ kind: "ServiceAccount", namespace: "default", name: "nobody" }],
    } as object);
    expect((await put(setup, {})).code).toBe(422);
  });
});

describe("what a policy is about", () => {
  test("excluded resources and names are not", async () => {
    const setup = await policy({
      validations: [{ expression: "false" }],
      matchConstraints: {
        resourceRules: [rule("", "v1", "configmaps"), rule("", "v1", "secrets")],
        excludeResourceRules: [{ ...rule("", "v1", "configmaps"), resourceNames: ["free"] }],
      },
    });
    const path = `/api/v1/namespaces/${setup.namespace}`;
    const configMap = { metadata: { name: "free" } };
    expect((await api.call("POST", `${path}/configmaps`, configMap)).code).toBe(201);
    expect((await api.call("POST", `${path}/secrets`, configMap)).code).toBe(422);
    expect((await api.call("POST", `${path}/serviceaccounts`, configMap)).code).toBe(201);
  });

  test("the same objects in other versions are, unless only one version is meant", async () => {
    const matchConstraints = {
      resourceRules: [rule("autoscaling", "v1", "horizontalpodautoscalers")],
    };
    const validations = [
      { expression: "object.apiVersion == 'autoscaling/v1'", message: "wrong version" },
      { expression: "object.spec.targetCPUUtilizationPercentage < 90" },
    ];
    const scaler = (utilization: number) => ({
      metadata: { generateName: "h-" },
      spec: {
        maxReplicas: 3,
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "d" },
        metrics: [
          {
            type: "Resource",
            resource: {
              name: "cpu",
              target: { type: "Utilization", averageUtilization: utilization },
            },
          },
        ],
      },
    });
    const both = await policy({ validations, matchConstraints });
    const path = (setup: Setup): string =>
      `/apis/autoscaling/v2/namespaces/${setup.namespace}/horizontalpodautoscalers`;
    expect((await api.call("POST", path(both), scaler(50))).code).toBe(201);
    const high = await api.call("POST", path(both), scaler(95));
    expect(high.body.message).toContain("targetCPUUtilizationPercentage < 90");
    const exact = { ...matchConstraints, matchPolicy: "Exact" };
    const one = await policy({ validations, matchConstraints: exact });
    expect((await api.call("POST", path(one), scaler(95))).code).toBe(201);
  });
});

describe("parameters", () => {
  const limit = (setup: Setup, name: string, max: string, labels = {}) =>
    api.create("/api/v1/namespaces/default/configmaps", {
      metadata: { name: `${setup.name}-${name}`, labels: { of: setup.name, ...labels } },
      data: { max },
    } as object);
  const spec = {
    paramKind: { apiVersion: "v1", kind: "ConfigMap" },
    validations: [
      {
        expression: "object.data.x <= params.data.max",
        messageExpression: "'more than ' + params.data.max",
      },
    ],
  };

  test("are found by name; what is missing denies or allows", async () => {
    const named = (n: number, action: string) => ({
      paramRef: {
        name: `policy-${n}-limit`,
        namespace: "default",
        parameterNotFoundAction: action,
      },
    });
    const strict = await policy(spec, named(count + 1, "Deny"));
    expect((await put(strict, { x: "9" })).body.message).toContain(
      "failed to configure binding: no params found for policy binding with `Deny` " +
        "parameterNotFoundAction",
    );
    await limit(strict, "limit", "5");
    expect((await put(strict, { x: "9" })).body.message).toEndWith("more than 5");
    expect((await put(strict, { x: "1" })).code).toBe(201);
    const lenient = await policy(spec, named(count + 1, "Allow"));
    expect((await put(lenient, { x: "9" })).code).toBe(201);
  });

  test("are found by labels, and each is judged by", async () => {
    const n = count + 1;
    const setup = await policy(spec, {
      paramRef: {
        selector: { matchLabels: { of: `policy-${n}` } },
        namespace: "default",
        parameterNotFoundAction: "Deny",
      },
    });
    await limit(setup, "a", "7");
    await limit(setup, "b", "5");
    expect((await put(setup, { x: "4" })).code).toBe(201);
    expect((await put(setup, { x: "6" })).body.message).toEndWith("more than 5");
  });
});

describe("a binding", () => {
  test("may warn instead of denying", async () => {
    const setup = await policy(
      { validations: [{ expression: "false", message: "not nice" }] },
      { validationActions: ["Warn", "Audit"] },
    );
    const { code, headers } = await put(setup, {});
    expect(code).toBe(201);
    expect(headers.get("warning")).toContain(
      `Validation failed for ValidatingAdmissionPolicy '${setup.name}' with binding ` +
        `'${setup.name}': not nice`,
    );
  });
});

describe("a policy that is written", () => {
  const write = (spec: object) =>
    api.call("POST", POLICIES, {
      metadata: { generateName: "w-" },
      spec: { matchConstraints: configMaps, ...spec },
    });

  test.each([
    [{ validations: [{ expression: "object.(" }] }, "spec.validations[0].expression"],
    [{ validations: [{ expression: "1" }] }, "spec.validations[0].expression"],
    [
      { validations: [{ expression: "true", messageExpression: "1" }] },
      "spec.validations[0].messageExpression",
    ],
    [{ validations: [{ expression: "params.x == 1" }] }, "spec.validations[0].expression"],
    [{ validations: [{ expression: "variables.x == 1" }] }, "spec.validations[0].expression"],
    [
      {
        validations: [{ expression: "true" }],
        variables: [
          { name: "a", expression: "variables.b" },
          { name: "b", expression: "1" },
        ],
      },
      "spec.variables[0].expression",
    ],
    [
      {
        validations: [{ expression: "true" }],
        matchConditions: [{ name: "c", expression: "request.nothing == ''" }],
      },
      "spec.matchConditions[0].expression",
    ],
    [
      { auditAnnotations: [{ key: "k", valueExpression: "1" }] },
      "spec.auditAnnotations[0].valueExpression",
    ],
  ])("%j is refused", async (spec, field) => {
    const { code, body } = await write(spec);
    expect(code).toBe(422);
    expect(body.details.causes.map((each: { field: string }) => each.field)).toContain(field);
  });

  test("is told which expressions do not fit the types", async () => {
    const deployments = { resourceRules: [rule("apps", "v1", "deployments")] };
    const status = async (expression: string, messageExpression: string) => {
      const { body } = await write({
        matchConstraints: deployments,
        variables: [{ name: "replicas", expression: "object.spec.replicas" }],
        validations: [{ expression, messageExpression }],
      });
      const found = (await followed(body.metadata.name)) as {
        observedGeneration: number;
        typeChecking: { expressionWarnings?: Array<{ fieldRef: string; warning: string }> };
      };
      expect(found.observedGeneration).toBe(1);
      return found.typeChecking.expressionWarnings ?? [];
    };
    expect(await status("object.spec.replicas > 1", "'x'")).toEqual([]);
    const confused = await status("object.spec.replicas > '1'", "'x' + variables.replicas");
    expect(confused.map(({ fieldRef }) => fieldRef)).toEqual([
      "spec.validations[0].expression",
      "spec.validations[0].messageExpression",
    ]);
    expect(confused[0]?.warning).toContain("apps/v1, Kind=Deployment: ERROR: <input>:1:22: ");
    expect(confused[0]?.warning).toContain(
      "found no matching overload for '_>_' applied to '(int, string)'",
    );
    expect(confused[1]?.warning).toContain(
      "found no matching overload for '_+_' applied to '(string, int)'",
    );
  });

  test("keeps conditions that others put into its status", async () => {
    const setup = await policy({ validations: [{ expression: "true" }] });
    const condition = {
      type: "Mine",
      status: "False",
      reason: "e2e",
      message: "",
      lastTransitionTime: "2024-01-01T00:00:00Z",
    };
    const path = `${POLICIES}/${setup.name}`;
    await api.call("PATCH", `${path}/status`, { status: { conditions: [condition] } }, MERGE);
    const spec = { validations: [{ expression: "false" }] };
    await api.call("PATCH", path, { spec }, MERGE);
    let observed = 0;
    for (let looks = 0; observed !== 2 && looks < LOOKS_MAX; looks++) {
      // A turn of the event loop: calls in this process alone would never let another task run.
      await new Promise((resolve) => setImmediate(resolve));
      const { body } = await api.call("GET", path);
      expect(body.status.conditions).toEqual([condition]);
      observed = body.status.observedGeneration;
    }
    expect(observed).toBe(2);
  });
});
