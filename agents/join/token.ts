/**
 * The token that a device joins with: `br1.CA_SHA256.ID.SECRET`. It names the cluster's CA, so that
 * nobody else on the network can pass for the server; ID and SECRET are a bootstrap token of
 * Kubernetes (kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens).
 */
import { OperatorError } from "#base/errors.ts";
import type { Random } from "#base/random.ts";

export interface JoinToken {
  /** SHA-256 of the CA certificate (DER), lower-case hex. */
  caSha256: string;
  id: string;
  secret: string;
}

const PATTERN = /^br1\.([0-9a-f]{64})\.([a-z0-9]{6})\.([a-z0-9]{16})$/;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";

export function parseToken(text: string): JoinToken {
  const match = PATTERN.exec(text.trim());
  if (match === null) {
    throw new OperatorError("--token: not a bramble token", {
      hint: "make one on the server: bramble token create",
    });
  }
  const [, caSha256 = "", id = "", secret = ""] = match;
  return { caSha256, id, secret };
}

export const formatToken = (token: JoinToken): string =>
  `br1.${token.caSha256}.${token.id}.${token.secret}`;

function draw(random: Random, length: number): string {
  let out = "";
  while (out.length < length) {
    for (const byte of random.bytes(length)) {
      // 252 is the largest multiple of 36 below 256: no letter is likelier than another.
      if (byte < 252 && out.length < length) out += ALPHABET.charAt(byte % ALPHABET.length);
    }
  }
  return out;
}

export const newToken = (caSha256: string, random: Random): JoinToken => ({
  caSha256,
  id: draw(random, 6),
  secret: draw(random, 16),
});
