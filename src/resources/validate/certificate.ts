/** CertificateSigningRequests (certificates validation; "Certificates and CSRs"). */
import { sameValue } from "#resources/equal.ts";
import {
  type Cause,
  duplicate,
  forbidden,
  invalid,
  notSupported,
  required,
} from "#resources/field.ts";
import type { CertificateSigningRequest } from "#resources/types.gen.ts";
import { each, requiredWord } from "#resources/validate/basic.ts";
import { labelErrors, subdomainErrors } from "#resources/validate/text.ts";

const EXPIRATION_SECONDS_MIN = 600;
const USAGES = [
  "any",
  "cert sign",
  "client auth",
  "code signing",
  "content commitment",
  "crl sign",
  "data encipherment",
  "decipher only",
  "digital signature",
  "email protection",
  "encipher only",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "key agreement",
  "key encipherment",
  "microsoft sgc",
  "netscape sgc",
  "ocsp signing",
  "s/mime",
  "server auth",
  "signing",
  "timestamping",
];

/** Labels between dots; the first one that is wrong is named. */
function partCauses(part: string, rule: (label: string) => string[], path: string): Cause[] {
  const wrong = part.split(".").find((label) => rule(label).length > 0);
  if (wrong === undefined) return [];
  return rule(wrong).map((error) =>
    invalid(path, part, `validating label ${JSON.stringify(wrong)}: ${error}`),
  );
}

/** `example.com/name`. */
function signerCauses(signer: string, path: string): Cause[] {
  if (signer === "") return [required(path)];
  const [domain = "", name, ...more] = signer.split("/");
  if (more.length > 0 || name === undefined) {
    const detail =
      "must be a fully qualified domain and path of the form 'example.com/signer-name'";
    return [invalid(path, signer, detail)];
  }
  const causes = partCauses(domain, labelErrors, path);
  if (!domain.includes(".")) {
    causes.push(
      invalid(path, domain, "should be a domain with at least two segments separated by dots"),
    );
  }
  return [...causes, ...partCauses(name, subdomainErrors, path)];
}

/** That it is a request at all; the signer reads it in full. */
function requestCauses(request: string | undefined): Cause[] {
  const pem = Buffer.from(request ?? "", "base64").toString("latin1");
  if (/-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(pem)) return [];
  const detail = "PEM block type must be CERTIFICATE REQUEST";
  return [invalid("spec.request", request ?? null, detail)];
}

function usageCauses(usages: readonly string[]): Cause[] {
  if (usages.length === 0) return [required("spec.usages")];
  const seen = new Set<string>();
  return each(usages, "spec.usages", (usage, at) => {
    const causes = USAGES.includes(usage) ? [] : [notSupported(at, usage, USAGES)];
    if (seen.has(usage)) causes.push(duplicate(at, usage));
    seen.add(usage);
    return causes;
  });
}

type Conditions = NonNullable<NonNullable<CertificateSigningRequest["status"]>["conditions"]>;

const ONLY_TRUE = ["Approved", "Denied", "Failed"];

function conditionCauses(conditions: Conditions): Cause[] {
  const at = "status.conditions";
  const seen = new Set<string>();
  const causes = each(conditions, at, ({ type, status }, index) => {
    const found = type ? [] : [required(`${index}.type`)];
    const valid = ONLY_TRUE.includes(type) ? ["True"] : ["False", "True", "Unknown"];
    found.push(...requiredWord(status, valid, `${index}.status`));
    if (seen.has(type)) found.push(duplicate(`${index}.type`, type));
    seen.add(type);
    return found;
  });
  if (!seen.has("Approved") || !seen.has("Denied")) return causes;
  const last = conditions.findLast(({ type }) => type === "Approved" || type === "Denied");
  const detail = "Approved and Denied conditions are mutually exclusive";
  return [...causes, invalid(at, last?.type, detail)];
}

/** That there is a certificate in it; who reads it parses it. */
function certificateCauses(certificate: string): Cause[] {
  const pem = Buffer.from(certificate, "base64").toString("latin1");
  if (pem.includes("-----BEGIN CERTIFICATE-----")) return [];
  const detail = "must contain at least one CERTIFICATE PEM block";
  return [invalid("status.certificate", "<certificate data>", detail)];
}

function changeCauses(
  request: CertificateSigningRequest,
  old: CertificateSigningRequest,
  subresource: string | undefined,
): Cause[] {
  const at = "status.conditions";
  const of = ({ status }: CertificateSigningRequest, type: string) =>
    (status?.conditions ?? []).filter((condition) => condition.type === type);
  const mayDecide = subresource === "approval" || subresource === undefined;
  const causes = ONLY_TRUE.flatMap((type) => {
    const next = of(request, type);
    const before = of(old, type);
    const named = `a condition of type ${JSON.stringify(type)}`;
    if (next.length < before.length) return [forbidden(at, `updates may not remove ${named}`)];
    if (mayDecide || type === "Failed") return [];
    if (next.length > before.length) return [forbidden(at, `updates may not add ${named}`)];
    if (sameValue(next, before)) return [];
    return [forbidden(at, `updates may not modify ${named}`)];
  });
  const certificate = request.status?.certificate ?? "";
  const before = old.status?.certificate ?? "";
  if (certificate === before) return causes;
  const maySign = subresource === "status" || subresource === undefined;
  if (!maySign) {
    const detail = "updates may not set certificate content";
    return [...causes, forbidden("status.certificate", detail)];
  }
  if (before === "") return [...causes, ...certificateCauses(certificate)];
  const detail = "updates may not modify existing certificate content";
  return [...causes, forbidden("status.certificate", detail)];
}

export function validateSigningRequest(
  request: CertificateSigningRequest,
  old: CertificateSigningRequest | undefined,
  subresource?: string,
): Cause[] {
  const { spec, status } = request;
  const causes = conditionCauses(status?.conditions ?? []);
  if (old) return [...causes, ...changeCauses(request, old, subresource)];
  const seconds = spec?.expirationSeconds;
  if (seconds !== undefined && seconds < EXPIRATION_SECONDS_MIN) {
    const detail = "may not specify a duration less than 600 seconds (10 minutes)";
    causes.push(invalid("spec.expirationSeconds", seconds, detail));
  }
  const signer = spec?.signerName ?? "";
  const legacy = signer === "kubernetes.io/legacy-unknown";
  const refused = "the legacy signerName is not allowed via this API version";
  return [
    ...requestCauses(spec?.request),
    ...usageCauses(spec?.usages ?? []),
    ...(legacy
      ? [invalid("spec.signerName", signer, refused)]
      : signerCauses(signer, "spec.signerName")),
    ...causes,
  ];
}
