/** What admission says of a request goes into the audit log with it. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { parsePolicy } from "#api/audit/policy.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { eventually } from "#test/support/instance.ts";

interface Noted {
  readonly stage: string;
  readonly annotations?: Record<string, string>;
}

const DECISION = "authorization.k8s.io/decision";
const REASON = "authorization.k8s.io/reason";
const LEVEL = "pod-security.kubernetes.io";
const lines: string[] = [];
let api: TestApi;
beforeAll(async () => {
  const policy = parsePolicy(
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n",
  );
  api = await startApi({ audit: { policy, write: (line) => void lines.push(line) } });
  await api.create("/api/v1/namespaces", {
    metadata: {
      name: "noted",
      labels: { [`${LEVEL}/audit`]: "restricted", [`${LEVEL}/enforce`]: "baseline" },
    },
  });
});
afterAll(() => api.close());
beforeEach(() => {
  lines.length = 0;
});

/** Of the last request, when it was answered: who allowed it, and the rest. */
function lastNotes() {
  const { annotations = {} } =
    lines
      .map((line) => JSON.parse(line) as Noted)
      .filter(({ stage }) => stage === "ResponseComplete")
      .at(-1) ?? {};
  const { [DECISION]: decision, [REASON]: reason, ...rest } = annotations;
  return { decision, reason, rest };
}
const notes = (): Record<string, string> => lastNotes().rest;

const pod = (spec: object = {}) => ({
  metadata: { name: "p" },
  spec: { containers: [{ name: "c", image: "i" }], ...spec },
});

test("the level that is only watched, and the one that is enforced", async () => {
  expect((await api.call("POST", "/api/v1/namespaces/noted/pods", pod())).code).toBe(201);
  expect(notes()).toEqual({
    [`${LEVEL}/enforce-policy`]: "baseline:latest",
    [`${LEVEL}/audit-violations`]: expect.stringMatching(
      /^would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false/,
    ),
  });
  const refused = await api.call("POST", "/api/v1/namespaces/noted/pods", pod({ hostPID: true }));
  expect([refused.code, Object.keys(notes()).length]).toEqual([403, 2]);
});

test("the notes of a policy, and what it found where it shall only be told", async () => {
  const admission = "/apis/admissionregistration.k8s.io/v1";
  await api.create(`${admission}/validatingadmissionpolicies`, {
    metadata: { name: "notes.example.com" },
    spec: {
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: [""],
            apiVersions: ["v1"],
            operations: ["CREATE"],
            resources: ["configmaps"],
          },
        ],
      },
      validations: [{ expression: "has(object.data)", message: "it is empty" }],
      auditAnnotations: [{ key: "named", valueExpression: "'by ' + object.metadata.name" }],
    },
  } as object);
  await api.create(`${admission}/validatingadmissionpolicybindings`, {
    metadata: { name: "notes" },
    spec: { policyName: "notes.example.com", validationActions: ["Audit"] },
  } as object);
  const path = "/api/v1/namespaces/default/configmaps";
  expect((await api.call("POST", path, { metadata: { name: "a" } })).code).toBe(201);
  const { "validation.policy.admission.k8s.io/validation_failure": failure = "", ...rest } =
    notes();
  expect(rest).toEqual({ "notes.example.com/named": "by a" });
  expect(JSON.parse(failure)).toMatchObject([
    { message: "it is empty", policy: "notes.example.com", validationActions: ["Audit"] },
  ]);
});

test("who was allowed what, by which binding, and who was not", async () => {
  const path = "/api/v1/namespaces/noted/configmaps";
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const ref = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" };
  const robot = { kind: "ServiceAccount", name: "robot", namespace: "noted" };
  await api.create(`${rbac}/namespaces/noted/rolebindings`, {
    metadata: { name: "readers" },
    subjects: [robot],
    roleRef: ref,
  });
  const user = { name: "system:serviceaccount:noted:robot", groups: ["system:authenticated"] };
  await eventually("the binding holds", 10_000, async () => {
    const { code } = await api.call("GET", path, undefined, { user });
    return code === 200;
  });
  expect(lastNotes()).toEqual({
    decision: "allow",
    reason:
      'RBAC: allowed by RoleBinding "readers/noted" of ClusterRole "view" ' +
      'to ServiceAccount "robot/noted"',
    rest: {},
  });
  const refused = await api.call("POST", path, { metadata: { name: "x" } }, { user });
  expect([refused.code, lastNotes()]).toEqual([403, { decision: "forbid", reason: "", rest: {} }]);
});
