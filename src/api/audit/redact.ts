/** Removes credentials from audit events. The audit policy cannot switch this off. */
import type { Target } from "#api/target.ts";
import { percentDecoded } from "#base/percent.ts";

/** Names of query parameters that usually hold a credential. */
const SECRET_NAME =
  /token|passw|pwd|secret|api[._-]?key|auth|credential|signature|bearer|session|jwt|code_verifier/i;
/** Join tokens of bramble and signed tokens (JWT). */
const TOKEN = /br1\.[0-9a-f]{64}\.[a-z0-9]{6}\.[a-z0-9]{16}|(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+/g;
/** Applied to non-resource paths only, because names of objects may have the same form. */
const BOOTSTRAP_TOKEN = /(?<![a-z0-9])[a-z0-9]{6}\.[a-z0-9]{16}(?![a-z0-9])/g;

const HIDDEN = "***";

/** Decodes the name as the receiver does. Keeps a name that cannot be decoded. */
const isSecret = (name: string): boolean => SECRET_NAME.test(percentDecoded(name) ?? name);

/** Hides the whole value of a secret parameter, including a `?` in it. */
function hideParameters(uri: string): string {
  const start = uri.indexOf("?");
  if (start < 0) return uri;
  let shown = uri.slice(0, start);
  let hiding = false;
  for (const [part] of uri.slice(start).matchAll(/[?&;#][^?&;#]*/g)) {
    if (hiding && part.startsWith("?")) continue;
    const end = part.indexOf("=");
    hiding = end > 0 && isSecret(part.slice(1, end));
    shown += hiding ? `${part.slice(0, end + 1)}${HIDDEN}` : part;
  }
  return shown;
}

/** Returns path and query without credentials, for the log. */
export function withoutCredentials(uri: string, isResource: boolean): string {
  const shown = hideParameters(uri).replace(TOKEN, HIDDEN);
  return isResource ? shown : shown.replace(BOOTSTRAP_TOKEN, HIDDEN);
}

const CREDENTIALS: ReadonlySet<string> = new Set([
  "/secrets",
  "/serviceaccounts/token",
  "authentication.k8s.io/tokenreviews",
]);
/** The API server only forwards the data of these subresources. */
const PASSED_ON: ReadonlySet<string> = new Set(["proxy", "exec", "attach", "portforward"]);

/** True if the request and response bodies may be logged. */
export function hasOpenBody(target: Target | undefined): boolean {
  if (target === undefined || PASSED_ON.has(target.subresource ?? "")) return false;
  const { group, plural, subresource } = target;
  const resource = subresource === "token" ? `${plural}/token` : plural;
  return !CREDENTIALS.has(`${group}/${resource}`);
}
