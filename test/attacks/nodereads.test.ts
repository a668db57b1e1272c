/** A compromised node reads and writes objects of other nodes. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { UserInfo } from "#api/core.ts";
import type { ApiObject } from "#resources/meta.ts";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
const DEFAULT = "/api/v1/namespaces/default";
const STORAGE = "/apis/storage.k8s.io/v1";
const DRA = "/apis/resource.k8s.io/v1";
const CLAIMS = `${DRA}/namespaces/default/resourceclaims`;
const MERGE = { "content-type": "application/merge-patch+json" };
const n1: UserInfo = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };

const make = (path: string, object: object): Promise<ApiObject> =>
  api.create(path, object as ApiObject);
const code = async (method: string, path: string, body?: object): Promise<number> => {
  const headers: Record<string, string> = method === "PATCH" ? MERGE : {};
  return (await api.call(method, path, body, { user: n1, headers })).code;
};
const own = `fieldSelector=${encodeURIComponent("spec.nodeName=n1")}`;
const other = `fieldSelector=${encodeURIComponent("spec.nodeName=n2")}`;
const container = { name: "c", image: "i" };

beforeAll(async () => {
  api = await startApi();
  for (const name of ["n1", "n2"]) await make("/api/v1/nodes", { metadata: { name } });
});
afterAll(() => api.close());

describe("the status", () => {
  test("of Services and Ingresses is not a node's to write", async () => {
    const ports = [{ port: 80 }];
    await make(`${DEFAULT}/services`, {
      metadata: { name: "s" },
      spec: { type: "LoadBalancer", ports },
    });
    const ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";
    const service = { name: "s", port: { number: 80 } };
    const spec = { defaultBackend: { service } };
    await make(ingresses, { metadata: { name: "i" }, spec });
    const status = { status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } } };
    expect(await code("PATCH", `${DEFAULT}/services/s/status`, status)).toBe(403);
    expect(await code("PATCH", `${ingresses}/i/status`, status)).toBe(403);
  });
});

describe("an eviction", () => {
  test("of another node's pod spends no budget", async () => {
    const labels = { app: "a" };
    await make(`${DEFAULT}/pods`, {
      metadata: { name: "theirs", labels },
      spec: { nodeName: "n2", containers: [container] },
    });
    await api.call(
      "PATCH",
      `${DEFAULT}/pods/theirs/status`,
      { status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] } },
      { headers: MERGE },
    );
    const budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";
    await make(budgets, {
      metadata: { name: "b" },
      spec: { minAvailable: 0, selector: { matchLabels: labels } },
    });
    const before = { disruptionsAllowed: 1, currentHealthy: 1, desiredHealthy: 0, expectedPods: 1 };
    const status = { ...before, observedGeneration: 1 };
    await api.call("PATCH", `${budgets}/b/status`, { status }, { headers: MERGE });
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "theirs" } };
    expect(await code("POST", `${DEFAULT}/pods/theirs/eviction`, eviction)).toBe(403);
    const after = (await api.call("GET", `${budgets}/b`)).body.status;
    expect(after.disruptionsAllowed).toBe(1);
    expect(after.disruptedPods).toBeUndefined();
  });
});

describe("a Lease", () => {
  test("is the node's own, in the namespace of nodes", async () => {
    const leases = (namespace: string) =>
      `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
    expect(await code("POST", leases("kube-node-lease"), { metadata: { name: "n1" } })).toBe(201);
    expect(await code("POST", leases("kube-node-lease"), { metadata: { name: "n2" } })).toBe(403);
    for (const namespace of ["kube-system", "default"]) {
      expect(await code("POST", leases(namespace), { metadata: { name: "n1" } })).toBe(403);
    }
  });
});

describe("a VolumeAttachment", () => {
  test("is read by the node that it is for", async () => {
    for (const node of ["n1", "n2"]) {
      await make(`${STORAGE}/volumeattachments`, {
        metadata: { name: `at-${node}` },
        spec: { attacher: "a", nodeName: node, source: { persistentVolumeName: "v" } },
      });
    }
    expect(await code("GET", `${STORAGE}/volumeattachments/at-n1`)).toBe(200);
    expect(await code("GET", `${STORAGE}/volumeattachments/at-n2`)).toBe(403);
    expect(await code("GET", `${STORAGE}/volumeattachments/none`)).toBe(403);
    expect(await code("GET", `${STORAGE}/volumeattachments`)).toBe(403);
    expect(await code("GET", `${STORAGE}/volumeattachments?watch=1`)).toBe(403);
    expect(await code("DELETE", `${STORAGE}/volumeattachments/at-n1`)).toBe(403);
  });
});

describe("a ResourceClaim", () => {
  test("is read where a pod of the node has it", async () => {
    const devices = { requests: [{ name: "r", exactly: { deviceClassName: "d" } }] };
    for (const name of ["mine", "theirs", "made"]) {
      await make(CLAIMS, { metadata: { name }, spec: { devices } });
    }
    const pod = (name: string, nodeName: string, claim: string) =>
      make(`${DEFAULT}/pods`, {
        metadata: { name },
        spec: {
          nodeName,
          containers: [container],
          resourceClaims: [{ name: "r", resourceClaimName: claim }],
        },
      });
    await pod("with-mine", "n1", "mine");
    await pod("with-theirs", "n2", "theirs");
    expect(await code("GET", `${CLAIMS}/mine`)).toBe(200);
    expect(await code("GET", `${CLAIMS}/theirs`)).toBe(403);
    expect(await code("GET", CLAIMS)).toBe(403);
    const reserved = { status: { reservedFor: [] } };
    expect(await code("PATCH", `${CLAIMS}/mine/status`, reserved)).toBe(403);
    const named = { status: { resourceClaimStatuses: [{ name: "r", resourceClaimName: "made" }] } };
    await api.call("PATCH", `${DEFAULT}/pods/with-mine/status`, named, { headers: MERGE });
    expect(await code("GET", `${CLAIMS}/made`)).toBe(200);
  });
});

describe("a ResourceSlice", () => {
  test("is the business of its node", async () => {
    const slices = `${DRA}/resourceslices`;
    const slice = (name: string, nodeName: string) => ({
      metadata: { name },
      spec: {
        driver: "d.example.com",
        nodeName,
        pool: { name: nodeName, generation: 1, resourceSliceCount: 1 },
      },
    });
    expect(await code("POST", slices, slice("mine", "n1"))).toBe(201);
    expect(await code("POST", slices, slice("forged", "n2"))).toBe(403);
    const { nodeName: _, ...everywhere } = slice("all", "pool").spec;
    const all = { metadata: { name: "all" }, spec: { ...everywhere, allNodes: true } };
    expect(await code("POST", slices, all)).toBe(403);
    await make(slices, slice("theirs", "n2"));
    expect(await code("GET", `${slices}/mine`)).toBe(200);
    expect(await code("GET", `${slices}/theirs`)).toBe(403);
    expect(await code("DELETE", `${slices}/theirs`)).toBe(403);
    expect(await code("PUT", `${slices}/theirs`, slice("theirs", "n2"))).toBe(403);
    expect(await code("GET", slices)).toBe(403);
    expect(await code("GET", `${slices}?${other}`)).toBe(403);
    expect(await code("GET", `${slices}?${own}`)).toBe(200);
    expect(await code("DELETE", `${slices}?${other}`)).toBe(403);
    expect(await code("DELETE", slices)).toBe(403);
    expect(await code("DELETE", `${slices}?${own}`)).toBe(200);
  });
});

describe("a token for a CSI driver", () => {
  test("is given for its audiences to the pods that use it", async () => {
    await make(`${STORAGE}/csidrivers`, {
      metadata: { name: "d.example.com" },
      spec: { tokenRequests: [{ audience: "store" }], volumeLifecycleModes: ["Ephemeral"] },
    });
    const pod = (name: string, volumes: object[]) =>
      make(`${DEFAULT}/pods`, {
        metadata: { name },
        spec: { nodeName: "n1", containers: [container], volumes },
      });
    await make(`${DEFAULT}/persistentvolumeclaims`, {
      metadata: { name: "c" },
      spec: {
        ...{ accessModes: ["ReadWriteOnce"], volumeName: "v", storageClassName: "" },
        resources: { requests: { storage: "1Gi" } },
      },
    });
    await make("/api/v1/persistentvolumes", {
      metadata: { name: "v" },
      spec: {
        capacity: { storage: "1Gi" },
        accessModes: ["ReadWriteOnce"],
        csi: { driver: "d.example.com", volumeHandle: "h" },
      },
    });
    const inline = await pod("inline", [{ name: "v", csi: { driver: "d.example.com" } }]);
    const claimed = await pod("claimed", [
      { name: "v", persistentVolumeClaim: { claimName: "c" } },
    ]);
    const bare = await pod("bare", []);
    const asked = (made: ApiObject, audience: string) =>
      code("POST", `${DEFAULT}/serviceaccounts/default/token`, {
        spec: {
          audiences: [audience],
          boundObjectRef: {
            ...{ apiVersion: "v1", kind: "Pod" },
            ...{ name: made.metadata?.name, uid: made.metadata?.uid },
          },
        },
      });
    expect(await asked(inline, "store")).toBe(201);
    expect(await asked(claimed, "store")).toBe(201);
    expect(await asked(inline, "other")).toBe(403);
    expect(await asked(bare, "store")).toBe(403);
  });
});
