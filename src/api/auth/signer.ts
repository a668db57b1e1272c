/**
 * Signs and checks the tokens of service accounts (ES256). Only here the private key is touched.
 */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import {
  calculateJwkThumbprint,
  decodeProtectedHeader,
  exportJWK,
  importPKCS8,
  importSPKI,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from "jose";
import type { Clock } from "#base/clock.ts";

export interface KeyPems {
  readonly privatePem: string;
  readonly publicPem: string;
}

export interface Signer {
  sign(payload: JWTPayload): Promise<string>;
  /** The payload of a token that we signed and that is good now; undefined for any other. */
  verify(token: string): Promise<JWTPayload | undefined>;
  /** Public keys, for `/openid/v1/jwks`. */
  jwks(): Promise<{ keys: JWK[] }>;
}

const ALG = "ES256";

/** A key that dies with the process: for tests. */
function ephemeral(): KeyPems {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return {
    privatePem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

async function open({ privatePem, publicPem }: KeyPems) {
  const publicJwk = await exportJWK(createPublicKey(publicPem));
  return {
    privateKey: await importPKCS8(privatePem, ALG),
    publicKey: await importSPKI(publicPem, ALG),
    publicJwk,
    kid: await calculateJwkThumbprint(publicJwk),
  };
}

export function createSigner(pems: KeyPems | undefined, clock: Clock): Signer {
  let opened: ReturnType<typeof open> | undefined;
  const keys = (): ReturnType<typeof open> => {
    opened ??= open(pems ?? ephemeral());
    return opened;
  };
  return {
    async sign(payload) {
      const { privateKey, kid } = await keys();
      return new SignJWT(payload).setProtectedHeader({ alg: ALG, kid }).sign(privateKey);
    },
    async verify(token) {
      const { publicKey, kid } = await keys();
      try {
        // Tokens of others (each request of a node has one) cost no check of a signature.
        if (decodeProtectedHeader(token).kid !== kid) return undefined;
        const options = { algorithms: [ALG], currentDate: new Date(clock.now()) };
        return (await jwtVerify(token, publicKey, options)).payload;
      } catch {
        // Whatever is wrong with it, it is no token of ours.
        return undefined;
      }
    },
    async jwks() {
      const { publicJwk, kid } = await keys();
      return { keys: [{ ...publicJwk, kid, alg: ALG, use: "sig" }] };
    },
  };
}
