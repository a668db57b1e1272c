/**
 * Validity of bootstrap tokens: one rule for join, authentication and TokenReview.
 * https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
 */
import { timingSafeEqual } from "node:crypto";
import type { Secret } from "#resources/types.gen.ts";

const TYPE = "bootstrap.kubernetes.io/token";
const PATTERN = /^([a-z0-9]{6})\.([a-z0-9]{16})$/;
const COUNT = /^\d{1,15}$/;

/** Fields of the Secret that are specific to bramble. */
export const TOKEN_USES = "bramble-uses";
export const TOKEN_NODE = "bramble-node";

export interface TokenParts {
  readonly id: string;
  readonly secret: string;
}

export function tokenParts(bearer: string): TokenParts | undefined {
  const [, id, secret] = PATTERN.exec(bearer) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export const tokenSecretName = (id: string): string => `bootstrap-token-${id}`;

export const tokenField = (secret: Secret, name: string): string =>
  Buffer.from(secret.data?.[name] ?? "", "base64").toString();

const equal = (a: string, b: string): boolean =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

/** True if the Secret is of this token. Does not check expiry and uses. */
export function isToken(stored: Secret, { id, secret }: TokenParts): boolean {
  return (
    stored.type === TYPE &&
    stored.metadata?.deletionTimestamp === undefined &&
    tokenField(stored, "token-id") === id &&
    equal(tokenField(stored, "token-secret"), secret) &&
    tokenField(stored, "usage-bootstrap-authentication") === "true"
  );
}

/** Treats an unreadable time as expired. */
export function isExpired(stored: Secret, nowMs: number): boolean {
  const expiration = tokenField(stored, "expiration");
  return expiration !== "" && !(Date.parse(expiration) > nowMs);
}

/** Returns the remaining joins; undefined means no limit. An unreadable count is 0. */
export function usesLeft(stored: Secret): number | undefined {
  const uses = tokenField(stored, TOKEN_USES);
  if (stored.data?.[TOKEN_USES] === undefined) return undefined;
  return COUNT.test(uses) ? Number(uses) : 0;
}
