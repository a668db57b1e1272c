/** What every part of the API server shares: who asks, for what, and the parts that answer. */
import type { Admission } from "#api/admission.ts";
import type { Authenticator } from "#api/auth/authenticate.ts";
import type { Authorizer } from "#api/auth/authorize.ts";
import type { Roles } from "#api/auth/roles.ts";
import type { Signer } from "#api/auth/signer.ts";
import type { OutboundNetwork } from "#api/endpoints.ts";
import type { NodeLinks, NodeUsages } from "#api/nodes.ts";
import type { Registry, Resource } from "#api/registry.ts";
import type { Runs } from "#api/runs.ts";
import type { Settings } from "#api/settings.ts";
import type { Target } from "#api/target.ts";
import type { Views } from "#api/views.ts";
import type { Channel } from "#base/channel.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Store, Term } from "#store/store.ts";

export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** What comes with a request beside it; a socket can fill none of it by itself. */
export interface RequestEnv {
  /** Set by callers in this process: the request needs no token. */
  readonly user?: UserInfo;
  /** Set by the leader among several servers: what it writes, it writes only while it leads. */
  readonly term?: Term;
  /** Set by the listener, which knows the client's certificate, if it can. */
  readonly certificateUser?: UserInfo | undefined;
  /** That certificate's public key, where it is one of the sort that nodes have. */
  readonly certificateKey?: string | undefined;
  readonly remoteAddress?: string | undefined;
  /**
   * Takes the connection over as a WebSocket; undefined where that is not possible. After it, the
   * answer of `fetch` is ignored.
   */
  upgrade?(protocol: string | undefined): Channel | undefined;
  /** The same for a protocol of its own on bare bytes; `more` are headers of the answer. */
  switchTo?(protocol: string, more: Readonly<Record<string, string>>): Channel | undefined;
}

export type Verb =
  | "get"
  | "list"
  | "watch"
  | "create"
  | "update"
  | "patch"
  | "delete"
  | "deletecollection";

/** Notes something of a request for the audit log; of each key the first word counts. */
export type Annotate = (key: string, value: string) => void;

/** One request of the resource API on its way. */
export interface Call {
  readonly request: Request;
  readonly env: RequestEnv;
  readonly user: UserInfo;
  readonly verb: Verb;
  readonly target: Target;
  readonly resource: Resource;
  readonly query: URLSearchParams;
  /** Sent as `Warning: 299` headers. */
  readonly warnings: string[];
  /** Where there is an audit log. */
  readonly annotate?: Annotate;
}

export interface Core {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly nodeLinks: NodeLinks;
  readonly network: OutboundNetwork;
  /** What nodes said last of their use. */
  readonly usages: NodeUsages;
  readonly settings: Settings;
  readonly admission: Admission;
  readonly authenticator: Authenticator;
  readonly authorizer: Authorizer;
  readonly roles: Roles;
  /** Signs tokens of service accounts. */
  readonly signer: Signer;
  readonly views: Views;
  /** Of lists that were sent. */
  readonly runs: Runs;
}

let lastSecond = Number.NaN;
let lastText = "";

/** RFC 3339 with whole seconds, as `metadata.creationTimestamp` has it. Made once a second. */
export function timestamp(nowMs: number): string {
  const second = Math.floor(nowMs / 1000);
  if (second !== lastSecond) {
    lastText = `${new Date(second * 1000).toISOString().slice(0, 19)}Z`;
    lastSecond = second;
  }
  return lastText;
}
