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
  /** Its tokens contain audiences. Tokens of other sources are valid for the API server only. */
  readonly namesAudiences?: true;
  identify(token: string, audiences: readonly string[]): Promise<Identity | undefined>;
}

export interface Authenticator {
  /** At once where nothing has to be looked up. @throws ApiError 401. */
  authenticate(request: Request, env: RequestEnv): UserInfo | Promise<UserInfo>;
  /** Returns the user and the matching audiences. `audiences` defaults to the API server's. */
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

/** Returns the audiences that both lists contain; undefined if there are none. */
export function sharedAudiences(
  has: readonly string[],
  asked: readonly string[],
): readonly string[] | undefined {
  if (has === asked) return has;
  const shared = has.filter((audience) => asked.includes(audience));
  return shared.length > 0 ? shared : undefined;
}

export interface AuthenticatorParts {
  /** Static tokens, which need no lookup. Another one may take the place of one at any time. */
  readonly fixed: Pick<ReadonlyMap<string, UserInfo>, "get">;
  readonly sources: readonly TokenSource[];
  readonly vouches: Vouches;
  /** The API server's own. */
  readonly audiences: readonly string[];
}

export function createAuthenticator(parts: AuthenticatorParts): Authenticator {
  const { sources, vouches, audiences: own } = parts;
  const known = (token: string): UserInfo | undefined => {
    const user = parts.fixed.get(token);
    return user && withGroup(user);
  };

  async function identify(
    token: string,
    asked: readonly string[] = own,
  ): Promise<Identity | undefined> {
    const shared = sharedAudiences(own, asked);
    const user = known(token);
    if (user !== undefined) return shared && { user, audiences: shared };
    for (const source of sources) {
      if (shared === undefined && source.namesAudiences !== true) continue;
      const identity = await source.identify(token, asked);
      if (identity === undefined) continue;
      const audiences = identity.audiences ?? shared ?? [];
      return { user: withGroup(identity.user), audiences };
    }
    return undefined;
  }

  function byToken(request: Request): UserInfo | Promise<UserInfo> {
    const token = bearerOf(request);
    if (token === undefined) throw refuse.unauthorized();
    return known(token) ?? byUnknown(token);
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
