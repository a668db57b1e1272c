/** Who may do what: a chain of authorizers, the first with an opinion wins. */
import type { Annotate, Core, UserInfo } from "#api/core.ts";
import { type ApiError, refuse } from "#api/errors.ts";

/** One question, of a resource or of a path. */
export interface Access {
  readonly user: UserInfo;
  readonly verb: string;
  /** Set for a path that is no resource. */
  readonly path?: string;
  readonly group?: string;
  readonly version?: string;
  readonly plural?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

export type Opinion = { verdict: "allow" | "deny" | "none"; reason?: string };

export interface AuthorizerLink {
  readonly name: string;
  decide(access: Access): Opinion | Promise<Opinion>;
}

export interface Authorizer {
  decide(access: Access): Promise<Opinion>;
  /** The decision goes into the audit log by `annotate`. @throws ApiError 403 unless allowed. */
  require(access: Access, annotate?: Annotate): Promise<void>;
}

/** https://kubernetes.io/docs/reference/labels-annotations-taints/audit-annotations/ */
const ANNOTATIONS = "authorization.k8s.io";

export const MASTERS = "system:masters";

export const isMaster = (user: UserInfo): boolean => user.groups.includes(MASTERS);

function scopeOf(access: Access): string {
  return access.namespace ? ` in the namespace "${access.namespace}"` : " at the cluster scope";
}

/** As upstream words it (apiserver endpoints/handlers/responsewriters). */
export function refusal(access: Access, reason: string | undefined): ApiError {
  const { user, verb, path, group = "", plural = "", subresource, name = "" } = access;
  const who = `User "${user.name}" cannot ${verb}`;
  const why = reason ? `: ${reason}` : "";
  if (path !== undefined) return refuse.forbiddenPath(`${who} path "${path}"${why}`);
  const resource = subresource ? `${plural}/${subresource}` : plural;
  const detail = `${who} resource "${resource}" in API group "${group}"${scopeOf(access)}${why}`;
  return refuse.forbidden(
    { group, plural: resourceShown(plural, subresource), kind: "" },
    name,
    detail,
  );
}

const resourceShown = (plural: string, subresource: string | undefined): string =>
  subresource ? `${plural}/${subresource}` : plural;

export function createAuthorizer(links: readonly AuthorizerLink[]): Authorizer {
  async function decide(access: Access): Promise<Opinion> {
    if (isMaster(access.user)) return { verdict: "allow" };
    let reason: string | undefined;
    for (const link of links) {
      const opinion = await link.decide(access);
      if (opinion.verdict !== "none") return opinion;
      reason ??= opinion.reason;
    }
    return { verdict: "none", ...(reason !== undefined && { reason }) };
  }
  return {
    decide,
    async require(access, annotate) {
      const { verdict, reason } = await decide(access);
      annotate?.(`${ANNOTATIONS}/decision`, verdict === "allow" ? "allow" : "forbid");
      annotate?.(`${ANNOTATIONS}/reason`, reason ?? "");
      if (verdict !== "allow") throw refusal(access, reason);
    },
  };
}

export type MakeLink = (core: Core) => AuthorizerLink;
