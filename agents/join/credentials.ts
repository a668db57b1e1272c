/**
 * How a node shows the server who it is: by its certificate, and by a token of its own where it has
 * none yet, or where the server does not take it (its clock may be past the certificate's end).
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { NodeIdentity } from "#agents/join/identity.ts";
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

/** For one request. */
export interface Credential {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: { readonly ca: string; readonly cert?: string; readonly key?: string };
  /** Whether another try can do better: a certificate is put aside for a while. */
  refused(): boolean;
}

export interface Credentials {
  current(): Promise<Credential>;
}

export function openCredentials(options: {
  identity: Pick<NodeIdentity, "keyPem" | "token">;
  caPem: string;
  /** The node's certificate as it lies on the disk, PEM. */
  certificate: () => string | undefined;
  clock: Clock;
}): Credentials {
  const { identity, caPem: ca, clock } = options;
  let asideUntilMs = Number.NEGATIVE_INFINITY;
  let read: { pem: string; endMs: number } | undefined;
  let lookedMs = Number.NEGATIVE_INFINITY;

  /** It is made anew every few hours, so the file is looked at seldom. */
  function certificate(): string | undefined {
    const nowMs = clock.monotonic();
    if (nowMs < asideUntilMs) return undefined;
    if (nowMs - lookedMs >= limits.certificateReadMs) {
      lookedMs = nowMs;
      const pem = options.certificate();
      if (pem !== read?.pem)
        read = pem === undefined ? undefined : { pem, endMs: endOf(pem, identity.keyPem) };
    }
    return read !== undefined && clock.now() < read.endMs ? read.pem : undefined;
  }

  return {
    async current() {
      const cert = certificate();
      if (cert !== undefined) {
        const refused = () => {
          asideUntilMs = clock.monotonic() + limits.certificateAsideMs;
          return true;
        };
        return { headers: {}, tls: { ca, cert, key: identity.keyPem }, refused };
      }
      const headers = { authorization: `Bearer ${await identity.token()}` };
      return { headers, tls: { ca }, refused: () => false };
    },
  };
}

/** A damaged one, or one of another key, has ended. */
function endOf(pem: string, keyPem: string): number {
  const never = Number.NEGATIVE_INFINITY;
  try {
    const certificate = new X509Certificate(pem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return never;
    return Date.parse(certificate.validTo);
  } catch {
    return never;
  }
}
