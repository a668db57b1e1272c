/**
 * Approves the requests of nodes, issues approved certificates, and removes requests that are over
 * (kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests).
 */

import type { CertificateRequest } from "#base/x509.ts";
import type { Action, Plan } from "#client/controller.ts";
import { withCondition } from "#controllers/common/conditions.ts";
import { deleteAction, statusAction } from "#controllers/common/patch.ts";
import { timeMs, timeText } from "#controllers/common/time.ts";
import { certificateSigningRequests as kind } from "#resources/kinds/certificatesigningrequest.ts";
import type { Stored } from "#resources/meta.ts";
import type { CertificateSigningRequest } from "#resources/types.gen.ts";

export interface State {
  csr: Stored<CertificateSigningRequest>;
  /** What the request asks for; undefined where it cannot be read. */
  asks: CertificateRequest | undefined;
  /** The requester may have such a request approved by itself (SubjectAccessReview). */
  trusted: boolean;
  /** PEM, signed for an approved request that is in order; an error where that failed. */
  issued: { certificate: string } | { error: string } | undefined;
  /** End of the issued certificate, milliseconds. */
  endsMs: number | undefined;
}

export const CLIENT = "kubernetes.io/kube-apiserver-client";
export const NODE_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet";
export const NODE_SERVING = "kubernetes.io/kubelet-serving";

const HOUR_MS = 3_600_000;
/** Decided ones stay an hour, undecided ones a day. */
const DECIDED_MS = HOUR_MS;
const PENDING_MS = 24 * HOUR_MS;

const has = (csr: CertificateSigningRequest, type: string) =>
  csr.status?.conditions?.find((one) => one.type === type);

const NODE_USES = ["key encipherment", "digital signature"];

function usesFit(csr: CertificateSigningRequest, purpose: string): boolean {
  const uses = csr.spec?.usages ?? [];
  if (!uses.includes(purpose)) return false;
  return uses.every((use) => use === purpose || NODE_USES.includes(use));
}

const isNode = (asks: CertificateRequest): boolean =>
  asks.subject.organizations?.length === 1 &&
  asks.subject.organizations[0] === "system:nodes" &&
  asks.subject.commonName.startsWith("system:node:") &&
  asks.subject.commonName.length > "system:node:".length;

/** Why a signer does not sign a request; undefined when it does. */
export function objection(
  csr: CertificateSigningRequest,
  asks: CertificateRequest | undefined,
): string | undefined {
  if (asks === undefined) return "the request cannot be read";
  const names = asks.altNames.dns.length + asks.altNames.ips.length;
  switch (csr.spec?.signerName) {
    case CLIENT:
      if (asks.subject.organizations?.includes("system:masters")) {
        return "the organization system:masters is not given to a client";
      }
      return usesFit(csr, "client auth") ? undefined : "usages are not those of a client";
    case NODE_CLIENT:
      if (!isNode(asks)) return "the subject is not that of a node";
      if (names > 0) return "a node's client certificate has no alternative names";
      return usesFit(csr, "client auth") ? undefined : "usages are not those of a client";
    case NODE_SERVING:
      if (!isNode(asks)) return "the subject is not that of a node";
      if (names === 0) return "a serving certificate needs a name or an address";
      if (csr.spec.username !== asks.subject.commonName) return "the subject is not the requester";
      return usesFit(csr, "server auth") ? undefined : "usages are not those of a server";
    default:
      return "no signer of this cluster has that name";
  }
}

/** A node that asks for itself, in words that a signer takes. */
export function isNodeRequest(csr: CertificateSigningRequest, asks?: CertificateRequest): boolean {
  return csr.spec?.signerName === NODE_CLIENT && objection(csr, asks) === undefined;
}

function expiry({ csr, endsMs }: State): number | undefined {
  const decided = has(csr, "Denied") ?? has(csr, "Failed") ?? has(csr, "Approved");
  const created = timeMs(csr.metadata.creationTimestamp) ?? 0;
  const since = timeMs(decided?.lastUpdateTime ?? decided?.lastTransitionTime) ?? created;
  const over = decided === undefined ? created + PENDING_MS : since + DECIDED_MS;
  return endsMs === undefined ? over : Math.min(over, endsMs);
}

function condition(type: string, reason: string, message: string, now: number) {
  const time = timeText(now);
  return { type, status: "True", reason, message, lastUpdateTime: time, lastTransitionTime: time };
}

function approve(csr: Stored<CertificateSigningRequest>, now: number): Action {
  const message = "Auto approving kubelet client certificate after SubjectAccessReview.";
  const made = condition("Approved", "AutoApproved", message, now);
  const conditions = withCondition(csr.status?.conditions, made);
  const object: CertificateSigningRequest = { ...csr, status: { ...csr.status, conditions } };
  return { do: "update", kind, object, options: { subresource: "approval" } };
}

export function plan(state: State, now: number): Plan {
  const { csr, asks, trusted, issued } = state;
  if (csr.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const over = expiry(state);
  if (over !== undefined && over <= now) return { actions: [deleteAction(kind, csr)] };
  const again = over === undefined ? {} : { againMs: over - now };
  const denied = has(csr, "Denied") !== undefined || has(csr, "Failed") !== undefined;
  if (denied || csr.status?.certificate) return { actions: [], ...again };
  if (has(csr, "Approved") === undefined) {
    const ours = trusted && isNodeRequest(csr, asks);
    return { actions: ours ? [approve(csr, now)] : [], ...again };
  }
  if (issued === undefined) return { actions: [], ...again };
  if ("certificate" in issued) {
    const certificate = btoa(issued.certificate);
    return { actions: statusAction(kind, csr, { ...csr.status, certificate }), ...again };
  }
  const made = condition("Failed", "SignerValidationFailure", issued.error, now);
  const conditions = withCondition(csr.status?.conditions, made);
  return { actions: statusAction(kind, csr, { ...csr.status, conditions }), ...again };
}
