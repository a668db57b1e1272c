/**
 * Finds the credentials for an image in the pod's pull secrets.
 * https://kubernetes.io/docs/concepts/containers/images/#config-json
 */

export interface RegistryAuth {
  username: string;
  password: string;
}

interface AuthEntry {
  username?: string;
  password?: string;
  auth?: string;
}

const DOCKER_HUB = new Set(["docker.io", "index.docker.io", "registry-1.docker.io"]);

/** Registry host and repository path of an image. */
export function repositoryOf(image: string): { host: string; path: string } {
  const bare = image.replace(/@.*$/, "").replace(/:[^:/]+$/, "");
  const slash = bare.indexOf("/");
  const first = slash < 0 ? "" : bare.slice(0, slash);
  if (first.includes(".") || first.includes(":") || first === "localhost") {
    return { host: first, path: bare.slice(slash + 1) };
  }
  return { host: "docker.io", path: slash < 0 ? `library/${bare}` : bare };
}

function hostMatches(pattern: string, host: string): boolean {
  if (DOCKER_HUB.has(pattern) && DOCKER_HUB.has(host)) return true;
  const [patternHost = "", patternPort] = pattern.split(":", 2);
  const [name = "", port] = host.split(":", 2);
  if (patternPort !== port) return false;
  const wanted = patternHost.split(".");
  const parts = name.split(".");
  if (wanted.length !== parts.length) return false;
  return wanted.every((part, index) => globMatches(part, parts[index] ?? ""));
}

function globMatches(pattern: string, text: string): boolean {
  const source = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*");
  return new RegExp(`^${source}$`).test(text);
}

function entryAuth(entry: AuthEntry): RegistryAuth | undefined {
  if (entry.username !== undefined) {
    return { username: entry.username, password: entry.password ?? "" };
  }
  if (entry.auth === undefined) return undefined;
  const plain = Buffer.from(entry.auth, "base64").toString("utf8");
  const colon = plain.indexOf(":");
  if (colon < 0) return undefined;
  return { username: plain.slice(0, colon), password: plain.slice(colon + 1) };
}

/** From the text of one secret: `.dockerconfigjson` or the older `.dockercfg`. */
function entriesOf(data: ReadonlyMap<string, Uint8Array>): Record<string, AuthEntry> {
  const text = (key: string) => {
    const bytes = data.get(key);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString("utf8");
  };
  try {
    const json = text(".dockerconfigjson");
    if (json !== undefined) {
      return (JSON.parse(json) as { auths?: Record<string, AuthEntry> }).auths ?? {};
    }
    const old = text(".dockercfg");
    return old === undefined ? {} : (JSON.parse(old) as Record<string, AuthEntry>);
  } catch {
    // A secret that is no JSON helps nobody; the pull tells of the missing credentials.
    return {};
  }
}

/** The most specific entry that fits the image. */
export function registryAuth(
  image: string,
  secrets: ReadonlyArray<ReadonlyMap<string, Uint8Array>>,
): RegistryAuth | undefined {
  const { host, path } = repositoryOf(image);
  let best: { auth: RegistryAuth; length: number } | undefined;
  for (const secret of secrets) {
    for (const [key, entry] of Object.entries(entriesOf(secret))) {
      const bare = key.replace(/^https?:\/\//, "").replace(/\/(v[12]\/?)?$/, "");
      const slash = bare.indexOf("/");
      const keyHost = slash < 0 ? bare : bare.slice(0, slash);
      const keyPath = slash < 0 ? "" : bare.slice(slash + 1);
      if (!hostMatches(keyHost, host)) continue;
      if (keyPath !== "" && path !== keyPath && !path.startsWith(`${keyPath}/`)) continue;
      const auth = entryAuth(entry);
      if (auth !== undefined && (best === undefined || keyPath.length > best.length)) {
        best = { auth, length: keyPath.length };
      }
    }
  }
  return best?.auth;
}
