/**
 * Who asks: bearer tokens of every sort, one after the other. Certificates come from the listener.
 */
import type { RequestEnv, UserInfo } from "#api/core.ts";
import { refuse } from "#api/errors.ts";

export interface Identity {
  readonly user: UserInfo;
  /** Audiences that the token is good for; absent: the API server's own. */
  readonly audiences?: readonly string[];
}

/** One sort of token: undefined for a token that is not of its sort, or no longer good. */
export interface TokenSource {
  readonly name: string;
  identify(token: string, audiences?: readonly string[]): Promise<Identity | undefined>;
}

export interface Authenticator {
  /** At once where nothing has to be looked up. @throws ApiError 401. */
  authenticate(request: Request, env: RequestEnv): UserInfo | Promise<UserInfo>;
  identify(token: string, audiences?: readonly string[]): Promise<Identity | undefined>;
}

/** Whether a certificate's user may be who its subject says, beside that its signer said so. */
export type Vouches = (user: UserInfo, key: string | undefined) => Promise<boolean>;

const AUTHENTICATED = "system:authenticated";

/** One user of many requests stays one: others remember by it what they made out. */
const grouped = new WeakMap<UserInfo, UserInfo>();

function withGroup(user: UserInfo): UserInfo {
  if (user.groups.includes(AUTHENTICATED)) return user;
  let known = grouped.get(user);
  if (known === undefined) {
    known = { ...user, groups: [...user.groups, AUTHENTICATED] };
    grouped.set(user, known);
  }
  return known;
}

/** The bearer token of a request; browsers can send one with a WebSocket only as a subprotocol. */
export function bearerOf(request: Request): string | undefined {
  const header = request.headers.get("authorization");
  if (header !== null) {
    if (header.length < 8 || header.slice(0, 7).toLowerCase() !== "bearer ") return undefined;
    return header.slice(7).trim();
  }
  const protocols = request.headers.get("sec-websocket-protocol");
  const prefix = "base64url.bearer.authorization.k8s.io.";
  const carried = protocols
    ?.split(",")
    .map((each) => each.trim())
    .find((each) => each.startsWith(prefix));
  if (carried === undefined) return undefined;
  return Buffer.from(carried.slice(prefix.length), "base64url").toString();
}

/** Tokens known from the start: they need no look-up. */
export function createAuthenticator(
  fixed: ReadonlyMap<string, UserInfo>,
  sources: readonly TokenSource[],
  vouches: Vouches,
): Authenticator {
  const known = new Map([...fixed].map(([token, user]) => [token, withGroup(user)]));

  async function identify(
    token: string,
    audiences?: readonly string[],
  ): Promise<Identity | undefined> {
    const user = known.get(token);
    if (user !== undefined) return { user };
    for (const source of sources) {
      const identity = await source.identify(token, audiences);
      if (identity === undefined) continue;
      const user = withGroup(identity.user);
      return user === identity.user ? identity : { ...identity, user };
    }
    return undefined;
  }

  function byToken(request: Request): UserInfo | Promise<UserInfo> {
    const token = bearerOf(request);
    if (token === undefined) throw refuse.unauthorized();
    return known.get(token) ?? byUnknown(token);
  }

  async function byUnknown(token: string): Promise<UserInfo> {
    const user = (await identify(token))?.user;
    if (user === undefined) throw refuse.unauthorized();
    return user;
  }

  async function byCertificate(shown: UserInfo, request: Request, key: string | undefined) {
    return (await vouches(shown, key)) ? withGroup(shown) : byToken(request);
  }

  return {
    identify,
    authenticate(request, { certificateUser: shown, certificateKey: key }) {
      // A certificate is looked at first, as upstream does.
      return shown === undefined ? byToken(request) : byCertificate(shown, request, key);
    },
  };
}
