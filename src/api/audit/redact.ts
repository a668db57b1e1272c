/** What the audit log leaves out, whatever its policy asks for: credentials. */
import type { Target } from "#api/target.ts";

/** Names of parameters by which clients of all sorts hand over a credential. */
const SECRET_NAME =
  /token|passw|pwd|secret|api[._-]?key|auth|credential|signature|bearer|session|jwt|code_verifier/i;
/** Join tokens of bramble and signed tokens (JWT). */
const TOKEN = /br1\.[0-9a-f]{64}\.[a-z0-9]{6}\.[a-z0-9]{16}|(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]+/g;
/** Names of objects can look the same: only for paths that are no resource. */
const BOOTSTRAP_TOKEN = /(?<![a-z0-9])[a-z0-9]{6}\.[a-z0-9]{16}(?![a-z0-9])/g;

const HIDDEN = "***";

/** A name with escapes is read as its receiver reads it; one that cannot be decoded as it is. */
function isSecret(name: string): boolean {
  try {
    return SECRET_NAME.test(decodeURIComponent(name));
  } catch {
    return SECRET_NAME.test(name);
  }
}

/** Values of secret parameters end with the parameter; a `?` is part of them. */
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

/** Path and query of a request as the log has them. */
export function withoutCredentials(uri: string, isResource: boolean): string {
  const shown = hideParameters(uri).replace(TOKEN, HIDDEN);
  return isResource ? shown : shown.replace(BOOTSTRAP_TOKEN, HIDDEN);
}

const CREDENTIALS: ReadonlySet<string> = new Set([
  "/secrets",
  "/serviceaccounts/token",
  "authentication.k8s.io/tokenreviews",
]);
/** What passes through these is for somebody else than the API. */
const PASSED_ON: ReadonlySet<string> = new Set(["proxy", "exec", "attach", "portforward"]);

/** Whether a request and its answer may be written with their bodies. */
export function hasOpenBody(target: Target | undefined): boolean {
  if (target === undefined || PASSED_ON.has(target.subresource ?? "")) return false;
  const { group, plural, subresource } = target;
  const resource = subresource === "token" ? `${plural}/token` : plural;
  return !CREDENTIALS.has(`${group}/${resource}`);
}
