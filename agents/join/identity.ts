/**
 * A node is its key: made on the device, never sent. The node signs short-lived tokens with it; the
 * server knows the public half since the node joined.
 */
import { createPrivateKey } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";
import type { Clock } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { writeDurably } from "#base/files.ts";

export interface NodeIdentity {
  readonly publicKey: JWK;
  /** The private key, PKCS #8. */
  readonly keyPem: string;
  /** What keys for this device alone are made from. Never leaves it. */
  readonly secret: string;
  /** A bearer token for the API, valid for some minutes; made anew when the last one ages. */
  token(): Promise<string>;
}

export const NODE_TOKEN_ISSUER = "bramble-node";
const TOKEN_LIFE_S = 600;
const TOKEN_RENEW_MS = 300_000;

async function loadKey(path: string): Promise<JWK> {
  if (existsSync(path)) {
    try {
      return JSON.parse(readFileSync(path, "utf8")) as JWK;
    } catch (cause) {
      throw new OperatorError(`${path} is damaged`, {
        cause,
        hint: "remove it and join again with a new token",
      });
    }
  }
  const pair = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(pair.privateKey);
  writeDurably(path, JSON.stringify(jwk));
  return jwk;
}

/** Opens or makes the key in `dir`. */
export async function openIdentity(options: {
  dir: string;
  nodeName: string;
  clock: Clock;
}): Promise<NodeIdentity> {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  const jwk = await loadKey(join(options.dir, "node-key.json"));
  const key = await importJWK(jwk, "ES256");
  const { d: secret = "", ...publicKey } = jwk;
  let current: { token: string; atMs: number } | undefined;

  async function sign(): Promise<string> {
    const seconds = Math.floor(options.clock.now() / 1000);
    return new SignJWT({})
      .setProtectedHeader({ alg: "ES256", kid: options.nodeName })
      .setIssuer(NODE_TOKEN_ISSUER)
      .setSubject(`system:node:${options.nodeName}`)
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + TOKEN_LIFE_S)
      .sign(key);
  }

  return {
    publicKey,
    secret,
    keyPem: createPrivateKey({ key: { ...jwk }, format: "jwk" })
      .export({ type: "pkcs8", format: "pem" })
      .toString(),
    async token() {
      const now = options.clock.now();
      // Also after the clock was set right: a token of 1970 is none.
      if (current === undefined || Math.abs(now - current.atMs) > TOKEN_RENEW_MS) {
        current = { token: await sign(), atMs: now };
      }
      return current.token;
    },
  };
}
