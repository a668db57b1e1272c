/** Paths of the resource API, taken apart by hand: this runs for every request. */
export interface Target {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
  /** What follows `…/proxy`, with its leading slash, still encoded; "" without one. */
  readonly rest?: string;
  /** The old `/watch/` prefix. */
  readonly watch?: true;
}

type Draft = { -readonly [Field in keyof Target]: Target[Field] };

const decode = (segment: string): string =>
  segment.includes("%") ? decodeURIComponent(segment) : segment;

/**
 * `/api/v1/…` or `/apis/GROUP/VERSION/…` below a group-version; undefined for anything else. A
 * namespace is itself a resource: `/api/v1/namespaces/x/status` has no namespaced resource called
 * status.
 */
export function parseTarget(path: string): Target | undefined {
  const parts = path.split("/");
  const core = parts[1] === "api";
  if (!core && parts[1] !== "apis") return undefined;
  const group = core ? "" : (parts[2] ?? "");
  let at = core ? 2 : 3;
  const version = parts[at++];
  if (version === undefined || version === "") return undefined;
  const watch = parts[at] === "watch";
  if (watch) at++;
  let namespace: string | undefined;
  const scoped = parts[at] === "namespaces" && (parts[at + 2] ?? "") !== "";
  if (scoped && !(core && namespaceSubresources.has(parts[at + 2] ?? ""))) {
    namespace = decode(parts[at + 1] ?? "");
    at += 2;
  }
  const plural = parts[at++];
  if (plural === undefined || plural === "") return undefined;
  const name = parts[at++];
  const subresource = parts[at++];
  const more = parts.slice(at);
  if (more.length > 0 && subresource !== "proxy" && more.join("") !== "") return undefined;
  const target: Draft = { group, version, plural: decode(plural) };
  if (namespace !== undefined) target.namespace = namespace;
  if (name) target.name = decode(name);
  if (subresource) target.subresource = decode(subresource);
  if (subresource === "proxy") target.rest = more.length === 0 ? "" : `/${more.join("/")}`;
  if (watch) target.watch = watch;
  return target;
}

const namespaceSubresources = new Set(["status", "finalize"]);
