/**
 * A node is its key, whose public half it handed in when it joined: it signs tokens with it, and
 * has a certificate for it.
 */
import { decodeJwt, decodeProtectedHeader, importJWK, type JWK, jwtVerify } from "jose";
import {
  type Identity,
  sharedAudiences,
  type TokenSource,
  type Vouches,
} from "#api/auth/authenticate.ts";
import { BoundedMap } from "#api/auth/cache.ts";
import { peek } from "#api/codec.ts";
import { pointOf } from "#api/wire/identity.ts";
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Secret } from "#resources/types.gen.ts";
import type { Item, Store } from "#store/store.ts";

const ISSUER = "bramble-node";
const ALG = "ES256";
/** Clocks of small devices are wrong for a while after they start. */
const CLOCK_TOLERANCE_S = 300;

const secretKey = (nodeName: string): string =>
  `core/secrets/kube-system/${nodeName}.node-key.bramble`;

const PREFIX = "system:node:";
const GROUP = "system:nodes";

/** @throws for a Secret that holds none. */
const keyIn = (item: Item): JWK =>
  JSON.parse(Buffer.from(peek<Secret>(item).data?.["key"] ?? "", "base64").toString()) as JWK;

/**
 * A node that was removed, or whose name another device has now, is none any more, though the end
 * of its certificate is hours away.
 */
export function nodeCertificates(store: Store): Vouches {
  const points = new WeakMap<Item, string | undefined>();

  function point(item: Item): string | undefined {
    if (points.has(item)) return points.get(item);
    let found: string | undefined;
    try {
      found = pointOf(keyIn(item));
    } catch {
      // A Secret that holds no key vouches for nobody.
    }
    points.set(item, found);
    return found;
  }

  return async ({ name, groups }, key) => {
    if (!groups.includes(GROUP) && !name.startsWith(PREFIX)) return true;
    if (key === undefined || !name.startsWith(PREFIX)) return false;
    const item = await store.get(secretKey(name.slice(PREFIX.length)));
    return item !== undefined && point(item) === key;
  };
}

function nodeNameIn(token: string): string | undefined {
  try {
    const { kid, alg } = decodeProtectedHeader(token);
    if (alg !== ALG || typeof kid !== "string" || !/^[a-z0-9][a-z0-9.-]{0,252}$/.test(kid)) {
      return undefined;
    }
    return decodeJwt(token).iss === ISSUER ? kid : undefined;
  } catch {
    return undefined;
  }
}

interface Verified {
  readonly nodeName: string;
  /** One object for all requests: others remember by it what they made out. */
  readonly identity: Identity;
  readonly expiresMs: number;
  /** The Secret as it was: another key makes the token worthless. */
  readonly item: Item;
}

const identityOf = (nodeName: string): Identity => ({
  user: { name: `${PREFIX}${nodeName}`, groups: [GROUP, "system:authenticated"] },
});

/** `audiences` are the API server's. A token for other audiences only is rejected. */
export function nodeTokens(store: Store, clock: Clock, audiences: readonly string[]): TokenSource {
  const verified = new BoundedMap<string, Verified>(limits.tokenCacheEntries);

  async function verify(token: string, nodeName: string, item: Item): Promise<number | undefined> {
    try {
      const { payload } = await jwtVerify(token, await importJWK(keyIn(item), ALG), {
        algorithms: [ALG],
        issuer: ISSUER,
        subject: `${PREFIX}${nodeName}`,
        currentDate: new Date(clock.now()),
        clockTolerance: CLOCK_TOLERANCE_S,
        requiredClaims: ["exp"],
      });
      const { exp = 0, aud } = payload;
      const isOurs = aud === undefined || sharedAudiences([aud].flat(), audiences) !== undefined;
      return isOurs ? exp * 1000 : undefined;
    } catch {
      return undefined;
    }
  }

  return {
    name: "Node",
    async identify(token) {
      const known = verified.get(token);
      const nodeName = known?.nodeName ?? nodeNameIn(token);
      if (nodeName === undefined) return undefined;
      const item = await store.get(secretKey(nodeName));
      if (item === undefined) return undefined;
      const still = known !== undefined && known.item === item;
      if (still && known.expiresMs + CLOCK_TOLERANCE_S * 1000 > clock.now()) {
        return known.identity;
      }
      const expiresMs = await verify(token, nodeName, item);
      if (expiresMs === undefined) return undefined;
      const identity = identityOf(nodeName);
      verified.set(token, { nodeName, identity, expiresMs, item });
      return identity;
    },
  };
}
