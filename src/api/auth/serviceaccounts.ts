/**
 * Tokens of service accounts: bound to an audience, a time, and what they were made for. A token
 * whose account, pod, secret or node is gone is no longer good.
 * https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/
 */
import type { JWTPayload } from "jose";
import { type Identity, sharedAudiences, type TokenSource } from "#api/auth/authenticate.ts";
import { BoundedMap } from "#api/auth/cache.ts";
import type { Signer } from "#api/auth/signer.ts";
import { peek } from "#api/codec.ts";
import type { UserInfo } from "#api/core.ts";
import type { Settings } from "#api/settings.ts";
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Store } from "#store/store.ts";

export interface Reference {
  readonly name: string;
  readonly uid?: string;
}

/** The private claim `kubernetes.io`. */
export interface Binding {
  readonly namespace: string;
  readonly serviceaccount: Reference;
  readonly pod?: Reference;
  readonly secret?: Reference;
  readonly node?: Reference;
  readonly warnafter?: number;
}

const CLAIM = "kubernetes.io";
const EXTRA = "authentication.kubernetes.io";
/** Something that is being deleted keeps its tokens this long (upstream: 60 s). */
const DELETED_LEEWAY_MS = 60_000;

export interface TokenParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly signer: Signer;
}

export const bindingOf = (payload: JWTPayload): Binding | undefined => {
  const claim = payload[CLAIM];
  return typeof claim === "object" && claim !== null ? (claim as Binding) : undefined;
};

export function userNameOf(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`;
}

export function groupsOf(namespace: string): string[] {
  return ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
}

function extraOf(payload: JWTPayload, binding: Binding): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  const { pod, node } = binding;
  if (payload.jti !== undefined) extra[`${EXTRA}/credential-id`] = [`JTI=${payload.jti}`];
  if (pod !== undefined) {
    extra[`${EXTRA}/pod-name`] = [pod.name];
    if (pod.uid !== undefined) extra[`${EXTRA}/pod-uid`] = [pod.uid];
  }
  if (node !== undefined) {
    extra[`${EXTRA}/node-name`] = [node.name];
    if (node.uid !== undefined) extra[`${EXTRA}/node-uid`] = [node.uid];
  }
  return extra;
}

/** Tokens of Secrets have no end. */
const isCurrent = ({ exp }: JWTPayload, nowMs: number): boolean =>
  exp === undefined || exp * 1000 > nowMs;

export function serviceAccountTokens(parts: TokenParts): TokenSource {
  const { store, clock, settings, signer } = parts;
  const verified = new BoundedMap<string, JWTPayload>(limits.tokenCacheEntries);
  const users = new WeakMap<JWTPayload, UserInfo>();

  async function lives(key: string, uid: string | undefined): Promise<boolean> {
    const item = await store.get(key);
    if (item === undefined) return false;
    const { metadata } = peek(item);
    if (uid !== undefined && metadata.uid !== uid) return false;
    const { deletionTimestamp } = metadata;
    if (deletionTimestamp === undefined) return true;
    return Date.parse(deletionTimestamp) + DELETED_LEEWAY_MS > clock.now();
  }

  async function stands(binding: Binding): Promise<boolean> {
    const { namespace, serviceaccount, pod, secret, node } = binding;
    const account = `core/serviceaccounts/${namespace}/${serviceaccount.name}`;
    if (!(await lives(account, serviceaccount.uid))) return false;
    if (pod !== undefined) return lives(`core/pods/${namespace}/${pod.name}`, pod.uid);
    if (secret !== undefined) return lives(`core/secrets/${namespace}/${secret.name}`, secret.uid);
    if (node !== undefined) return lives(`core/nodes/${node.name}`, node.uid);
    return true;
  }

  async function payloadOf(token: string): Promise<JWTPayload | undefined> {
    const before = verified.get(token);
    if (before !== undefined && isCurrent(before, clock.now())) return before;
    const payload = await signer.verify(token);
    if (payload === undefined || payload.iss !== settings.issuer) return undefined;
    verified.set(token, payload);
    return payload;
  }

  /** One object for all requests: others remember by it what they made out. */
  function userOf(payload: JWTPayload, binding: Binding): UserInfo {
    const known = users.get(payload);
    if (known !== undefined) return known;
    const { namespace, serviceaccount } = binding;
    const user: UserInfo = {
      name: userNameOf(namespace, serviceaccount.name),
      ...(serviceaccount.uid !== undefined && { uid: serviceaccount.uid }),
      groups: groupsOf(namespace),
      extra: extraOf(payload, binding),
    };
    users.set(payload, user);
    return user;
  }

  return {
    name: "ServiceAccount",
    namesAudiences: true,
    async identify(token, audiences): Promise<Identity | undefined> {
      const payload = await payloadOf(token);
      const binding = payload === undefined ? undefined : bindingOf(payload);
      if (payload === undefined || binding === undefined) return undefined;
      const shared = sharedAudiences([payload.aud ?? []].flat(), audiences);
      if (shared === undefined || !(await stands(binding))) return undefined;
      return { user: userOf(payload, binding), audiences: shared };
    },
  };
}
