/** The Client over one Fetch: paths by kind, JSON both ways, Status bodies as StatusError. */
import {
  type Client,
  type DeleteOptions,
  type DirectReads,
  type Fetch,
  isNotFound,
  type List,
  type ListQuery,
  type PatchType,
  StatusError,
  type UnchangedQuery,
  type WatchEvent,
  type WatchQuery,
  type WriteOptions,
} from "#client/client.ts";
import { readLines } from "#client/lines.ts";
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import type { ApiObject, Ref, Stored } from "#resources/meta.ts";
import type { Json } from "#resources/types.gen.ts";

export interface ClientOptions {
  /** Where there is a server in this process: its lists and watches without text in between. */
  direct?: DirectReads;
  /** Scheme, host and port; in one process any will do, as no socket is opened. */
  base?: string;
  userAgent?: string;
  /** Added to every request, as `authorization`. */
  headers?: Record<string, string>;
}

const PATCH_TYPES: Record<PatchType, string> = {
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
};

const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
const METADATA_LIST = METADATA.replace("Metadata;", "MetadataList;");

/** `/api/v1/namespaces/NS/pods/NAME/status`; the parts left out are left out of the path. */
export function pathOf(
  kind: Pick<Kind, "group" | "version" | "plural" | "namespaced">,
  ref: { namespace?: string | undefined; name?: string },
  subresource?: string,
): string {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`;
  const scope = kind.namespaced && ref.namespace ? `/namespaces/${ref.namespace}` : "";
  const name = ref.name === undefined ? "" : `/${encodeURIComponent(ref.name)}`;
  return `${root}${scope}/${kind.plural}${name}${subresource ? `/${subresource}` : ""}`;
}

function queryOf(pairs: Record<string, string | number | boolean | undefined>): string {
  const out = new URLSearchParams();
  for (const [key, value] of Object.entries(pairs)) {
    if (value !== undefined && value !== "" && value !== false) out.set(key, String(value));
  }
  return out.size === 0 ? "" : `?${out}`;
}

const listPairs = (query: ListQuery) => ({
  labelSelector: query.labelSelector,
  fieldSelector: query.fieldSelector,
  limit: query.limit,
  continue: query.continue,
  resourceVersion: query.resourceVersion,
});

const writePairs = (options: WriteOptions) => ({
  dryRun: options.dryRun ? "All" : undefined,
  fieldManager: options.fieldManager,
  force: options.force,
});

/** The error that a Status object, or an answer without one, stands for. */
function statusError(code: number, body: unknown, retryAfter?: string | null): StatusError {
  const status = (typeof body === "object" && body !== null ? body : {}) as {
    code?: number;
    reason?: string;
    message?: string;
    details?: { retryAfterSeconds?: number };
  };
  const seconds = Number(retryAfter ?? status.details?.retryAfterSeconds);
  const message =
    status.message ?? (typeof body === "string" && body !== "" ? body : `HTTP ${code}`);
  return new StatusError(
    status.code ?? code,
    status.reason ?? "",
    message,
    Number.isFinite(seconds) && seconds > 0 ? seconds : undefined,
  );
}

/** What a server in this process throws carries the Status that it would have answered. */
function refusalOf(error: unknown): unknown {
  const { status } = (error ?? {}) as { status?: { code?: unknown } };
  if (typeof status?.code === "number") return statusError(status.code, status);
  return error;
}

async function failure(response: Response): Promise<StatusError> {
  const text = await response.text().catch(() => "");
  let body: unknown = text.trim();
  try {
    body = JSON.parse(text);
  } catch {
    // Not every answer is a Status: a proxy in between sends text.
  }
  return statusError(response.status, body, response.headers.get("retry-after"));
}

/** A list's items carry no kind of their own upstream; whoever holds one wants to know it. */
function typed<T extends ApiObject>(kind: Kind<T>, list: List<T>): List<T> {
  for (const item of list.items) {
    item.kind ??= kind.kind;
    item.apiVersion ??= apiVersionOf(kind);
  }
  return list;
}

function deleteBody(how: DeleteOptions): object {
  const { uid, resourceVersion, ...rest } = how;
  const preconditions = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };
  return {
    kind: "DeleteOptions",
    apiVersion: "v1",
    ...rest,
    ...(Object.keys(preconditions).length > 0 && { preconditions }),
  };
}

function nameOf(object: ApiObject): Ref {
  const { name, namespace } = object.metadata ?? {};
  if (!name) throw new Error("an object without a name cannot be updated");
  return namespace ? { namespace, name } : { name };
}

class HttpClient implements Client {
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #direct: DirectReads | undefined;
  readonly fetch: Fetch;

  constructor(fetch: Fetch, options: ClientOptions) {
    this.fetch = fetch;
    this.#direct = options.direct;
    this.#base = options.base ?? "http://bramble.internal";
    this.#headers = {
      accept: "application/json",
      "user-agent": options.userAgent ?? "bramble",
      ...options.headers,
    };
  }

  async #send(
    method: string,
    path: string,
    options: { body?: unknown; headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<Response> {
    const { body, headers, signal } = options;
    const init: RequestInit = { method, headers: { ...this.#headers, ...headers } };
    if (body !== undefined) {
      init.body = JSON.stringify(body);
      init.headers = { ...this.#headers, "content-type": "application/json", ...headers };
    }
    if (signal !== undefined) init.signal = signal;
    const response = await this.fetch(new Request(this.#base + path, init));
    if (response.status >= 400) throw await failure(response);
    return response;
  }

  async #object<T>(method: string, path: string, body?: unknown, type?: string): Promise<T> {
    const headers = type === undefined ? {} : { "content-type": type };
    return (await (await this.#send(method, path, { body, headers })).json()) as T;
  }

  async get<T extends ApiObject>(kind: Kind<T>, ref: Ref): Promise<Stored<T> | undefined> {
    try {
      return await this.#object<Stored<T>>("GET", pathOf(kind, ref));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async list<T extends ApiObject>(kind: Kind<T>, query: ListQuery = {}): Promise<List<T>> {
    const page = query.limit !== undefined || query.continue !== undefined;
    if (this.#direct !== undefined && !page && query.resourceVersion === undefined) {
      try {
        return (await this.#direct.list(kind, query)) as List<T>;
      } catch (error) {
        throw refusalOf(error);
      }
    }
    const headers = query.metadataOnly ? { accept: METADATA_LIST } : {};
    const path = pathOf(kind, query) + queryOf(listPairs(query));
    const response = await this.#send("GET", path, { headers });
    const body = (await response.json()) as {
      items?: Array<Stored<T>> | null;
      metadata?: { resourceVersion?: string; continue?: string };
    };
    const { resourceVersion = "", continue: next } = body.metadata ?? {};
    return typed(kind, {
      items: body.items ?? [],
      resourceVersion,
      ...(next && { continue: next }),
    });
  }

  create<T extends ApiObject>(kind: Kind<T>, object: T, write: WriteOptions = {}) {
    const whole = write.subresource !== undefined && object.metadata?.name !== undefined;
    const ref = whole ? nameOf(object) : { namespace: object.metadata?.namespace };
    const path = pathOf(kind, ref, write.subresource) + queryOf(writePairs(write));
    return this.#object<Stored<T>>("POST", path, withType(kind, object));
  }

  async update<T extends ApiObject>(kind: Kind<T>, object: T, write: WriteOptions = {}) {
    const path = pathOf(kind, nameOf(object), write.subresource) + queryOf(writePairs(write));
    return this.#object<Stored<T>>("PUT", path, withType(kind, object));
  }

  patch<T extends ApiObject>(
    kind: Kind<T>,
    ref: Ref,
    type: PatchType,
    body: Json | object,
    write: WriteOptions = {},
  ) {
    const path = pathOf(kind, ref, write.subresource) + queryOf(writePairs(write));
    return this.#object<Stored<T>>("PATCH", path, body, PATCH_TYPES[type]);
  }

  async delete<T extends ApiObject>(kind: Kind<T>, ref: Ref, how: DeleteOptions = {}) {
    const response = await this.#send("DELETE", pathOf(kind, ref), { body: deleteBody(how) });
    await response.body?.cancel();
  }

  async deleteAll(kind: Kind, query: ListQuery, how: DeleteOptions = {}): Promise<void> {
    const path = pathOf(kind, query) + queryOf(listPairs(query));
    const response = await this.#send("DELETE", path, { body: deleteBody(how) });
    await response.body?.cancel();
  }

  post(kind: Kind, ref: Ref, subresource: string, body: object): Promise<Json> {
    return this.#object<Json>("POST", pathOf(kind, ref, subresource), body);
  }

  async unchanged(kind: Kind, query: UnchangedQuery): Promise<boolean> {
    return (await this.#direct?.unchanged(kind, query)) ?? false;
  }

  read(path: string): Promise<Json> {
    return this.#object<Json>("GET", path);
  }

  async *watch<T extends ApiObject>(
    kind: Kind<T>,
    query: WatchQuery,
  ): AsyncGenerator<WatchEvent<T>> {
    const { signal } = query;
    const { resourceVersion = "" } = query;
    if (this.#direct !== undefined && Number(resourceVersion) > 0) {
      try {
        yield* this.#direct.watch(kind, { ...query, resourceVersion }) as AsyncIterable<
          WatchEvent<T>
        >;
      } catch (error) {
        throw refusalOf(error);
      }
      return;
    }
    const pairs = { ...listPairs(query), watch: true, allowWatchBookmarks: true };
    const headers = query.metadataOnly ? { accept: METADATA } : {};
    const path = pathOf(kind, query) + queryOf(pairs);
    const response = await this.#send("GET", path, { headers, signal });
    for await (const line of readLines(response, signal)) {
      const event = JSON.parse(line) as WatchEvent<T> | { type: "ERROR"; object: unknown };
      if (event.type === "ERROR") throw statusError(500, event.object);
      yield event;
    }
  }
}

/** Throws StatusError from every call for an answer of 400 and above; see `client.ts`. */
export const createClient = (fetch: Fetch, options: ClientOptions = {}): Client =>
  new HttpClient(fetch, options);

function withType<T extends ApiObject>(kind: Kind<T>, object: T): T {
  if (object.kind !== undefined && object.apiVersion !== undefined) return object;
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, ...object };
}
