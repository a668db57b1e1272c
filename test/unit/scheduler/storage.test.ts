import { describe, expect, test } from "bun:test";
import type { Stored, StoredMeta } from "#resources/meta.ts";
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PodSpec,
  StorageClass,
} from "#resources/types.gen.ts";
import { className } from "#resources/volumematch.ts";
import { schedule } from "#scheduler/plan.ts";
import { NO_STORAGE, type StorageView } from "#scheduler/storage.ts";
import { cluster, node, placed, pod } from "#test/support/scheduling.ts";

const meta = (name: string, more: Partial<StoredMeta> = {}): StoredMeta => ({
  name,
  uid: name,
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  ...more,
});

function claim(
  name: string,
  more: Partial<PersistentVolumeClaim["spec"]> & {
    annotations?: Record<string, string>;
    phase?: string;
    deleted?: boolean;
    owner?: string;
  } = {},
): Stored<PersistentVolumeClaim> {
  const { annotations, phase = "Pending", deleted, owner, ...spec } = more;
  return {
    metadata: meta(name, {
      namespace: "default",
      ...(annotations && { annotations }),
      ...(deleted && { deletionTimestamp: "2026-01-01T00:00:00Z" }),
      ...(owner && {
        ownerReferences: [
          { apiVersion: "v1", kind: "Pod", name: owner, uid: owner, controller: true },
        ],
      }),
    }),
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "late",
      resources: { requests: { storage: "1Gi" } },
      ...spec,
    },
    status: { phase },
  };
}

const BOUND = { "pv.kubernetes.io/bind-completed": "yes" };

function volume(name: string, on?: string, storage = "1Gi"): Stored<PersistentVolume> {
  const expression = { key: "kubernetes.io/hostname", operator: "In", values: [on ?? ""] };
  return {
    metadata: meta(name),
    spec: {
      capacity: { storage },
      accessModes: ["ReadWriteOnce"],
      storageClassName: "late",
      ...(on && {
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [expression] }] } },
      }),
    },
    status: { phase: "Available" },
  };
}

function storageClass(name: string, more: Partial<StorageClass> = {}): Stored<StorageClass> {
  const mode = name === "late" ? "WaitForFirstConsumer" : "Immediate";
  return { provisioner: "p", volumeBindingMode: mode, ...more, metadata: meta(name) };
}

function view(
  claims: Stored<PersistentVolumeClaim>[],
  volumes: Stored<PersistentVolume>[] = [],
  more: Partial<StorageView> & { late?: Partial<StorageClass> } = {},
): StorageView {
  const { late, ...rest } = more;
  const classes = [storageClass("late", late), storageClass("soon")];
  return {
    ...NO_STORAGE,
    claim: (key) => claims.find(({ metadata }) => key === `default/${metadata.name}`),
    volume: (name) => volumes.find(({ metadata }) => metadata.name === name),
    volumesOf: (name) => volumes.filter((one) => className(one) === name),
    storageClass: (name) => classes.find(({ metadata }) => metadata.name === name),
    ...rest,
  };
}

const using = (...names: string[]): Partial<PodSpec> => ({
  volumes: names.map((name) => ({ name, persistentVolumeClaim: { claimName: name } })),
});

function outcome(storage: StorageView, spec: Partial<PodSpec>) {
  const state = cluster([node("a"), node("b"), node("c")]);
  state.storage = storage;
  const decision = schedule(pod("p", spec), state, { random: 0.99 });
  if (!decision.fits) return decision.message;
  const bind = decision.volumes?.bind.map((one) => [
    one.claim.metadata.name,
    one.volume.metadata.name,
  ]);
  const provision = decision.volumes?.provision.map(({ metadata }) => metadata.name);
  return { on: decision.nodeName, bind, provision };
}

const none = (words: string) => `0/3 nodes are available: ${words}.`;

describe("what keeps a pod from every node", () => {
  test("a claim that is not there, is going, or lost its volume", () => {
    const about = (one?: Stored<PersistentVolumeClaim>) =>
      outcome(view(one ? [one] : []), using("x"));
    expect(about()).toBe(none('persistentvolumeclaim "x" not found'));
    expect(about(claim("x", { deleted: true }))).toBe(
      none('persistentvolumeclaim "x" is being deleted'),
    );
    expect(about(claim("x", { phase: "Lost", volumeName: "v" }))).toBe(
      none('persistentvolumeclaim "x" bound to non-existent persistentvolume "v"'),
    );
    expect(about(claim("x", { storageClassName: "soon" }))).toBe(
      none("pod has unbound immediate PersistentVolumeClaims"),
    );
    expect(about(claim("x", { volumeName: "v" }))).toBe(
      none("pod has unbound immediate PersistentVolumeClaims"),
    );
  });

  test("an ephemeral claim must be there and be the pod's own", () => {
    const spec: Partial<PodSpec> = { volumes: [{ name: "tmp", ephemeral: {} }] };
    expect(outcome(view([]), spec)).toBe(
      none('waiting for ephemeral volume controller to create the persistentvolumeclaim "p-tmp"'),
    );
    expect(outcome(view([claim("p-tmp", { owner: "other" })]), spec)).toContain(
      'PVC "default/p-tmp" was not created for pod "default/p" (pod is not owner)',
    );
    expect(outcome(view([claim("p-tmp", { owner: "p" })]), spec)).toMatchObject({
      provision: ["p-tmp"],
    });
  });
});

describe("bound claims", () => {
  const bound = (name: string, volumeName: string, more = {}) =>
    claim(name, { volumeName, annotations: BOUND, phase: "Bound", ...more });

  test("the pod goes where its volume is", () => {
    const storage = view([bound("x", "v")], [volume("v", "b")]);
    expect(outcome(storage, using("x"))).toEqual({
      on: "b",
      bind: undefined,
      provision: undefined,
    });
  });

  test("volumes on different nodes cannot meet; nor one that is not there", () => {
    const storage = view([bound("x", "v"), bound("y", "w")], [volume("v", "b"), volume("w", "c")]);
    expect(outcome(storage, using("x", "y"))).toBe(
      none("3 node(s) didn't match PersistentVolume's node affinity"),
    );
    expect(outcome(view([bound("x", "gone")]), using("x"))).toBe(
      none("3 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"),
    );
  });

  test("ReadWriteOncePod: one pod at a time", () => {
    const state = cluster([node("a"), node("b")]);
    state.storage = view([bound("x", "v", { accessModes: ["ReadWriteOncePod"] })], [volume("v")]);
    state.assume(pod("first", using("x")), "a");
    expect(placed(pod("second", using("x")), state)).toBe(
      "0/2 nodes are available: 2 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod.",
    );
    state.unassume("default/first");
    expect(placed(pod("second", using("x")), state)).toBe("a");
  });
});

describe("claims that wait for their first consumer", () => {
  test("a volume that the node reaches, the smallest that is large enough", () => {
    const volumes = [
      volume("big", "b", "9Gi"),
      volume("small", "b", "2Gi"),
      volume("tiny", "b", "1Mi"),
    ];
    const late = { provisioner: "kubernetes.io/no-provisioner" };
    expect(outcome(view([claim("x")], volumes, { late }), using("x"))).toEqual({
      on: "b",
      bind: [["x", "small"]],
      provision: [],
    });
  });

  test("two claims take two volumes; what another decision took is not there", () => {
    const volumes = [volume("v", "b"), volume("w", "b", "2Gi")];
    const late = { provisioner: "kubernetes.io/no-provisioner" };
    const two = view([claim("x"), claim("y")], volumes, { late });
    expect(outcome(two, using("x", "y"))).toMatchObject({
      bind: [
        ["x", "v"],
        ["y", "w"],
      ],
    });
    const isTaken = (name: string) => name === "v";
    const taken = view([claim("x"), claim("y")], volumes, { late, isTaken });
    expect(outcome(taken, using("x", "y"))).toBe(
      none("3 node(s) didn't find available persistent volumes to bind"),
    );
  });

  test("else one is made, where the class allows and there is space", () => {
    expect(outcome(view([claim("x")]), using("x"))).toEqual({
      on: "c",
      bind: [],
      provision: ["x"],
    });
    const key = "kubernetes.io/hostname";
    const late = { allowedTopologies: [{ matchLabelExpressions: [{ key, values: ["b"] }] }] };
    expect(outcome(view([claim("x")], [], { late }), using("x"))).toMatchObject({ on: "b" });
    const capacities = () => [
      {
        storageClassName: "late",
        capacity: "5Gi",
        nodeTopology: { matchLabels: { [key]: "a" } },
      },
    ];
    expect(outcome(view([claim("x")], [], { capacities }), using("x"))).toMatchObject({ on: "a" });
    const large = claim("x", { resources: { requests: { storage: "6Gi" } } });
    expect(outcome(view([large], [], { capacities }), using("x"))).toBe(
      none("3 node(s) did not have enough free storage"),
    );
  });

  test("a node that was chosen already stays chosen", () => {
    const annotations = { "volume.kubernetes.io/selected-node": "b" };
    expect(outcome(view([claim("x", { annotations })]), using("x"))).toMatchObject({ on: "b" });
  });
});
