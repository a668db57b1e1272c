/**
 * Whom a client's certificate names: its common name is the user, its organizations are the groups.
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates
 */
import type { KeyObject } from "node:crypto";
import type { JWK } from "jose";
import type { UserInfo } from "#api/core.ts";

/** What the handshake found out about the other side. */
export interface Peer {
  /** The certificate is signed by the cluster's authority, in time, and meant for clients. */
  readonly authorized: boolean;
  /** Fields of its subject; those that come more than once are lists. */
  readonly subject: Readonly<Record<string, string | readonly string[] | undefined>> | undefined;
  readonly notAfterMs: number;
  /** SHA-256 of the certificate, hexadecimal with or without colons. */
  readonly fingerprint: string;
  publicKey(): KeyObject;
}

export interface CertificateUser {
  readonly user: UserInfo;
  /** See `pointOf`; undefined for a key of another sort. */
  readonly key: string | undefined;
  readonly notAfterMs: number;
}

/** The point on the curve that a key of P-256 is, as text; undefined for a key of another sort. */
export function pointOf({ crv, x, y }: JWK): string | undefined {
  return crv === "P-256" && x !== undefined && y !== undefined ? `${x}.${y}` : undefined;
}

/** By which an audit tells one certificate of a user from the next one. */
const CREDENTIAL_ID = "authentication.kubernetes.io/credential-id";

/** Undefined for a certificate that names nobody, or that nobody vouches for. */
export function certificateUser(peer: Peer): CertificateUser | undefined {
  const { CN: name, O: organizations } = peer.subject ?? {};
  if (!peer.authorized || typeof name !== "string" || name === "") return undefined;
  const groups = [organizations ?? []].flat();
  const key = pointOf(peer.publicKey().export({ format: "jwk" }));
  const hash = peer.fingerprint.replaceAll(":", "").toLowerCase();
  const user = { name, groups, extra: { [CREDENTIAL_ID]: [`X509SHA256=${hash}`] } };
  return { user, key, notAfterMs: peer.notAfterMs };
}
