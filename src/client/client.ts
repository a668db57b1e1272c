/**
 * The one way to the API, for controllers, scheduler, command line and agents: typed calls over one
 * Fetch. In the server it is the app itself, on a node the network.
 */
import type { Kind } from "#resources/kind.ts";
import type { ApiObject, Ref, Stored } from "#resources/meta.ts";
import type { Json } from "#resources/types.gen.ts";

export type Fetch = (request: Request) => Promise<Response>;

export interface ListQuery {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  limit?: number;
  continue?: string;
  resourceVersion?: string;
  /** Ask for PartialObjectMetadata: only apiVersion, kind and metadata are there. */
  metadataOnly?: boolean;
}

export interface List<T extends ApiObject> {
  items: Array<Stored<T>>;
  resourceVersion: string;
  continue?: string;
}

export type PatchType = "merge" | "json" | "strategic" | "apply";

export interface WriteOptions {
  subresource?: string;
  dryRun?: boolean;
  fieldManager?: string;
  force?: boolean;
}

export interface DeleteOptions {
  uid?: string;
  resourceVersion?: string;
  gracePeriodSeconds?: number;
  propagationPolicy?: "Background" | "Foreground" | "Orphan";
}

export interface WatchEvent<T extends ApiObject> {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  object: Stored<T>;
}

export interface WatchQuery extends ListQuery {
  signal: AbortSignal;
}

export interface UnchangedQuery {
  namespace: string;
  resourceVersion: string;
}

/**
 * Whole lists, and watches from a revision, of a server in the same process. Objects come without
 * managedFields and are shared: never change them. Errors carry the `status` that the server would
 * have answered.
 */
export interface DirectReads {
  list(kind: Kind, query: ListQuery): Promise<List<ApiObject>>;
  watch(
    kind: Kind,
    query: WatchQuery & { resourceVersion: string },
  ): AsyncIterable<WatchEvent<ApiObject>>;
  unchanged(kind: Kind, query: UnchangedQuery): Promise<boolean>;
}

/**
 * All calls throw StatusError for an answer of 400 and above, but `get` answers undefined for a
 * 404.
 */
export interface Client {
  get<T extends ApiObject>(kind: Kind<T>, ref: Ref): Promise<Stored<T> | undefined>;
  list<T extends ApiObject>(kind: Kind<T>, query?: ListQuery): Promise<List<T>>;
  create<T extends ApiObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<Stored<T>>;
  update<T extends ApiObject>(kind: Kind<T>, object: T, options?: WriteOptions): Promise<Stored<T>>;
  patch<T extends ApiObject>(
    kind: Kind<T>,
    ref: Ref,
    type: PatchType,
    body: Json | object,
    options?: WriteOptions,
  ): Promise<Stored<T>>;
  delete<T extends ApiObject>(kind: Kind<T>, ref: Ref, options?: DeleteOptions): Promise<void>;
  /** Deletes all objects of a kind in a namespace (deletecollection). */
  deleteAll(kind: Kind, query: ListQuery, options?: DeleteOptions): Promise<void>;
  /** POST to a subresource that takes another kind (binding, eviction, token). */
  post(kind: Kind, ref: Ref, subresource: string, body: object): Promise<Json>;
  /**
   * Ends when the server ends it or the signal aborts; throws StatusError 410 where it must list
   * again.
   */
  watch<T extends ApiObject>(kind: Kind<T>, query: WatchQuery): AsyncIterable<WatchEvent<T>>;
  /**
   * Whether nothing of the kind changed in the namespace after the revision, up to now; costs no
   * list. False where only a list can tell: the server is another process, or has forgotten.
   */
  unchanged(kind: Kind, query: UnchangedQuery): Promise<boolean>;
  /**
   * GET of any path with its query: what no kind describes (metrics, scale of a custom resource).
   */
  read(path: string): Promise<Json>;
  /** Anything else: the path with its query. */
  fetch: Fetch;
}

/** An answer of 400 and above. `reason` is Kubernetes' StatusReason (`NotFound`, `Conflict`, …). */
export class StatusError extends Error {
  override name = "StatusError";
  readonly code: number;
  readonly reason: string;
  readonly retryAfterSeconds: number | undefined;
  constructor(code: number, reason: string, message: string, retryAfterSeconds?: number) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export const isConflict = (e: unknown): boolean => e instanceof StatusError && e.code === 409;
export const isNotFound = (e: unknown): boolean => e instanceof StatusError && e.code === 404;
export const isGone = (e: unknown): boolean => e instanceof StatusError && e.code === 410;
