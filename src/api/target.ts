/** Paths of the resource API, taken apart by hand: this runs for every request. */
import { refuse } from "#api/errors.ts";
import { percentDecoded } from "#base/percent.ts";

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

/**
 * A path has one meaning for the authorizer, for us and for the servers behind us. A decoded slash
 * would be a separator for some of them and part of a name for others.
 *
 * @throws ApiError 400, 404
 */
function decode(segment: string): string {
  if (!segment.includes("%")) return segment;
  const text = percentDecoded(segment);
  if (text === undefined) {
    throw refuse.badRequest(`malformed percent-encoding in the path: ${JSON.stringify(segment)}`);
  }
  if (text.includes("/") || text === "." || text === "..") throw refuse.noPath();
  return text;
}

/**
 * `/api/v1/…` or `/apis/GROUP/VERSION/…` below a group-version; undefined for anything else. A
 * namespace is itself a resource: `/api/v1/namespaces/x/status` has no namespaced resource called
 * status.
 *
 * @throws ApiError 400, 404 for a path with a segment that is malformed, or empty in the middle.
 */
export function parseTarget(path: string): Target | undefined {
  const parts = path.split("/");
  const segment = (index: number): string => decode(parts[index] ?? "");
  const core = parts[1] === "api";
  if (!core && parts[1] !== "apis") return undefined;
  const group = core ? "" : segment(2);
  let at = core ? 2 : 3;
  const version = segment(at++);
  if (version === "" || (!core && group === "")) return undefined;
  const watch = segment(at) === "watch";
  if (watch) at++;
  let namespace: string | undefined;
  const scoped = segment(at) === "namespaces" && segment(at + 2) !== "";
  if (scoped && !(core && namespaceSubresources.has(segment(at + 2)))) {
    namespace = segment(at + 1);
    at += 2;
  }
  const plural = segment(at++);
  if (plural === "") return undefined;
  const name = segment(at++);
  const subresource = segment(at++);
  const more = parts.slice(at);
  if (more.length > 0 && subresource !== "proxy" && more.join("") !== "") return undefined;
  if (namespace === "" || (subresource !== "" && (name === "" || watch))) throw refuse.noPath();
  const target: Draft = { group, version, plural };
  if (namespace !== undefined) target.namespace = namespace;
  if (name) target.name = name;
  if (subresource) target.subresource = subresource;
  if (subresource === "proxy") target.rest = more.length === 0 ? "" : `/${more.join("/")}`;
  if (watch) target.watch = watch;
  return target;
}

const namespaceSubresources = new Set(["status", "finalize"]);
