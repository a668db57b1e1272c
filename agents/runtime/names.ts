/**
 * Image references as containerd keeps them: `busybox` is `docker.io/library/busybox:latest`. Pure.
 */

const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const DOMAIN = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?$`);
const PATH = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}$/;
const NAME_LENGTH_MAX = 255;

export interface ImageName {
  /** `docker.io/library/busybox`. */
  repository: string;
  /** Registry's host, with its port. */
  domain: string;
  tag: string | undefined;
  digest: string | undefined;
  /** The name that containerd keeps: with a digest, the tag is dropped. */
  full: string;
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  if (!isDomain) {
    return { domain: "docker.io", path: name.includes("/") ? name : `library/${name}` };
  }
  const path = name.slice(slash + 1);
  if (first !== "index.docker.io" && first !== "docker.io") return { domain: first, path };
  return { domain: "docker.io", path: path.includes("/") ? path : `library/${path}` };
}

/**
 * Undefined when `text` is not a reference (distribution/reference): the pod's InvalidImageName.
 */
export function parseImageName(text: string): ImageName | undefined {
  // An image id, not a repository called sha256.
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return undefined;
  const [named = "", digest, ...more] = text.split("@");
  if (more.length > 0 || (digest !== undefined && !DIGEST.test(digest))) return undefined;
  const colon = named.lastIndexOf(":");
  const hasTag = colon > named.lastIndexOf("/");
  const given = hasTag ? named.slice(colon + 1) : undefined;
  if (given !== undefined && !TAG.test(given)) return undefined;
  const name = hasTag ? named.slice(0, colon) : named;
  // A bare id is no name (upstream refuses 64 hexadecimal digits as a repository).
  if (/^[0-9a-f]{64}$/.test(name)) return undefined;
  const { domain, path } = splitDomain(name);
  const repository = `${domain}/${path}`;
  if (!DOMAIN.test(domain) || !PATH.test(path) || repository.length > NAME_LENGTH_MAX) {
    return undefined;
  }
  const tag = given ?? (digest === undefined ? "latest" : undefined);
  const full = digest === undefined ? `${repository}:${tag}` : `${repository}@${digest}`;
  return { repository, domain, tag, digest, full };
}
