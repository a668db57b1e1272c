/**
 * Acting as somebody else, for who may.
 * https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
 */
import type { Authorizer } from "#api/auth/authorize.ts";
import type { UserInfo } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { percentDecoded } from "#base/percent.ts";
import { labelErrors, subdomainErrors } from "#resources/validate/text.ts";

const EXTRA = "impersonate-extra-";
const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;
const AUTHENTICATED = "system:authenticated";
const UNAUTHENTICATED = "system:unauthenticated";

interface Account {
  readonly namespace: string;
  readonly name: string;
}

/** A name that is not valid for a service account is a user name, as upstream. */
function accountOf(user: string): Account | undefined {
  const [, namespace = "", name = ""] = SERVICE_ACCOUNT.exec(user) ?? [];
  const wrong = labelErrors(namespace).length + subdomainErrors(name).length;
  return wrong === 0 ? { namespace, name } : undefined;
}

interface Wanted {
  readonly name: string;
  readonly uid: string | undefined;
  readonly groups: string[];
  readonly extra: Record<string, string[]>;
}

const listOf = (header: string | null): string[] =>
  (header ?? "")
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");

/** A key with invalid percent-encoding is used unchanged, as upstream. */
function extraOf(headers: Headers): Record<string, string[]> {
  const entries: Array<[string, string[]]> = [];
  headers.forEach((value, name) => {
    if (!name.startsWith(EXTRA)) return;
    const key = name.slice(EXTRA.length);
    const values = listOf(value);
    // The authorizer checks each value. A key without values would pass unchecked.
    if (values.length > 0) entries.push([(percentDecoded(key) ?? key).toLowerCase(), values]);
  });
  // fromEntries defines each key. An assignment to `__proto__` would hide it from the authorizer.
  return Object.fromEntries(entries);
}

function wantedOf(headers: Headers): Wanted | undefined {
  const name = headers.get("impersonate-user") ?? "";
  const groups = listOf(headers.get("impersonate-group"));
  const uid = headers.get("impersonate-uid") || undefined;
  const extra = extraOf(headers);
  if (name === "") {
    if (groups.length === 0 && uid === undefined && Object.keys(extra).length === 0) {
      return undefined;
    }
    throw refuse.badRequest("requested impersonation without impersonating a user");
  }
  return { name, uid, groups, extra };
}

async function checkAll(authorizer: Authorizer, user: UserInfo, wanted: Wanted): Promise<void> {
  const ask = (group: string, plural: string, name: string, more = {}): Promise<void> =>
    authorizer.require({ user, verb: "impersonate", group, version: "v1", plural, name, ...more });
  const account = accountOf(wanted.name);
  if (account === undefined) await ask("", "users", wanted.name);
  else await ask("", "serviceaccounts", account.name, { namespace: account.namespace });
  for (const group of wanted.groups) await ask("", "groups", group);
  if (wanted.uid !== undefined) await ask("authentication.k8s.io", "uids", wanted.uid);
  for (const [key, values] of Object.entries(wanted.extra)) {
    for (const value of values) {
      await ask("authentication.k8s.io", "userextras", value, { subresource: key });
    }
  }
}

function groupsOf({ name, groups: asked }: Wanted): string[] {
  const groups = new Set(asked);
  const account = accountOf(name);
  if (account !== undefined && asked.length === 0) {
    groups.add("system:serviceaccounts");
    groups.add(`system:serviceaccounts:${account.namespace}`);
  }
  if (!groups.has(AUTHENTICATED) && !groups.has(UNAUTHENTICATED)) {
    groups.add(name === "system:anonymous" ? UNAUTHENTICATED : AUTHENTICATED);
  }
  return [...groups];
}

/** The user to act as. @throws ApiError 403 where that is not allowed. */
export async function impersonated(
  request: Request,
  authorizer: Authorizer,
  user: UserInfo,
): Promise<UserInfo> {
  const wanted = wantedOf(request.headers);
  if (wanted === undefined) return user;
  await checkAll(authorizer, user, wanted);
  return {
    name: wanted.name,
    ...(wanted.uid !== undefined && { uid: wanted.uid }),
    groups: groupsOf(wanted),
    ...(Object.keys(wanted.extra).length > 0 && { extra: wanted.extra }),
  };
}

/** Cheap test that runs for every request. */
export const impersonates = (request: Request): boolean =>
  request.headers.has("impersonate-user") ||
  request.headers.has("impersonate-group") ||
  request.headers.has("impersonate-uid");
