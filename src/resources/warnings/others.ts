/** Warnings of nodes, their classes of runtimes, accounts and Secrets. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Node, RuntimeClass, Secret, ServiceAccount } from "#resources/types.gen.ts";
import { cidrWarnings } from "#resources/warnings/addresses.ts";
import { annotated } from "#resources/warnings/annotated.ts";
import { selectorWarnings } from "#resources/warnings/labels.ts";

export const runtimeClassWarnings = ({ scheduling }: RuntimeClass): string[] =>
  selectorWarnings(scheduling?.nodeSelector, () => "scheduling.nodeSelector");

export const nodeWarnings = ({ spec = {} }: Node): string[] => [
  ...(spec.configSource === undefined ? [] : ["spec.configSource: the feature is removed"]),
  ...(spec.externalID
    ? ["spec.externalID: this field is deprecated, and is unused by Kubernetes"]
    : []),
  ...(spec.podCIDRs ?? []).flatMap((cidr, i) => cidrWarnings(`spec.podCIDRs[${i}]`, cidr)),
];

const ENFORCE = "kubernetes.io/enforce-mountable-secrets";

export function accountWarnings(account: ServiceAccount, old: ServiceAccount | undefined) {
  if (!annotated(account, ENFORCE) || (old !== undefined && annotated(old, ENFORCE))) return [];
  const what = "prefer separate namespaces to isolate access to mounted secrets";
  return [`metadata.annotations[${ENFORCE}]: deprecated in v1.32+; ${what}`];
}

const textOf = (base64: string | undefined): string =>
  Buffer.from(base64 ?? "", "base64").toString();

/** Whether a certificate and its key are there and belong together; in the words of Go. */
export function secretWarnings({ type, data }: Secret): string[] {
  if (type !== "kubernetes.io/tls") return [];
  const certificate = textOf(data?.["tls.crt"]);
  const key = textOf(data?.["tls.key"]);
  const block = /-----BEGIN [^-]+-----/;
  if (!block.test(certificate)) return ["tls: failed to find any PEM data in certificate input"];
  if (!block.test(key)) return ["tls: failed to find any PEM data in key input"];
  try {
    const pair = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
    return pair ? [] : ["tls: private key does not match public key"];
  } catch {
    return ["tls: failed to parse private key"];
  }
}
