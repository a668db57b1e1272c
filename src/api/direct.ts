/**
 * Lists and watches for parts of this very process: objects instead of text, parsed once for all
 * who look. They pass the same selectors and show the same versions as the API on its socket.
 */
import type { Core } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import type { Resource } from "#api/registry.ts";
import { type Selection, selectionOf } from "#api/select.ts";
import { eventTypeOf } from "#api/watch.ts";
import type { Kind } from "#resources/kind.ts";
import type { Stored } from "#resources/meta.ts";
import { type Change, GoneError, type Item, type Watch, type WatchOptions } from "#store/store.ts";

export interface DirectQuery {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Only apiVersion, kind and metadata. */
  readonly metadataOnly?: boolean;
}

/** As a watch tells it; whoever gets objects shares them and never changes them. */
export interface DirectEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: Stored;
}

export interface Direct {
  /** Objects come without managedFields: nothing in this process reads them. @throws ApiError. */
  list(kind: Kind, query: DirectQuery): Promise<{ items: Stored[]; resourceVersion: string }>;
  /**
   * Changes after a revision, until the signal aborts. @throws ApiError 410 where the place is
   * lost.
   */
  watch(
    kind: Kind,
    query: DirectQuery & { readonly resourceVersion: string; readonly signal: AbortSignal },
  ): AsyncIterable<DirectEvent>;
  /** Whether nothing changed after a revision, up to now; false where the history has ended. */
  unchanged(
    kind: Kind,
    query: { readonly namespace: string; readonly resourceVersion: string },
  ): Promise<boolean>;
}

/** Hands over what one side puts in while the other waits. */
class Mailbox {
  #changes: Change[] = [];
  #wake: (() => void) | undefined;
  #reason: Error | undefined;
  #over = false;

  put(changes: readonly Change[]): void {
    for (const change of changes) this.#changes.push(change);
    this.#wake?.();
  }

  end(reason?: Error): void {
    this.#over = true;
    this.#reason = reason;
    this.#wake?.();
  }

  /** Empty when it is over. @throws what it ended with. */
  async take(): Promise<Change[]> {
    if (this.#changes.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    if (this.#changes.length === 0 && this.#reason !== undefined) throw this.#reason;
    return this.#changes.splice(0);
  }
}

const expired = (after: number, reason: Error): Error =>
  reason instanceof GoneError ? refuse.expired(`too old resource version: ${after}`) : reason;

function join(core: Core, options: WatchOptions): Watch {
  try {
    return core.store.watch(options);
  } catch (error) {
    throw error instanceof Error ? expired(options.after, error) : error;
  }
}

export function createDirect(core: Core): Direct {
  const view = (resource: Resource, item: Item, metadataOnly: boolean): Stored =>
    metadataOnly ? core.views.metadata(resource, item) : core.views.whole(resource, item);

  function resourceOf(kind: Kind): Resource {
    const resource = core.registry.find(kind.group, kind.version, kind.plural);
    if (resource === undefined) throw refuse.noPath();
    return resource;
  }

  function selectionFor(resource: Resource, query: DirectQuery): Selection {
    const { namespace, labelSelector, fieldSelector } = query;
    const { group, version, plural } = resource.kind;
    return selectionOf({
      resource,
      target: { group, version, plural, ...(namespace !== undefined && { namespace }) },
      query: new URLSearchParams({
        ...(labelSelector !== undefined && { labelSelector }),
        ...(fieldSelector !== undefined && { fieldSelector }),
      }),
    });
  }

  return {
    async list(kind, query) {
      const resource = resourceOf(kind);
      const { prefix, filter, name: filterName } = selectionFor(resource, query);
      const page = await core.store.list({
        prefix,
        ...(filter !== undefined && { filter }),
        ...(filterName !== undefined && { filterName }),
      });
      const items = page.items.map((item) => view(resource, item, query.metadataOnly === true));
      return { items, resourceVersion: String(page.revision) };
    },
    async unchanged(kind, { namespace, resourceVersion }) {
      const { prefix } = selectionFor(resourceOf(kind), { namespace });
      const nobody = (): void => {};
      const after = Number(resourceVersion);
      try {
        const options = { prefix, after, onChanges: nobody, onClosed: nobody };
        const watch = core.store.watch(options);
        const behind = watch.behind();
        watch.close();
        return behind === undefined;
      } catch (error) {
        if (error instanceof GoneError) return false;
        throw error;
      }
    },
    async *watch(kind, query) {
      const resource = resourceOf(kind);
      const selection = selectionFor(resource, query);
      const box = new Mailbox();
      const over = (): void => box.end();
      const after = Number(query.resourceVersion);
      const watch = join(core, {
        prefix: selection.prefix,
        ...(selection.field && { field: selection.field }),
        after,
        onChanges: (changes) => box.put(changes),
        onClosed: (reason) => box.end(expired(after, reason)),
      });
      query.signal.addEventListener("abort", over, { once: true });
      if (query.signal.aborted) over();
      try {
        for (;;) {
          const changes = await box.take();
          if (changes.length === 0) return;
          for (const change of changes) {
            const type = eventTypeOf(change, selection);
            if (type === undefined) continue;
            yield { type, object: view(resource, change.item, query.metadataOnly === true) };
          }
        }
      } finally {
        query.signal.removeEventListener("abort", over);
        watch.close();
      }
    },
  };
}
