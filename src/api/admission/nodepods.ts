/** What a node's agent may do to pods, and for which of them it gets tokens. */
import type { Attributes } from "#api/admission.ts";
import { nodeNameOf } from "#api/auth/nodeauthorizer.ts";
import { isMirror, MIRROR, referenceOf, references } from "#api/auth/podrefs.ts";
import { peek } from "#api/codec.ts";
import type { Core, UserInfo } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { sameJson } from "#api/json.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  CSIDriver,
  Node,
  OwnerReference,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  TokenRequest,
} from "#resources/types.gen.ts";

const PODS = { group: "", plural: "pods", kind: "Pod" };

export const forbid = ({ resource, name }: Attributes, why: string): never => {
  throw refuse.forbidden(resource.kind, name, why);
};

/** Returns why this owner is invalid for a mirror pod. Does not compare the owner's UID. */
function ownerFault(owners: readonly OwnerReference[], nodeName: string): string | undefined {
  const only = `node "${nodeName}" can only create pods with`;
  const [owner] = owners;
  if (owners.length > 1) return `${only} a single owner reference set to itself`;
  if (owner?.apiVersion !== "v1" || owner.kind !== "Node" || owner.name !== nodeName) {
    return `${only} an owner reference set to itself`;
  }
  if (owner.controller !== true) return `${only} a controller owner reference set to itself`;
  if (owner.blockOwnerDeletion === true) {
    return `node "${nodeName}" must not set blockOwnerDeletion on an owner reference`;
  }
  return undefined;
}

const claimNames = (pod: Pod | undefined) =>
  (pod?.status?.resourceClaimStatuses ?? []).map((each) => [each.name, each.resourceClaimName]);

export function nodePods(core: Core) {
  async function checkMirror(attributes: Attributes, nodeName: string): Promise<void> {
    const pod = attributes.object as Pod;
    if (!isMirror(pod)) {
      forbid(
        attributes,
        `pod does not have "${MIRROR}" annotation, node "${nodeName}" can only create mirror pods`,
      );
    }
    if (pod.spec?.nodeName !== nodeName) {
      forbid(
        attributes,
        `node "${nodeName}" can only create pods with spec.nodeName set to itself`,
      );
    }
    const used = referenceOf(pod);
    if (used !== undefined) {
      forbid(attributes, `node "${nodeName}" can not create pods that reference ${used}`);
    }
    const owners = pod.metadata?.ownerReferences ?? [];
    const why = ownerFault(owners, nodeName);
    if (why !== undefined) forbid(attributes, why);
    const item = await core.store.get(`core/nodes/${nodeName}`);
    if (item === undefined)
      throw refuse.notFound({ group: "", plural: "nodes", kind: "Node" }, nodeName);
    const { uid } = peek<Node>(item).metadata;
    if (owners[0]?.uid === uid) return;
    forbid(attributes, `node ${nodeName} UID mismatch: expected ${owners[0]?.uid} got ${uid}`);
  }

  function checkStatus(attributes: Attributes, nodeName: string): void {
    const next = attributes.object as Pod | undefined;
    const old = attributes.old as Pod | undefined;
    const parts: Array<[string, unknown, unknown]> = [
      ["labels through pod status", next?.metadata?.labels ?? {}, old?.metadata?.labels ?? {}],
      ["resource claim statuses", claimNames(next), claimNames(old)],
    ];
    const changed = parts.find(([, after, before]) => !sameJson(after, before));
    if (changed === undefined) return;
    forbid(attributes, `node "${nodeName}" cannot update ${changed[0]}`);
  }

  function checkBound(attributes: Attributes, nodeName: string, act: string): void {
    const bound = (attributes.old as Pod | undefined)?.spec?.nodeName === nodeName;
    if (bound) return;
    forbid(attributes, `node "${nodeName}" can only ${act} pods with spec.nodeName set to itself`);
  }

  function checkPod(attributes: Attributes, nodeName: string): void | Promise<void> {
    const { operation, subresource } = attributes;
    if (operation === "CREATE" && subresource === "") return checkMirror(attributes, nodeName);
    if (operation === "DELETE") return checkBound(attributes, nodeName, "delete");
    if (operation === "UPDATE" && subresource === "status") {
      checkBound(attributes, nodeName, "update pod status for");
      return checkStatus(attributes, nodeName);
    }
    const what = [operation, subresource].filter((word) => word !== "").join(" of ");
    const why = `unexpected operation "${what}", node "${nodeName}" can only create and delete`;
    return forbid(attributes, `${why} mirror pods, and update the status of its pods`);
  }

  return { checkPod };
}

/** @throws ApiError 403 for a node that evicts a pod of another one. */
export function checkNodeEviction(user: UserInfo, pod: Stored<Pod>): void {
  const nodeName = nodeNameOf(user);
  if (nodeName === undefined || pod.spec?.nodeName === nodeName) return;
  const why = `node ${nodeName} can only evict pods with spec.nodeName set to itself`;
  throw refuse.forbidden(PODS, pod.metadata.name, why);
}

/** Names of the CSI drivers of the pod's volumes, inline or through a claim. */
async function driversOf(core: Core, pod: Stored<Pod>): Promise<Set<string>> {
  const drivers = new Set<string>();
  for (const { csi } of pod.spec?.volumes ?? []) if (csi?.driver) drivers.add(csi.driver);
  for (const name of references(pod, "persistentvolumeclaims")) {
    const { namespace } = pod.metadata;
    const claim = await core.store.get(`core/persistentvolumeclaims/${namespace}/${name}`);
    const volumeName = claim && peek<PersistentVolumeClaim>(claim).spec?.volumeName;
    const volume = volumeName && (await core.store.get(`core/persistentvolumes/${volumeName}`));
    const driver = volume && peek<PersistentVolume>(volume).spec?.csi?.driver;
    if (driver) drivers.add(driver);
  }
  return drivers;
}

async function isDeclared(core: Core, pod: Stored<Pod>, audience: string): Promise<boolean> {
  const sources = (pod.spec?.volumes ?? []).flatMap((volume) => volume.projected?.sources ?? []);
  const tokens = sources.flatMap(({ serviceAccountToken: token }) => token ?? []);
  if (tokens.some((token) => (token.audience ?? "") === audience)) return true;
  for (const name of await driversOf(core, pod)) {
    const item = await core.store.get(`storage.k8s.io/csidrivers/${name}`);
    const requests = (item && peek<CSIDriver>(item).spec?.tokenRequests) ?? [];
    if (requests.some((request) => (request.audience ?? "") === audience)) return true;
  }
  return false;
}

interface Asked {
  readonly user: UserInfo;
  readonly nodeName: string;
  readonly namespace: string;
  readonly account: string;
}

/**
 * A node gets tokens for its own pods alone: bound to one of them by name and UID, and for an
 * audience that the pod declares, or that a role gives the node. @throws ApiError 403, 404.
 */
export async function checkNodeToken(
  core: Core,
  { user, nodeName, namespace, account }: Asked,
  { spec }: TokenRequest,
): Promise<void> {
  const no = (why: string): never => {
    throw refuse.forbidden(
      { group: "", plural: "serviceaccounts", kind: "ServiceAccount" },
      account,
      why,
    );
  };
  const ref = spec.boundObjectRef;
  if (ref?.apiVersion !== "v1" || ref.kind !== "Pod" || !ref.name) {
    return no("node requested token not bound to a pod");
  }
  if (!ref.uid) no("node requested token with a pod binding without a uid");
  const item = await core.store.get(`core/pods/${namespace}/${ref.name}`);
  if (item === undefined) throw refuse.notFound(PODS, ref.name);
  const pod = peek<Pod>(item);
  if (ref.uid !== pod.metadata.uid) {
    no(
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. ` +
        "The object might have been deleted and then recreated",
    );
  }
  if (pod.spec?.nodeName !== nodeName) {
    no("node requested token bound to a pod scheduled on a different node");
  }
  const audiences = spec.audiences ?? [];
  if (audiences.length > 1) no("node may only request 0 or 1 audiences");
  const audience = audiences[0] ?? "";
  if (await isDeclared(core, pod, audience)) return;
  const verb = "request-serviceaccounts-token-audience";
  const about = { group: "", version: "v1", plural: audience, namespace, name: account };
  const { verdict } = await core.authorizer.decide({ user, verb, ...about });
  if (verdict !== "allow") no(`audience "${audience}" not found in pod spec volume`);
}
