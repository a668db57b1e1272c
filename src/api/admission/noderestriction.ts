/**
 * A node's agent writes about its own node and its own pods, and nothing else.
 * https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
 */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { nodeNameOf } from "#api/auth/nodeauthorizer.ts";
import { refuse } from "#api/errors.ts";
import { sameJson } from "#api/json.ts";
import { SIZE, SIZE_HELD, VOLUME_FINALIZER } from "#resources/localvolume.ts";
import type { Node, PersistentVolume, Pod } from "#resources/types.gen.ts";

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
const OWN_PREFIX = /^(kubelet\.kubernetes\.io|node\.kubernetes\.io)\//;
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

export const nodeRestriction: MakePlugin = () => {
  const forbid = ({ resource, name }: Attributes, why: string): never => {
    throw refuse.forbidden(resource.kind, name, why);
  };

  function checkNode(attributes: Attributes, nodeName: string): void {
    const { operation, name } = attributes;
    if (operation === "DELETE")
      forbid(attributes, `node "${nodeName}" is not allowed to delete nodes`);
    if (name !== nodeName) {
      forbid(attributes, `node "${nodeName}" is not allowed to modify node "${name}"`);
    }
    const node = attributes.object as Node;
    const old = attributes.old as Node | undefined;
    const stray = changedLabels(node, old).filter((label) => !mayChange(label));
    if (stray.length > 0) {
      forbid(attributes, `is not allowed to modify labels: ${stray.sort().join(", ")}`);
    }
    if (old !== undefined && !sameJson(node.spec?.taints ?? [], old.spec?.taints ?? [])) {
      forbid(attributes, `node "${nodeName}" is not allowed to modify taints`);
    }
  }

  function checkPod(attributes: Attributes, nodeName: string): void {
    const { operation, subresource, object, old } = attributes;
    const pod = (object ?? old) as Pod | undefined;
    if (operation === "CREATE" && subresource === "") {
      if (pod?.metadata?.annotations?.["kubernetes.io/config.mirror"] === undefined) {
        forbid(
          attributes,
          `pod does not have "kubernetes.io/config.mirror" annotation, node "${nodeName}" ` +
            `can only create mirror pods`,
        );
      }
      if (pod?.spec?.nodeName !== nodeName) {
        forbid(
          attributes,
          `node "${nodeName}" can only create pods with spec.nodeName set to itself`,
        );
      }
      return;
    }
    const bound = ((old ?? object) as Pod | undefined)?.spec?.nodeName;
    if (bound === nodeName) return;
    const act = operation === "DELETE" ? "delete" : "update status for";
    forbid(attributes, `node "${nodeName}" can only ${act} pods with spec.nodeName set to itself`);
  }

  function checkOwn(attributes: Attributes, nodeName: string, what: string): void {
    if (attributes.name === nodeName) return;
    forbid(attributes, `can only access ${what} with the same name as the requesting node`);
  }

  /** Of a volume that it holds, a node tells the size, and lets go of it. */
  function checkVolume(attributes: Attributes, nodeName: string): void {
    const next = attributes.object as PersistentVolume | undefined;
    const old = attributes.old as PersistentVolume | undefined;
    if (next !== undefined && old !== undefined && sameJson(heldPart(next), heldPart(old))) return;
    forbid(attributes, `node "${nodeName}" can only tell the size of a volume, or let go of it`);
  }

  function check(attributes: Attributes, nodeName: string): void {
    const { bucket } = attributes.resource;
    if (bucket === "core/nodes") checkNode(attributes, nodeName);
    else if (bucket === "core/pods") checkPod(attributes, nodeName);
    else if (bucket === "coordination.k8s.io/leases") checkOwn(attributes, nodeName, "node lease");
    else if (bucket === "core/persistentvolumes") checkVolume(attributes, nodeName);
    else if (bucket === "storage.k8s.io/csinodes") checkOwn(attributes, nodeName, "CSINode");
  }

  return {
    name: "NodeRestriction",
    validate(attributes) {
      const nodeName = nodeNameOf(attributes.user);
      if (nodeName !== undefined) check(attributes, nodeName);
    },
  };
};
