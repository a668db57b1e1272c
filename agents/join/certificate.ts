/**
 * The node's certificate: asked for with its own key by a CertificateSigningRequest, and again well
 * before its end. Beside it lies a kubeconfig that names both, for programs on the node (bramble's
 * own verbs, CNI plugins, monitoring) that speak to the API in the node's name.
 * https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { nameSuffix, type Random } from "#base/random.ts";
import { requestCertificate } from "#base/x509.ts";
import type { Client } from "#client/client.ts";
import { certificateSigningRequests } from "#resources/kinds/certificatesigningrequest.ts";

export interface CertificateOptions {
  /** `node.crt` and `node.key` go here. */
  dir: string;
  nodeName: string;
  /** The node's key, PEM. */
  keyPem: string;
  client: Client;
  clock: Clock;
  random: Random;
  log: Log;
  signal: AbortSignal;
}

const SIGNER = "kubernetes.io/kube-apiserver-client-kubelet";
const LIFE_S = 24 * 3600;

export const certificatePath = (dir: string): string => join(dir, "node.crt");
export const keyPath = (dir: string): string => join(dir, "node.key");

/** The clocks of a node and its server may differ by so much of a certificate's life. */
const SKEW_MS = 60_000;

/**
 * Milliseconds until a new one is due: at two thirds of its life; at once for none of ours, and for
 * one that lives too long, made when the clock was years ahead.
 */
export function dueMs(certPem: string | undefined, keyPem: string, nowMs: number): number {
  if (certPem === undefined) return 0;
  try {
    const certificate = new X509Certificate(certPem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return 0;
    const leftMs = Date.parse(certificate.validTo) - nowMs;
    const lifeMs = LIFE_S * 1000;
    return leftMs > lifeMs + SKEW_MS ? 0 : Math.max(0, leftMs - lifeMs / 3);
  } catch {
    return 0;
  }
}

async function obtain(options: CertificateOptions): Promise<string> {
  const { nodeName, keyPem, client, clock, random, signal } = options;
  const request = requestCertificate({
    subject: { commonName: `system:node:${nodeName}`, organizations: ["system:nodes"] },
    altNames: { dns: [], ips: [] },
    key: createPrivateKey(keyPem),
  });
  const name = `node-csr-${nodeName}-${nameSuffix(random)}`;
  await client.create(certificateSigningRequests, {
    metadata: { name },
    spec: {
      request: Buffer.from(request).toString("base64"),
      signerName: SIGNER,
      expirationSeconds: LIFE_S,
      usages: ["digital signature", "client auth"],
    },
  });
  const deadline = clock.monotonic() + limits.certificateIssueMsMax;
  while (!signal.aborted && clock.monotonic() < deadline) {
    const found = await client.get(certificateSigningRequests, { name });
    const { certificate, conditions = [] } = found?.status ?? {};
    if (certificate) return Buffer.from(certificate, "base64").toString();
    const no = conditions.find(({ type }) => type === "Denied" || type === "Failed");
    if (no !== undefined) throw new Error(`${name}: ${no.type}: ${no.message ?? ""}`);
    await sleep(clock, limits.certificateLookMs, signal);
  }
  throw new Error(`${name} was not decided in time`);
}

/** Runs until the signal aborts. */
export async function keepCertificate(options: CertificateOptions): Promise<void> {
  const { dir, keyPem, clock, log, signal } = options;
  if (readText(keyPath(dir)) !== keyPem) writeDurably(keyPath(dir), keyPem);
  while (!signal.aborted) {
    const due = dueMs(readText(certificatePath(dir)), keyPem, clock.now());
    let waitMs = Math.min(due, limits.certificateCheckMs);
    if (due === 0) {
      try {
        writeDurably(certificatePath(dir), await obtain(options));
        log.info("the node has a new certificate");
      } catch (error) {
        log.debug("no certificate for the node yet", { error: messageOf(error) });
        waitMs = limits.certificateRetryMs;
      }
    }
    await sleep(clock, waitMs, signal);
  }
}
