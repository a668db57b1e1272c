import { ageColumn, humanDuration, nameColumn } from "#resources/columns/text.ts";
import { defineKind, type Requester } from "#resources/kind.ts";
import type {
  CertificateSigningRequest,
  CertificateSigningRequestSpec,
} from "#resources/types.gen.ts";
import { validateSigningRequest } from "#resources/validate/certificate.ts";

function conditionText({ status }: CertificateSigningRequest): string {
  const types = new Set((status?.conditions ?? []).map((condition) => condition.type));
  const words = [types.has("Denied") ? "Denied" : types.has("Approved") ? "Approved" : "Pending"];
  if (types.has("Failed")) words.push("Failed");
  if (status?.certificate) words.push("Issued");
  return words.join(",");
}

/** A signer trusts these fields: no client may write them. */
function setRequester(spec: CertificateSigningRequestSpec, by: Requester | undefined): void {
  delete spec.username;
  delete spec.uid;
  delete spec.groups;
  delete spec.extra;
  if (!by) return;
  spec.username = by.name;
  if (by.uid) spec.uid = by.uid;
  if (by.groups.length > 0) spec.groups = [...by.groups];
  const extra = Object.entries(by.extra ?? {});
  if (extra.length > 0) {
    spec.extra = Object.fromEntries(extra.map(([key, values]) => [key, [...values]]));
  }
}

export const certificateSigningRequests = defineKind<CertificateSigningRequest>({
  group: "certificates.k8s.io",
  version: "v1",
  kind: "CertificateSigningRequest",
  plural: "certificatesigningrequests",
  namespaced: false,
  schema: "io.k8s.api.certificates.v1.CertificateSigningRequest",
  shortNames: ["csr"],
  subresources: { status: true },
  columns: [
    nameColumn,
    ageColumn,
    { name: "SignerName", cell: ({ spec }) => spec?.signerName || "<none>" },
    { name: "Requestor", cell: ({ spec }) => spec?.username ?? "" },
    {
      name: "RequestedDuration",
      cell: ({ spec }) =>
        spec?.expirationSeconds === undefined
          ? "<none>"
          : humanDuration(spec.expirationSeconds * 1000),
    },
    { name: "Condition", cell: conditionText },
  ],
  prepare: (request, old, by) => {
    // What was asked for never changes, nor who asked for it.
    if (old?.spec) request.spec = structuredClone(old.spec);
    if (old) return;
    request.status = {};
    if (request.spec) setRequester(request.spec, by);
  },
  fields: ({ spec }) => ({ "spec.signerName": spec?.signerName ?? "" }),
  validate: validateSigningRequest,
  nameRule: "path",
});
