/**
 * Who may approve and sign which certificates, and which nobody may ask for.
 * (Kubernetes reference, admission controllers: CertificateApproval and
 * CertificateSubjectRestriction).
 */
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { timestamp } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { messageOf } from "#base/errors.ts";
import { type CertificateRequest, readRequest } from "#base/x509.ts";
import { invalid } from "#resources/field.ts";
import type { CertificateSigningRequest } from "#resources/types.gen.ts";

const BUCKET = "certificates.k8s.io/certificatesigningrequests";
const CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client";
const MASTERS = "system:masters";

function requestIn({ resource, name }: Attributes, text: string): CertificateRequest {
  try {
    return readRequest(Buffer.from(text, "base64").toString());
  } catch (error) {
    throw refuse.invalid(resource.kind, name, [invalid("spec.request", text, messageOf(error))]);
  }
}

export const certificates: MakePlugin = (core) => {
  /** A signer by its own name, or all below its domain. */
  async function requireFor(attributes: Attributes, verb: string, signer: string): Promise<void> {
    const { user, resource, name } = attributes;
    const domain = signer.split("/", 1)[0] ?? "";
    const about = { user, verb, group: "certificates.k8s.io", version: "*", plural: "signers" };
    for (const each of [signer, `${domain}/*`]) {
      const { verdict } = await core.authorizer.decide({ ...about, name: each });
      if (verdict === "allow") return;
    }
    const why = `user not permitted to ${verb} requests with signerName "${signer}"`;
    throw refuse.forbidden(resource.kind, name, why);
  }

  function checkSubject(attributes: Attributes): void {
    const { spec } = attributes.object as CertificateSigningRequest;
    if (spec?.signerName !== CLIENT_SIGNER) return;
    const asked = requestIn(attributes, spec.request);
    if (!(asked.subject.organizations ?? []).includes(MASTERS)) return;
    const why = `use of ${CLIENT_SIGNER} signer with ${MASTERS} group is not allowed`;
    throw refuse.forbidden(attributes.resource.kind, attributes.name, why);
  }

  /** Conditions without their times get them (registry certificates strategy). */
  function setTimes({ object, old }: Attributes): void {
    const now = timestamp(core.clock.now());
    const before = (old as CertificateSigningRequest).status?.conditions ?? [];
    for (const each of (object as CertificateSigningRequest).status?.conditions ?? []) {
      const same = before.find(({ type, status }) => type === each.type && status === each.status);
      each.lastUpdateTime ??= now;
      each.lastTransitionTime ??= same?.lastTransitionTime ?? now;
    }
  }

  return {
    name: "Certificates",
    mutate(attributes): void {
      const { resource, operation, subresource } = attributes;
      if (resource.bucket !== BUCKET || operation !== "UPDATE" || subresource === "") return;
      setTimes(attributes);
    },
    validate(attributes): void | Promise<void> {
      const { resource, operation, subresource, old } = attributes;
      if (resource.bucket !== BUCKET) return;
      if (operation === "CREATE") return checkSubject(attributes);
      if (operation !== "UPDATE" || subresource === "") return;
      const signer = (old as CertificateSigningRequest | undefined)?.spec?.signerName ?? "";
      if (subresource === "approval") return requireFor(attributes, "approve", signer);
      const before = (old as CertificateSigningRequest).status?.certificate;
      const after = (attributes.object as CertificateSigningRequest).status?.certificate;
      return before === after ? undefined : requireFor(attributes, "sign", signer);
    },
  };
};
