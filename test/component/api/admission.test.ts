import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await startApi({ settings: { tolerationSeconds: 30 } });
});
afterAll(() => api.close());

const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
let count = 0;
async function fresh(labels: Record<string, string> = {}): Promise<string> {
  const name = `adm${count++}`;
  await api.create("/api/v1/namespaces", { metadata: { name, labels } });
  return `/api/v1/namespaces/${name}`;
}
const pod = (name: string, container: object = {}, spec: object = {}) => ({
  metadata: { name },
  spec: { containers: [{ name: "c", image: "i:1", ...container }], ...spec },
});

describe("what every pod gets", () => {
  test("a service account with its token, a priority, tolerations", async () => {
    const ns = await fresh();
    const { spec } = (await api.call("POST", `${ns}/pods`, pod("p"))).body;
    expect(spec).toMatchObject({
      serviceAccountName: "default",
      priority: 0,
      preemptionPolicy: "PreemptLowerPriority",
    });
    const [volume] = spec.volumes;
    expect(volume.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    expect(volume.projected.sources).toHaveLength(3);
    expect(spec.containers[0].volumeMounts).toEqual([
      {
        name: volume.name,
        readOnly: true,
        mountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
      },
    ]);
    expect(spec.tolerations.map((t: { tolerationSeconds: number }) => t.tolerationSeconds)).toEqual(
      [30, 30],
    );
  });

  test("no token where nobody wants one", async () => {
    const ns = await fresh();
    const spec = { automountServiceAccountToken: false };
    const { body } = await api.call("POST", `${ns}/pods`, pod("p", {}, spec));
    expect(body.spec.volumes).toBeUndefined();
  });

  test.each([
    [{ serviceAccountName: "none" }, /error looking up service account .*"none" not found/],
    [{ priorityClassName: "none" }, "no PriorityClass with name none was found"],
    [{ priority: 7 }, "the integer value of priority (7) must not be provided in pod spec"],
    [{ runtimeClassName: "none" }, 'RuntimeClass "none" not found'],
  ])("%j is forbidden", async (spec, message) => {
    const { code, body } = await api.call("POST", `${await fresh()}/pods`, pod("p", {}, spec));
    expect(code).toBe(403);
    expect(body.message).toMatch(message);
  });

  test("a class gives its number", async () => {
    const spec = { priorityClassName: "system-node-critical" };
    const { body } = await api.call("POST", `${await fresh()}/pods`, pod("p", {}, spec));
    expect(body.spec.priority).toBe(2_000_001_000);
  });
});

describe("limit ranges", () => {
  test("fill in what is missing and refuse what is too much", async () => {
    const ns = await fresh();
    await api.create(`${ns}/limitranges`, {
      metadata: { name: "l" },
      spec: {
        limits: [
          {
            type: "Container",
            default: { cpu: "200m" },
            defaultRequest: { cpu: "100m" },
            max: { cpu: "500m" },
            min: { cpu: "50m" },
          },
        ],
      },
    } as object);
    const made = (await api.call("POST", `${ns}/pods`, pod("p"))).body;
    expect(made.spec.containers[0].resources).toEqual({
      limits: { cpu: "200m" },
      requests: { cpu: "100m" },
    });
    expect(made.status.qosClass).toBe("Burstable");
    expect(made.metadata.annotations["kubernetes.io/limit-ranger"]).toBe(
      "LimitRanger plugin set: cpu request for container c; cpu limit for container c",
    );
    const big = pod("big", { resources: { limits: { cpu: "1" } } });
    const refused = await api.call("POST", `${ns}/pods`, big);
    expect(refused.code).toBe(403);
    expect(refused.body.message).toContain(
      "maximum cpu usage per Container is 500m, but limit is 1",
    );
    const small = pod("small", { resources: { requests: { cpu: "10m" } } });
    expect((await api.call("POST", `${ns}/pods`, small)).body.message).toContain(
      "minimum cpu usage per Container is 50m, but request is 10m",
    );
  });

  test("bound claims", async () => {
    const ns = await fresh();
    const limits = [{ type: "PersistentVolumeClaim", max: { storage: "1Gi" } }];
    await api.create(`${ns}/limitranges`, { metadata: { name: "l" }, spec: { limits } } as object);
    const claim = (storage: string) => ({
      metadata: { name: "c" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage } } },
    });
    const refused = await api.call("POST", `${ns}/persistentvolumeclaims`, claim("2Gi"));
    expect(refused.body.message).toContain(
      "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi",
    );
    const made = await api.call("POST", `${ns}/persistentvolumeclaims`, claim("1Gi"));
    expect(made.body.metadata.finalizers).toEqual(["kubernetes.io/pvc-protection"]);
  });
});

describe("quotas", () => {
  async function quota(ns: string, hard: Record<string, string>, spec: object = {}) {
    await api.create(`${ns}/resourcequotas`, {
      metadata: { name: "q" },
      spec: { hard, ...spec },
    } as object);
    // The controller's part: the first count.
    const used = Object.fromEntries(Object.keys(hard).map((name) => [name, "0"]));
    const path = `${ns}/resourcequotas/q/status`;
    expect((await api.call("PATCH", path, { status: { hard, used } }, MERGE)).code).toBe(200);
  }
  const usedOf = async (ns: string) =>
    (await api.call("GET", `${ns}/resourcequotas/q`)).body.status.used;

  test("are charged at once and refuse the rest in upstream's words", async () => {
    const ns = await fresh();
    await quota(ns, { pods: "2", "requests.cpu": "1" });
    const one = (name: string, cpu: string) =>
      api.call("POST", `${ns}/pods`, pod(name, { resources: { requests: { cpu } } }));
    expect((await one("a", "400m")).code).toBe(201);
    expect(await usedOf(ns)).toEqual({ pods: "1", "requests.cpu": "400m" });
    const refused = await one("b", "700m");
    expect(refused.code).toBe(403);
    expect(refused.body.message).toBe(
      'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=700m, used: requests.cpu=400m, limited: requests.cpu=1',
    );
    const silent = await api.call("POST", `${ns}/pods`, pod("c"));
    expect(silent.body.message).toContain("failed quota: q: must specify requests.cpu for: c");
    expect(await usedOf(ns)).toEqual({ pods: "1", "requests.cpu": "400m" });
  });

  test("never let more in than there is room for, however many ask at once", async () => {
    const ns = await fresh();
    await quota(ns, { "count/configmaps": "3" });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        api.call("POST", `${ns}/configmaps`, { metadata: { name: `c${i}` } }),
      ),
    );
    const codes = answers.map(({ code }) => code).sort();
    expect(codes.filter((code) => code === 201)).toHaveLength(3);
    expect(new Set(codes)).toEqual(new Set([201, 403]));
  });

  test("a dry run is not charged", async () => {
    const ns = await fresh();
    await quota(ns, { services: "1" });
    const service = { metadata: { name: "s" }, spec: { ports: [{ port: 80 }] } };
    expect((await api.call("POST", `${ns}/services?dryRun=All`, service)).code).toBe(201);
    expect(await usedOf(ns)).toEqual({ services: "0" });
  });
});

describe("pod security", () => {
  const restricted = {
    securityContext: {
      allowPrivilegeEscalation: false,
      runAsNonRoot: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
  };

  test("restricted says all that is missing", async () => {
    const ns = await fresh({ "pod-security.kubernetes.io/enforce": "restricted" });
    const { code, body } = await api.call("POST", `${ns}/pods`, pod("p"));
    expect(code).toBe(403);
    expect(body.message).toBe(
      'pods "p" is forbidden: violates PodSecurity "restricted:latest": ' +
        'allowPrivilegeEscalation != false (container "c" must set ' +
        "securityContext.allowPrivilegeEscalation=false), " +
        'unrestricted capabilities (container "c" must set ' +
        'securityContext.capabilities.drop=["ALL"]), ' +
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), ' +
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
    );
    expect((await api.call("POST", `${ns}/pods`, pod("ok", restricted))).code).toBe(201);
  });

  test.each([
    [
      { securityContext: { privileged: true } },
      {},
      'privileged (container "c" must not set securityContext.privileged=true)',
    ],
    [{}, { hostNetwork: true, hostPID: true }, "host namespaces (hostNetwork=true, hostPID=true)"],
    [
      { ports: [{ containerPort: 80, hostPort: 80 }] },
      {},
      'hostPort (container "c" uses hostPort 80)',
    ],
    [{}, { volumes: [{ name: "v", hostPath: { path: "/" } }] }, 'hostPath volumes (volume "v")'],
    [
      { securityContext: { capabilities: { add: ["NET_ADMIN"] } } },
      {},
      'non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      {},
      { securityContext: { seccompProfile: { type: "Unconfined" } } },
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      {},
      { securityContext: { sysctls: [{ name: "kernel.msgmax", value: "1" }] } },
      "forbidden sysctls (kernel.msgmax)",
    ],
  ])("baseline refuses %j %j", async (container, spec, message) => {
    const ns = await fresh({ "pod-security.kubernetes.io/enforce": "baseline" });
    const { body } = await api.call("POST", `${ns}/pods`, pod("p", container, spec));
    expect(body.message).toBe(
      `pods "p" is forbidden: violates PodSecurity "baseline:latest": ${message}`,
    );
    expect((await api.call("POST", `${ns}/pods`, pod("plain"))).code).toBe(201);
  });

  test("warns of pods and workloads, and lets them in", async () => {
    const ns = await fresh({ "pod-security.kubernetes.io/warn": "baseline" });
    const bad = pod("p", {}, { hostNetwork: true });
    const { code, headers } = await api.call("POST", `${ns}/pods`, bad);
    expect(code).toBe(201);
    expect(headers.get("warning")).toContain("would violate PodSecurity");
    const template = { metadata: { labels: { a: "b" } }, spec: bad.spec };
    const path = ns.replace("/api/v1", "/apis/apps/v1");
    const spec = { selector: { matchLabels: { a: "b" } }, template };
    const deployment = await api.call("POST", `${path}/deployments`, {
      metadata: { name: "d" },
      spec,
    });
    expect(deployment.code).toBe(201);
    expect(deployment.headers.get("warning")).toContain("host namespaces (hostNetwork=true)");
  });

  test("an unknown level is no label", async () => {
    const labels = { "pod-security.kubernetes.io/enforce": "tight" };
    const { code } = await api.call("POST", "/api/v1/namespaces", {
      metadata: { name: "bad", labels },
    });
    expect(code).toBe(422);
  });
});

describe("default classes", () => {
  test("the newest default storage class is taken", async () => {
    const ns = await fresh();
    const annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
    await api.create("/apis/storage.k8s.io/v1/storageclasses", {
      metadata: { name: "fast", annotations },
      provisioner: "x",
    } as object);
    const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
    const path = `${ns}/persistentvolumeclaims`;
    const named = await api.call("POST", path, { metadata: { name: "a" }, spec });
    expect(named.body.spec.storageClassName).toBe("fast");
    const none = { ...spec, storageClassName: "" };
    const empty = await api.call("POST", path, { metadata: { name: "b" }, spec: none });
    expect(empty.body.spec.storageClassName).toBe("");
  });
});

describe("nodes", () => {
  const n1 = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };

  test("write about themselves and their pods", async () => {
    const as = { user: n1 };
    const own = await api.call("POST", "/api/v1/nodes", { metadata: { name: "n1" } }, as);
    expect(own.code).toBe(201);
    const other = await api.call("POST", "/api/v1/nodes", { metadata: { name: "n2" } }, as);
    expect(other.body.message).toContain('node "n1" is not allowed to modify node "n2"');
    const label = { metadata: { labels: { "node-restriction.kubernetes.io/x": "y" } } };
    const relabel = await api.call("PATCH", "/api/v1/nodes/n1", label, { ...MERGE, ...as });
    expect(relabel.body.message).toContain("is not allowed to modify labels");
    const ns = await fresh();
    await api.create(`${ns}/pods`, pod("mine", {}, { nodeName: "n1" }));
    await api.create(`${ns}/pods`, pod("theirs", {}, { nodeName: "n2" }));
    const status = { status: { phase: "Running" } };
    const patch = (name: string) =>
      api.call("PATCH", `${ns}/pods/${name}/status`, status, { ...MERGE, ...as });
    expect((await patch("mine")).code).toBe(200);
    expect((await patch("theirs")).code).toBe(403);
    expect((await api.call("DELETE", `${ns}/pods/theirs`, undefined, as)).code).toBe(403);
    expect(
      (await api.call("DELETE", `${ns}/pods/mine?gracePeriodSeconds=0`, undefined, as)).code,
    ).toBe(200);
  });
});
