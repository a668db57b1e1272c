/**
 * Watches. An event is encoded once for all watchers of a form; a watcher that does not read is
 * cut, never buffered without end.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
import type { Call, Core } from "#api/core.ts";
import { itemsIn } from "#api/custom/convert.ts";
import { refuse, type Status, statusOf } from "#api/errors.ts";
import { EventEncoder, type EventType } from "#api/events.ts";
import { negotiate, PROTOBUF } from "#api/negotiate.ts";
import { Outbox, watchResponse } from "#api/outbox.ts";
import type { Resource } from "#api/registry.ts";
import { onlyNamed, type Selection, selectionOf } from "#api/select.ts";
import { parseRevision, refuseFuture } from "#api/versions.ts";
import { limits } from "#base/limits.ts";
import { forbidden } from "#resources/field.ts";
import { hasProtobuf } from "#resources/protobuf.ts";
import { type Change, GoneError, type Item, type Watch } from "#store/store.ts";

interface Start {
  /** Changes after this; undefined: begin with what is there. */
  readonly after: number | undefined;
  readonly bookmarks: boolean;
  /** Mark the end of what is there by a bookmark (KEP-3157). */
  readonly markEnd: boolean;
}

const OPTIONS = { group: "meta.k8s.io", plural: "listoptions", kind: "ListOptions" };

/** A boolean of a query, as upstream reads it: anything but `false` and `0` is true. */
export const flag = (text: string | null): boolean =>
  text !== null && text !== "0" && text.toLowerCase() !== "false";

function startOf(core: Core, call: Call): Start {
  const { query } = call;
  const version = query.get("resourceVersion") ?? "";
  const match = query.get("resourceVersionMatch") ?? "";
  const bookmarks = flag(query.get("allowWatchBookmarks"));
  const initial = query.get("sendInitialEvents");
  const revision = version === "" ? 0 : parseRevision(version);
  if ((query.get("continue") ?? "") !== "") {
    throw refuse.invalid(OPTIONS, "", [
      forbidden(
        "resourceVersionMatch",
        "resourceVersionMatch is forbidden when continue is provided",
      ),
    ]);
  }
  if (initial === null && match !== "") {
    throw refuse.invalid(OPTIONS, "", [
      forbidden(
        "resourceVersionMatch",
        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
      ),
    ]);
  }
  if (initial !== null && match !== "NotOlderThan") {
    throw refuse.invalid(OPTIONS, "", [
      forbidden(
        "resourceVersionMatch",
        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
      ),
    ]);
  }
  refuseFuture(revision, core.store.revision());
  if (flag(initial)) {
    return { after: undefined, bookmarks, markEnd: bookmarks };
  }
  if (initial !== null)
    return { after: revision || core.store.revision(), bookmarks, markEnd: false };
  return { after: revision === 0 ? undefined : revision, bookmarks, markEnd: false };
}

/** Milliseconds until the server ends the watch by itself. */
function lifetimeOf(core: Core, call: Call): number {
  const text = call.query.get("timeoutSeconds");
  const seconds = text === null ? 0 : Number(text);
  if (!Number.isInteger(seconds)) {
    throw refuse.badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  if (seconds > 0) return seconds * 1000;
  return limits.watchMsMin * (1 + core.random.next());
}

/** What a change is to a watcher whose selector may have begun or ceased to match. */
export function eventTypeOf(change: Change, selection: Selection): EventType | undefined {
  const { filter } = selection;
  const { previous } = change;
  if (filter === undefined) {
    if (change.type === "delete") return "DELETED";
    return previous === undefined ? "ADDED" : "MODIFIED";
  }
  const was = previous !== undefined && filter(previous.terms);
  if (change.type === "delete") return was ? "DELETED" : undefined;
  const is = filter(change.item.terms);
  if (is) return was ? "MODIFIED" : "ADDED";
  return was ? "DELETED" : undefined;
}

/** Changes with their items in the version that a watcher asked for. */
async function changesIn(
  resource: Resource,
  changes: readonly Change[],
  late?: boolean,
): Promise<Change[]> {
  const items = changes.flatMap(({ item, previous }) =>
    previous === undefined ? [item] : [item, previous],
  );
  const views = [...(await itemsIn(resource, items, late))];
  return changes.map((change) => {
    const item = views.shift() ?? change.item;
    if (change.previous === undefined) return { ...change, item };
    return { ...change, item, previous: views.shift() ?? change.previous };
  });
}

const open = new WeakMap<Core, { count: number }>();

function counterOf(core: Core): { count: number } {
  let counter = open.get(core);
  if (counter === undefined) {
    counter = { count: 0 };
    open.set(core, counter);
  }
  return counter;
}

export const watchersOf = (core: Core): number => counterOf(core).count;

class Watcher {
  readonly #core: Core;
  readonly #selection: Selection;
  readonly #resource: Resource;
  readonly #start: Start;
  readonly #encoder: EventEncoder;
  readonly #lifetimeMs: number;
  readonly contentType: string;
  #outbox: Outbox | undefined;
  #watch: Watch | undefined;
  #cancels: Array<() => void> = [];
  #sent = 0;
  #ended = false;
  /** Changes are converted one after another; how many wait for that. */
  #queue: Promise<void> = Promise.resolve();
  #converting = 0;

  constructor(core: Core, call: Call, selection: Selection, start: Start) {
    this.#core = core;
    this.#selection = selection;
    this.#resource = call.resource;
    this.#start = start;
    const form = negotiate(call.request.headers.get("accept"));
    const text = form.encoding !== "protobuf";
    this.contentType = text ? "application/json" : `${PROTOBUF};stream=watch`;
    if (!text && !hasProtobuf(call.resource.apiVersion, call.resource.kind.kind)) {
      throw refuse.notAcceptable(["application/json"]);
    }
    this.#encoder = new EventEncoder(core, call, form);
    this.#lifetimeMs = lifetimeOf(core, call);
  }

  /**
   * Joins the store's watch before the answer is made, so that a revision too old is a plain 410.
   */
  async begin(signal: AbortSignal): Promise<Outbox> {
    const items = this.#start.after === undefined ? await this.#present() : [];
    const outbox = new Outbox(this.#opening(items), () => this.end());
    this.#outbox = outbox;
    this.#watch = this.#core.store.watch({
      prefix: this.#selection.prefix,
      ...(this.#selection.field && { field: this.#selection.field }),
      patient: true,
      after: this.#sent,
      onChanges: (changes) => this.#changes(changes),
      onClosed: (reason) => this.#lost(reason),
    });
    counterOf(this.#core).count += 1;
    this.#cancels.push(this.#core.clock.after(this.#lifetimeMs, () => this.#expire()));
    if (this.#start.bookmarks) this.#bookmarkLater();
    if (this.#resource.custom) this.#endWithKind();
    signal.addEventListener("abort", () => this.end(), { once: true });
    if (signal.aborted) this.end();
    return outbox;
  }

  /** What is there at the start, many objects in a piece; made when the client is ready for it. */
  *#opening(items: readonly Item[]): Generator<Uint8Array> {
    // Fixed before any change is told.
    const revision = this.#sent;
    let pieces: Uint8Array[] = [];
    let size = 0;
    for (const item of items) {
      const piece = this.#encoder.present(item);
      pieces.push(piece);
      size += piece.length;
      if (size < OPENING_BYTES) continue;
      yield Buffer.concat(pieces);
      pieces = [];
      size = 0;
    }
    if (this.#start.markEnd) pieces.push(this.#encoder.bookmark(revision, true));
    if (pieces.length > 0) yield Buffer.concat(pieces);
  }

  /** A definition that goes, or no longer serves this version, takes its watches with it. */
  #endWithKind(): void {
    const { registry } = this.#core;
    const { group, version, plural } = this.#resource.kind;
    this.#cancels.push(
      registry.onChange(() => {
        if (registry.find(group, version, plural) === undefined) this.end();
      }),
    );
  }

  async #present(): Promise<readonly Item[]> {
    const { prefix, filter, late } = this.#selection;
    const page = await this.#core.store.list({ prefix, ...(filter && !late && { filter }) });
    this.#sent = page.revision;
    const items = await itemsIn(this.#resource, page.items, late);
    return filter && late ? items.filter(({ terms }) => filter(terms)) : items;
  }

  resumeAt(revision: number): void {
    this.#sent = revision;
  }

  #send(bytes: Uint8Array): void {
    if (this.#ended || this.#outbox === undefined || this.#outbox.push(bytes)) return;
    this.#core.log.debug("cut a watcher that does not read", { prefix: this.#selection.prefix });
    this.#outbox.cut("the client does not read");
    this.end();
  }

  #changes(changes: readonly Change[]): void {
    const { late } = this.#selection;
    if (late !== true && this.#resource.convert === undefined) {
      this.#pass(changes);
      return;
    }
    this.#converting += 1;
    this.#queue = this.#queue
      .then(async () => this.#pass(await changesIn(this.#resource, changes, late)))
      .catch((error: unknown) => {
        this.#send(this.#encoder.error(statusOf(error, this.#core.log)));
        this.end();
      })
      .finally(() => {
        this.#converting -= 1;
      });
  }

  #pass(changes: readonly Change[]): void {
    if (this.#ended) return;
    const selection = this.#selection;
    const bytes = this.#encoder.changes(changes, {
      all: selection.filter === undefined,
      typeOf: (change) => eventTypeOf(change, selection),
    });
    if (bytes !== undefined) this.#send(bytes);
    this.#sent = changes.at(-1)?.revision ?? this.#sent;
  }

  /** Everything up to here was sent; what the store has yet to tell is not. */
  #reached(): number {
    if (this.#converting > 0) return this.#sent;
    const next = this.#watch?.behind();
    const reached = next === undefined ? this.#core.store.revision() : next - 1;
    return Math.max(this.#sent, reached);
  }

  /** Where nothing happened since, in the whole cluster, there is no news to send either. */
  #bookmarkLater(): void {
    const at = this.#cancels.length;
    const again = (): void => {
      if (this.#ended) return;
      if (this.#reached() !== this.#sent) this.#bookmark();
      this.#cancels[at] = this.#core.clock.after(limits.watchBookmarkMs, again);
    };
    this.#cancels.push(this.#core.clock.after(limits.watchBookmarkMs, again));
  }

  #bookmark(): void {
    this.#sent = this.#reached();
    this.#send(this.#encoder.bookmark(this.#sent, false));
  }

  #expire(): void {
    if (this.#start.bookmarks) this.#bookmark();
    this.end();
  }

  #lost(reason: Error): void {
    const status: Status =
      reason instanceof GoneError
        ? refuse.expired(`too old resource version: ${this.#sent}`).status
        : statusOf(refuse.unavailable(reason.message), this.#core.log);
    this.#send(this.#encoder.error(status));
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#watch !== undefined) counterOf(this.#core).count -= 1;
    this.#watch?.close();
    for (const cancel of this.#cancels.splice(0)) cancel();
    this.#outbox?.end();
  }
}

const OPENING_BYTES = 64 * 1024;

export async function watchMany(core: Core, call: Call): Promise<Response> {
  if (watchersOf(core) >= limits.watchersMax) throw refuse.busy("too many watches");
  const start = startOf(core, call);
  const plain = selectionOf(call);
  const { name } = call.target;
  const selection = name === undefined ? plain : onlyNamed(plain, name);
  const watcher = new Watcher(core, call, selection, start);
  if (start.after !== undefined) watcher.resumeAt(start.after);
  try {
    const outbox = await watcher.begin(call.request.signal);
    const headers = { "content-type": watcher.contentType, "cache-control": "no-cache, private" };
    return watchResponse(outbox, headers);
  } catch (error) {
    watcher.end();
    if (!(error instanceof GoneError)) throw error;
    throw refuse.expired(`too old resource version: ${start.after} (${core.store.revision()})`);
  }
}
