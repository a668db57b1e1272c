import { X509Certificate } from "node:crypto";
import { messageOf } from "#base/errors.ts";
import { type CertificateRequest, readRequest } from "#base/x509.ts";
import type { Client } from "#client/client.ts";
import type { Controller } from "#client/controller.ts";
import {
  CLIENT,
  isNodeRequest,
  NODE_CLIENT,
  NODE_SERVING,
  objection,
  plan,
  type State,
} from "#controllers/csr/plan.ts";
import { certificateSigningRequests } from "#resources/kinds/certificatesigningrequest.ts";
import { subjectAccessReviews } from "#resources/kinds/reviews.ts";
import type { CertificateSigningRequest } from "#resources/types.gen.ts";

/** Signs a request (PEM) with the cluster's CA; throws where the request is damaged. */
export type Signer = (
  csrPem: string,
  options: { usages: Array<"client auth" | "server auth">; days: number },
) => string;

const DAYS_MAX = 365;
const SIGNERS: ReadonlySet<string> = new Set([CLIENT, NODE_CLIENT, NODE_SERVING]);

const pemOf = (csr: CertificateSigningRequest): string => atob(csr.spec?.request ?? "");

function read(csr: CertificateSigningRequest): CertificateRequest | undefined {
  try {
    return readRequest(pemOf(csr));
  } catch {
    return undefined;
  }
}

function endOf(csr: CertificateSigningRequest): number | undefined {
  try {
    const pem = atob(csr.status?.certificate ?? "");
    return pem === "" ? undefined : Date.parse(new X509Certificate(pem).validTo);
  } catch {
    return undefined;
  }
}

/** Whether the requester may have it approved without an operator. */
async function isTrusted(csr: CertificateSigningRequest, client: Client): Promise<boolean> {
  const { username, groups, uid, extra } = csr.spec ?? {};
  const own = readRequest(pemOf(csr)).subject.commonName === username;
  const review = await client.create(subjectAccessReviews, {
    spec: {
      ...(username !== undefined && { user: username }),
      ...(groups !== undefined && { groups }),
      ...(uid !== undefined && { uid }),
      ...(extra !== undefined && { extra }),
      resourceAttributes: {
        group: "certificates.k8s.io",
        resource: "certificatesigningrequests",
        subresource: own ? "selfnodeclient" : "nodeclient",
        verb: "create",
        version: "*",
      },
    },
  });
  return review.status?.allowed === true;
}

function issue(csr: CertificateSigningRequest, signer: Signer): State["issued"] {
  const error = objection(csr, read(csr));
  if (error !== undefined) return { error };
  const seconds = csr.spec?.expirationSeconds;
  const days = seconds === undefined ? DAYS_MAX : Math.min(DAYS_MAX, seconds / 86_400);
  const serving = csr.spec?.signerName === NODE_SERVING;
  try {
    const usages = [serving ? ("server auth" as const) : ("client auth" as const)];
    return { certificate: signer(pemOf(csr), { usages, days }) };
  } catch (cause) {
    return { error: messageOf(cause) };
  }
}

export const csrController = (signer: Signer): Controller<State> => ({
  name: "certificate",
  kind: certificateSigningRequests,
  triggers: [],
  read(key, { caches }) {
    const csr = caches.of(certificateSigningRequests).get(key);
    if (csr === undefined) return undefined;
    return { csr, asks: read(csr), trusted: false, issued: undefined, endsMs: endOf(csr) };
  },
  async confirm(state, client) {
    const { csr, asks } = state;
    const types = new Set((csr.status?.conditions ?? []).map(({ type }) => type));
    if (csr.status?.certificate || types.has("Denied") || types.has("Failed")) return state;
    if (!types.has("Approved")) {
      if (!isNodeRequest(csr, asks)) return state;
      return { ...state, trusted: await isTrusted(csr, client) };
    }
    if (!SIGNERS.has(csr.spec?.signerName ?? "")) return state;
    return { ...state, issued: issue(csr, signer) };
  },
  plan,
});
