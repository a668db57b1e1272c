/** A compromised node requests more than its own pods need. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { UserInfo } from "#api/core.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { Node } from "#resources/types.gen.ts";
import { startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
let uid = "";
const DEFAULT = "/api/v1/namespaces/default";
const MERGE = { "content-type": "application/merge-patch+json" };
const n1: UserInfo = { name: "system:node:n1", groups: ["system:nodes", "system:authenticated"] };
const as = { user: n1 };
const merging = { user: n1, headers: MERGE };

const make = (path: string, object: object): Promise<ApiObject> =>
  api.create(path, object as ApiObject);
const container = { name: "c", image: "i" };

beforeAll(async () => {
  api = await startApi();
  const node = await make("/api/v1/nodes", { metadata: { name: "n1" } });
  uid = node.metadata?.uid ?? "";
  await make("/api/v1/nodes", { metadata: { name: "n2" } });
});
afterAll(() => api.close());

describe("a mirror pod", () => {
  const owner = () => ({ apiVersion: "v1", kind: "Node", name: "n1", uid, controller: true });
  const mirror = (name: string, spec: object, owners: object[] = [owner()]) => ({
    metadata: {
      name,
      annotations: { "kubernetes.io/config.mirror": "x" },
      ownerReferences: owners,
    },
    spec: { nodeName: "n1", containers: [container], ...spec },
  });
  const post = (body: object) => api.call("POST", `${DEFAULT}/pods`, body, as);

  test("of the node itself is made", async () => {
    expect((await post(mirror("plain", {}))).code).toBe(201);
  });

  const volume = (source: object) => ({ volumes: [{ name: "v", ...source }] });
  const projected = (source: object) => volume({ projected: { sources: [source] } });
  const ref = { name: "o" };
  const key = { name: "o", key: "k" };
  const kinds = ["containers", "initContainers"] as const;
  const inContainers = (fields: object): object[] =>
    kinds.map((kind) => ({ [kind]: [{ name: `${kind.toLowerCase()}`, image: "i", ...fields }] }));
  const template = {
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  };
  const cases: Array<[string, object[]]> = [
    [
      "secrets",
      [
        { imagePullSecrets: [ref] },
        volume({ secret: { secretName: "o" } }),
        projected({ secret: ref }),
        volume({ csi: { driver: "d.example.com", nodePublishSecretRef: ref } }),
        volume({ cephfs: { monitors: ["m"], secretRef: ref } }),
        volume({ cinder: { volumeID: "x", secretRef: ref } }),
        volume({ flexVolume: { driver: "a/b", secretRef: ref } }),
        volume({
          iscsi: { targetPortal: "1.2.3.4", iqn: "iqn.2001-04.a:b", lun: 0, secretRef: ref },
        }),
        volume({ rbd: { monitors: ["m"], image: "i", secretRef: ref } }),
        volume({ scaleIO: { gateway: "g", system: "s", volumeName: "v", secretRef: ref } }),
        volume({ storageos: { volumeName: "v", secretRef: ref } }),
        volume({ azureFile: { secretName: "o", shareName: "s" } }),
        ...inContainers({ env: [{ name: "A", valueFrom: { secretKeyRef: key } }] }),
        ...inContainers({ envFrom: [{ secretRef: ref }] }),
      ],
    ],
    [
      "configmaps",
      [
        volume({ configMap: ref }),
        projected({ configMap: ref }),
        ...inContainers({ env: [{ name: "A", valueFrom: { configMapKeyRef: key } }] }),
        ...inContainers({ envFrom: [{ configMapRef: ref }] }),
      ],
    ],
    [
      "persistentvolumeclaims",
      [
        volume({ persistentVolumeClaim: { claimName: "o" } }),
        volume({ ephemeral: { volumeClaimTemplate: template } }),
      ],
    ],
    ["service accounts", [{ serviceAccountName: "o" }, { serviceAccount: "o" }]],
    [
      "resourceclaims",
      [
        { resourceClaims: [{ name: "r", resourceClaimName: "o" }] },
        { resourceClaims: [{ name: "r", resourceClaimTemplateName: "o" }] },
      ],
    ],
    ["clustertrustbundles", [projected({ clusterTrustBundle: { name: "o", path: "p" } })]],
    ["tokens", [projected({ serviceAccountToken: { path: "p" } })]],
  ];
  for (const [what, specs] of cases) {
    test(`references no ${what}`, async () => {
      for (const [index, spec] of specs.entries()) {
        const name = `m-${what.replace(/\W/g, "")}-${index}`;
        const { code } = await post(mirror(name, spec));
        // Some fields are not valid without what else is missing here.
        expect([JSON.stringify(spec), [403, 422].includes(code)]).toEqual([
          JSON.stringify(spec),
          true,
        ]);
      }
    });
  }

  test("belongs to its node, and to nothing else", async () => {
    const owners: object[][] = [
      [],
      [owner(), { ...owner(), uid: "x", controller: false }],
      [{ ...owner(), uid: "other" }],
      [{ ...owner(), name: "n2" }],
      [{ ...owner(), kind: "Pod" }],
      [{ ...owner(), apiVersion: "v2" }],
      [{ ...owner(), controller: false }],
      [{ ...owner(), blockOwnerDeletion: true }],
    ];
    for (const [index, list] of owners.entries()) {
      expect([list, (await post(mirror(`o-${index}`, {}, list))).code]).toEqual([list, 403]);
    }
  });

  test("that an administrator made lets its node read nothing", async () => {
    await make(`${DEFAULT}/configmaps`, { metadata: { name: "wanted" } });
    const { code } = await api.call(
      "POST",
      `${DEFAULT}/pods`,
      mirror("of-admin", volume({ configMap: { name: "wanted" } })),
    );
    expect(code).toBe(403);
    expect((await api.call("GET", `${DEFAULT}/configmaps/wanted`, undefined, as)).code).toBe(403);
  });
});

describe("a token", () => {
  let mine = "";
  let theirs = "";
  const request = async (spec: object, account = "default") => {
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
    return api.call("POST", `${DEFAULT}/serviceaccounts/${account}/token`, body, as);
  };
  const bound = (name: string, podUid?: string) => ({
    boundObjectRef: { apiVersion: "v1", kind: "Pod", name, ...(podUid && { uid: podUid }) },
  });

  beforeAll(async () => {
    const token = { serviceAccountToken: { path: "t", audience: "vault" } };
    const volumes = [{ name: "v", projected: { sources: [token] } }];
    const spec = { containers: [container], volumes };
    const pod = (name: string, nodeName: string) =>
      make(`${DEFAULT}/pods`, { metadata: { name }, spec: { ...spec, nodeName } });
    mine = (await pod("mine", "n1")).metadata?.uid ?? "";
    theirs = (await pod("theirs", "n2")).metadata?.uid ?? "";
    await make(`${DEFAULT}/secrets`, { metadata: { name: "s" } });
  });

  test("for a pod of the node, with an audience that the pod declares, is given", async () => {
    expect((await request(bound("mine", mine))).code).toBe(201);
    expect((await request({ ...bound("mine", mine), audiences: ["vault"] })).code).toBe(201);
  });

  test("without a pod is not given", async () => {
    expect((await request({})).code).toBe(403);
    const kinds = [
      { apiVersion: "v1", kind: "Node", name: "n1", uid },
      { apiVersion: "v1", kind: "Secret", name: "s" },
    ];
    for (const boundObjectRef of kinds) {
      expect((await request({ boundObjectRef })).code).toBe(403);
    }
  });

  test("without the pod's UID, or with another, is not given", async () => {
    expect((await request(bound("mine"))).code).toBe(403);
    expect((await request(bound("mine", "other"))).code).toBe(403);
  });

  test("for a pod of another node is not given", async () => {
    expect((await request(bound("theirs", theirs))).code).toBe(403);
  });

  test("with another audience, or several, is not given", async () => {
    for (const audiences of [["other"], ["vault", "other"], ["vault", "vault"], ["*"]]) {
      const { code } = await request({ ...bound("mine", mine), audiences });
      expect([audiences, code]).toEqual([audiences, 403]);
    }
  });
});

describe("what a node writes", () => {
  test("of itself is neither owners, finalizers, address ranges nor taints", async () => {
    const owner = { apiVersion: "v1", kind: "Pod", name: "x", uid: "y" };
    const patches = [
      { metadata: { ownerReferences: [owner] } },
      { metadata: { finalizers: ["example.com/stays"] } },
      { spec: { podCIDR: "10.0.0.0/8", podCIDRs: ["10.0.0.0/8"] } },
      { spec: { taints: [{ key: "a", effect: "NoSchedule" }] } },
      { spec: { unschedulable: true } },
      { metadata: { labels: { "x.kubernetes.io/role": "a" } } },
      { metadata: { labels: { "node-role.kubernetes.io/control-plane": "" } } },
    ];
    const same = ({ metadata, spec = {} }: Node): boolean =>
      metadata?.ownerReferences === undefined && Object.keys(spec).length === 0;
    for (const patch of patches) {
      for (const path of ["/api/v1/nodes/n1", "/api/v1/nodes/n1/status"]) {
        const { code, body } = await api.call("PATCH", path, patch, merging);
        // A status update may also leave the rest as it is.
        const left = code === 200 && path.endsWith("/status") && same(body);
        expect([patch, path, left || code === 403]).toEqual([patch, path, true]);
      }
    }
  });

  test("when it makes itself anew, is no more than that", async () => {
    const n3: UserInfo = { ...n1, name: "system:node:n3" };
    const metadata = { name: "n3" };
    const bodies = [
      { metadata, spec: { podCIDR: "10.0.0.0/8", podCIDRs: ["10.0.0.0/8"] } },
      { metadata: { ...metadata, finalizers: ["example.com/stays"] } },
      {
        metadata: {
          ...metadata,
          ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "x", uid: "y" }],
        },
      },
      { metadata: { ...metadata, labels: { "node-role.kubernetes.io/control-plane": "" } } },
    ];
    for (const body of bodies) {
      expect((await api.call("POST", "/api/v1/nodes", body, { user: n3 })).code).toBe(403);
    }
  });

  test("of a pod is its status alone", async () => {
    await make(`${DEFAULT}/pods`, {
      metadata: { name: "own", labels: { app: "a" } },
      spec: { nodeName: "n1", containers: [container] },
    });
    const path = `${DEFAULT}/pods/own`;
    const claims = [{ name: "r", resourceClaimName: "someone" }];
    const statuses = [
      { metadata: { labels: { app: "database" } } },
      { metadata: { labels: { more: "x" } } },
      { status: { resourceClaimStatuses: claims } },
    ];
    for (const body of statuses) {
      const { code } = await api.call("PATCH", `${path}/status`, body, merging);
      expect([body, code]).toEqual([body, 403]);
    }
    const image = { spec: { containers: [{ ...container, image: "other" }] } };
    expect((await api.call("PATCH", path, image, merging)).code).toBe(403);
    const ok = { status: { phase: "Running" } };
    expect((await api.call("PATCH", `${path}/status`, ok, merging)).code).toBe(200);
  });

  test("of a claim is what the volume's growth says", async () => {
    await make(`${DEFAULT}/persistentvolumeclaims`, {
      metadata: { name: "data" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    });
    const claim = { persistentVolumeClaim: { claimName: "data" } };
    await make(`${DEFAULT}/pods`, {
      metadata: { name: "with-claim" },
      spec: { nodeName: "n1", containers: [container], volumes: [{ name: "v", ...claim }] },
    });
    const path = `${DEFAULT}/persistentvolumeclaims/data/status`;
    const bodies = [
      { metadata: { labels: { a: "b" } } },
      { metadata: { annotations: { "volume.kubernetes.io/selected-node": "n1" } } },
      { metadata: { finalizers: ["example.com/stays"] } },
      { status: { phase: "Lost" } },
      { status: { accessModes: ["ReadWriteMany"] } },
    ];
    for (const body of bodies) {
      expect([body, (await api.call("PATCH", path, body, merging)).code]).toEqual([body, 403]);
    }
    const grown = { status: { capacity: { storage: "2Gi" } } };
    expect((await api.call("PATCH", path, grown, merging)).code).toBe(200);
  });

  test("has the node's name, also where the name is empty", async () => {
    const nobody: UserInfo = { ...n1, name: "system:node:" };
    const body = { metadata: { generateName: "x-" } };
    expect((await api.call("POST", "/api/v1/nodes", body, { user: nobody })).code).toBe(403);
  });
});
