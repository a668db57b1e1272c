/**
 * A node's agent writes about its own node and its own pods, and nothing else.
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
 */
import { forbid, nodePods } from "#api/admission/nodepods.ts";
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { nodeNameOf } from "#api/auth/nodeauthorizer.ts";
import { sameJson } from "#api/json.ts";
import { SIZE, SIZE_HELD, VOLUME_FINALIZER } from "#resources/localvolume.ts";
import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  ResourceSlice,
} from "#resources/types.gen.ts";

const LEASES = "kube-node-lease";
const RESERVED = /^(.*\.)?(node-restriction\.kubernetes\.io)\//;
/** Labels below kubernetes.io that a node may give itself. */
const OWN_LABELS = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/arch",
  "kubernetes.io/os",
  "beta.kubernetes.io/instance-type",
  "node.kubernetes.io/instance-type",
  "failure-domain.beta.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
  "beta.kubernetes.io/arch",
  "beta.kubernetes.io/os",
]);
const OWN_PREFIX = /^([^/]*\.)?(kubelet|node)\.kubernetes\.io\//;
const KUBERNETES = /^([^/]*\.)?(kubernetes|k8s)\.io\//;

const mayChange = (label: string): boolean => {
  if (RESERVED.test(label)) return false;
  return !KUBERNETES.test(label) || OWN_LABELS.has(label) || OWN_PREFIX.test(label);
};

function changedLabels(next: Node, old: Node | undefined): string[] {
  const after = next.metadata?.labels ?? {};
  const before = old?.metadata?.labels ?? {};
  return [...new Set([...Object.keys(after), ...Object.keys(before)])].filter(
    (key) => after[key] !== before[key],
  );
}

/** What a node may not change of a volume that it holds. */
function heldPart({ metadata, spec }: PersistentVolume): object {
  const { [SIZE]: _, [SIZE_HELD]: __, ...annotations } = metadata?.annotations ?? {};
  const finalizers = (metadata?.finalizers ?? []).filter((name) => name !== VOLUME_FINALIZER);
  const { labels = {}, ownerReferences = [] } = metadata ?? {};
  return { annotations, finalizers, labels, ownerReferences, spec };
}

/** Fields that control decisions of other components, in the order of the checks. */
function controlledFields(node: Node | undefined): Record<string, unknown> {
  const { ownerReferences = [], finalizers = [] } = node?.metadata ?? {};
  const { taints = [], podCIDR, podCIDRs = [], configSource, ...rest } = node?.spec ?? {};
  return {
    ownerReferences,
    finalizers,
    "spec.podCIDR": podCIDR ?? "",
    "spec.podCIDRs": podCIDRs,
    "spec.configSource": configSource ?? null,
    taints,
    spec: rest,
  };
}
/** A node sets these at registration. Later only an administrator may change them. */
const SET_AT_REGISTRATION = new Set(["taints", "spec"]);

/** Returns the claim without the status fields of a resize, which a node may write. */
function claimPart({ metadata = {}, spec, status = {} }: PersistentVolumeClaim): object {
  const { resourceVersion: _, managedFields: __, ...kept } = metadata;
  const { capacity, conditions, allocatedResources, allocatedResourceStatuses, ...rest } = status;
  return { metadata: kept, spec, status: rest };
}

function checkParts(attributes: Attributes, nodeName: string, node: Node, old?: Node): void {
  const before = controlledFields(old);
  for (const [part, value] of Object.entries(controlledFields(node))) {
    if (sameJson(value, before[part])) continue;
    if (old === undefined && SET_AT_REGISTRATION.has(part)) continue;
    forbid(attributes, `node "${nodeName}" is not allowed to modify ${part}`);
  }
}

function checkNode(attributes: Attributes, nodeName: string): void {
  const { operation, name } = attributes;
  if (operation === "DELETE")
    forbid(attributes, `node "${nodeName}" is not allowed to delete nodes`);
  if (name !== nodeName) {
    forbid(attributes, `node "${nodeName}" is not allowed to modify node "${name}"`);
  }
  const node = attributes.object as Node;
  const old = attributes.old as Node | undefined;
  checkParts(attributes, nodeName, node, old);
  const stray = changedLabels(node, old).filter((label) => !mayChange(label));
  if (stray.length > 0) {
    forbid(attributes, `is not allowed to modify labels: ${stray.sort().join(", ")}`);
  }
}

function checkOwn(attributes: Attributes, nodeName: string, what: string): void {
  if (attributes.name === nodeName) return;
  forbid(attributes, `can only access ${what} with the same name as the requesting node`);
}

function checkLease(attributes: Attributes, nodeName: string): void {
  if (attributes.namespace !== LEASES) {
    forbid(attributes, `can only access leases in the "${LEASES}" system namespace`);
  }
  checkOwn(attributes, nodeName, "node lease");
}

function checkSlice(attributes: Attributes, nodeName: string): void {
  const all = [attributes.object, attributes.old] as Array<ResourceSlice | undefined>;
  if (all.every((slice) => slice === undefined || slice.spec?.nodeName === nodeName)) return;
  const act = attributes.operation.toLowerCase();
  forbid(attributes, `can only ${act} ResourceSlice with the same NodeName as the requesting node`);
}

/** A node may report the size of an attached volume, and remove its finalizer. */
function checkVolume(attributes: Attributes, nodeName: string): void {
  const next = attributes.object as PersistentVolume | undefined;
  const old = attributes.old as PersistentVolume | undefined;
  if (next !== undefined && old !== undefined && sameJson(heldPart(next), heldPart(old))) return;
  forbid(attributes, `node "${nodeName}" can only tell the size of a volume, or let go of it`);
}

function checkClaim(attributes: Attributes, nodeName: string): void {
  const next = attributes.object as PersistentVolumeClaim | undefined;
  const old = attributes.old as PersistentVolumeClaim | undefined;
  if (attributes.subresource !== "status") forbid(attributes, "may only update PVC status");
  if (next !== undefined && old !== undefined && sameJson(claimPart(next), claimPart(old))) return;
  const why = "is not allowed to update fields other than status.capacity and status.conditions";
  forbid(attributes, `node "${nodeName}" ${why}`);
}

type Check = (attributes: Attributes, nodeName: string) => void | Promise<void>;

const CHECKS: Readonly<Record<string, Check>> = {
  "core/nodes": checkNode,
  "core/persistentvolumeclaims": checkClaim,
  "core/persistentvolumes": checkVolume,
  "coordination.k8s.io/leases": checkLease,
  "resource.k8s.io/resourceslices": checkSlice,
  "storage.k8s.io/csinodes": (attributes, nodeName) => checkOwn(attributes, nodeName, "CSINode"),
};

export const nodeRestriction: MakePlugin = (core) => {
  const checks: typeof CHECKS = { ...CHECKS, "core/pods": nodePods(core).checkPod };
  return {
    name: "NodeRestriction",
    validate(attributes) {
      const { user, resource } = attributes;
      const nodeName = nodeNameOf(user);
      if (nodeName === undefined) return;
      if (nodeName === "") forbid(attributes, `could not determine node from user "${user.name}"`);
      return checks[resource.bucket]?.(attributes, nodeName);
    },
  };
};
