/**
 * A few dozen lines that answer like the API, for unit tests of clients: list, watch, create,
 * update, merge patch, delete, by path and without any rule of a kind. Faults are the test's to
 * set.
 */
import type { Fetch } from "#client/client.ts";
import { createClient } from "#client/http.ts";
import type { Kind } from "#resources/kind.ts";
import { apiVersionOf } from "#resources/kind.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";

type Doc = Stored & { spec?: unknown; status?: unknown };

interface Watcher {
  prefix: string;
  send(line: string): void;
  close(): void;
}

const COLLECTION = /^(\/apis?\/.*?v[0-9][a-z0-9]*)(?:\/namespaces\/([^/]+))?\/([^/]+)$/;
const OBJECT = /^(\/apis?\/.*?v[0-9][a-z0-9]*(?:\/namespaces\/[^/]+)?\/[^/]+)\/([^/]+)(?:\/(.+))?$/;

function status(code: number, reason: string, message = reason): Response {
  return Response.json(
    { kind: "Status", apiVersion: "v1", code, reason, message },
    { status: code },
  );
}

export class FakeApi {
  readonly objects = new Map<string, Doc>();
  readonly #watchers = new Set<Watcher>();
  readonly #history: Array<{ revision: number; prefix: string; line: string }> = [];
  /** Requests so far, as `POST /api/v1/…`. Watches and lists are not counted. */
  readonly writes: string[] = [];
  revision = 1;
  /** History older than this is gone. */
  compacted = 0;
  /** Watch events of this resource (plural) are held back. */
  held: string | undefined;
  /** Answers instead of the API when it returns something. */
  fault: ((method: string, path: string) => Response | undefined) | undefined;
  /** Writes that are done, and whose answer is lost. */
  lose: ((method: string, path: string) => boolean) | undefined;
  readonly #late: Array<() => void> = [];

  readonly fetch: Fetch = async (request) => {
    const url = new URL(request.url);
    const wrong = this.fault?.(request.method, url.pathname);
    if (wrong !== undefined) return wrong;
    if (request.method === "GET") return this.#read(request, url);
    this.writes.push(`${request.method} ${url.pathname}`);
    const answer = await this.#write(request, url.pathname);
    if (this.lose?.(request.method, url.pathname)) return status(500, "InternalError");
    return answer;
  };

  readonly client = createClient(this.fetch);

  /** Puts an object as another client would. */
  put<T extends ApiObject>(kind: Kind<T>, object: T): void {
    const { namespace, name = "" } = object.metadata ?? {};
    const root = kind.group === "" ? "/api/v1" : `/apis/${kind.group}/${kind.version}`;
    const path = `${root}${namespace ? `/namespaces/${namespace}` : ""}/${kind.plural}/${name}`;
    const doc = { apiVersion: apiVersionOf(kind), kind: kind.kind, ...structuredClone(object) };
    this.#store(path, doc as Doc);
  }

  /** Deletes as another client would. */
  remove(path: string): void {
    const old = this.objects.get(path);
    if (old === undefined) return;
    this.objects.delete(path);
    this.#tell(path, "DELETED", this.#stamp(old));
  }

  /** Ends all watches, as a restart does. */
  cut(): void {
    for (const watcher of this.#watchers) watcher.close();
    this.#watchers.clear();
  }

  /** Lets go of the events that were held back. */
  release(): void {
    this.held = undefined;
    for (const send of this.#late.splice(0)) send();
  }

  #stamp(doc: Doc): Doc {
    const resourceVersion = String(++this.revision);
    return { ...doc, metadata: { ...doc.metadata, resourceVersion } };
  }

  #store(path: string, doc: Doc): Doc {
    const old = this.objects.get(path);
    const metadata = {
      ...doc.metadata,
      uid: old?.metadata.uid ?? doc.metadata.uid ?? crypto.randomUUID(),
      creationTimestamp: old?.metadata.creationTimestamp ?? "2026-01-01T00:00:00Z",
    };
    const stored = this.#stamp({ ...doc, metadata });
    this.objects.set(path, stored);
    this.#tell(path, old === undefined ? "ADDED" : "MODIFIED", stored);
    return stored;
  }

  #tell(path: string, type: string, object: Doc): void {
    const prefix = path.slice(0, path.lastIndexOf("/"));
    const line = `${JSON.stringify({ type, object })}\n`;
    this.#history.push({ revision: this.revision, prefix, line });
    const send = (): void => {
      for (const watcher of this.#watchers) if (covers(watcher.prefix, prefix)) watcher.send(line);
    };
    if (this.held !== undefined && prefix.endsWith(`/${this.held}`)) this.#late.push(send);
    else send();
  }

  #read(request: Request, url: URL): Response {
    const path = url.pathname;
    const found = this.objects.get(path);
    if (found !== undefined) return Response.json(found);
    if (!COLLECTION.test(path)) return status(404, "NotFound");
    if (url.searchParams.get("watch") === "true") return this.#watch(request, url);
    const items = [...this.objects].filter(([key]) =>
      covers(path, key.slice(0, key.lastIndexOf("/"))),
    );
    const metadata = { resourceVersion: String(this.revision) };
    return Response.json({ kind: "List", metadata, items: items.map(([, item]) => item) });
  }

  #watch(request: Request, url: URL): Response {
    const after = Number(url.searchParams.get("resourceVersion") ?? 0);
    if (after < this.compacted) return status(410, "Expired", "too old resource version");
    const encoder = new TextEncoder();
    let watcher: Watcher | undefined;
    const drop = (): void => {
      if (watcher !== undefined) this.#watchers.delete(watcher);
    };
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const send = (line: string): void => controller.enqueue(encoder.encode(line));
        watcher = { prefix: url.pathname, send, close: () => controller.close() };
        for (const past of this.#history) {
          if (past.revision > after && covers(url.pathname, past.prefix)) send(past.line);
        }
        this.#watchers.add(watcher);
      },
      cancel: drop,
    });
    request.signal.addEventListener("abort", drop);
    return new Response(stream);
  }

  async #write(request: Request, path: string): Promise<Response> {
    const body = (await request.json()) as Doc;
    if (request.method === "POST") return this.#create(path, body);
    const [, root = "", name = "", subresource] = OBJECT.exec(path) ?? [];
    const key = `${root}/${name}`;
    const old = this.objects.get(key);
    if (old === undefined) return status(404, "NotFound");
    if (request.method === "DELETE") return this.#delete(key, old, body);
    const asked = body.metadata?.resourceVersion;
    if (asked !== undefined && asked !== old.metadata.resourceVersion)
      return status(409, "Conflict");
    const next = request.method === "PUT" ? body : (merge(old, body) as Doc);
    const doc = subresource === "status" ? { ...old, status: next.status } : next;
    if (JSON.stringify(doc) === JSON.stringify(old)) return Response.json(old);
    const stored = this.#store(key, doc);
    if (stored.metadata.deletionTimestamp && !stored.metadata.finalizers?.length) this.remove(key);
    return Response.json(stored);
  }

  #create(path: string, body: Doc): Response {
    const generated = `${body.metadata.generateName ?? ""}${this.revision.toString(36)}`;
    const name = body.metadata.name ?? generated;
    const [, , namespace] = COLLECTION.exec(path) ?? [];
    const key = `${path}/${name}`;
    if (this.objects.has(key)) return status(409, "AlreadyExists");
    const metadata = { ...body.metadata, name, ...(namespace && { namespace }) };
    return Response.json(this.#store(key, { ...body, metadata }), { status: 201 });
  }

  #delete(key: string, old: Doc, body: unknown): Response {
    const uid = (body as { preconditions?: { uid?: string } }).preconditions?.uid;
    if (uid !== undefined && uid !== old.metadata.uid) return status(409, "Conflict");
    if (old.metadata.finalizers?.length) {
      const metadata = { ...old.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" };
      return Response.json(this.#store(key, { ...old, metadata }));
    }
    this.remove(key);
    return Response.json({ kind: "Status", status: "Success" });
  }
}

/** A watch of all namespaces covers each of them. */
function covers(asked: string, prefix: string): boolean {
  return asked === prefix || asked === prefix.replace(/\/namespaces\/[^/]+(?=\/)/, "");
}

function merge(into: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof into === "object" && into !== null && !Array.isArray(into) ? into : {};
  const out: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = merge(out[key], value);
  }
  return out;
}
