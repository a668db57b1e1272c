/** All changes of a bucket, for who keeps something by them for as long as the server runs. */
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { type Change, GoneError, type Item, type Store, type Watch } from "#store/store.ts";

export interface FollowChanges {
  readonly store: Store;
  readonly log: Log;
  /** Of a bucket, with its slash. */
  readonly prefix: string;
  /** `isFirst`: what is there already, told before `followChanges` resolves; at times nothing. */
  onChanges(changes: readonly Change[], isFirst: boolean): void;
}

/** What came between `known` and a list as of `revision`, as far as it can still be told. */
function missedBetween(
  known: ReadonlyMap<string, Item>,
  items: readonly Item[],
  revision: number,
): Change[] {
  const found = new Set(items.map(({ key }) => key));
  const gone = [...known.values()].filter(({ key }) => !found.has(key));
  const put = items.filter(({ key, revision: at }) => known.get(key)?.revision !== at);
  put.sort((a, b) => a.revision - b.revision);
  // What is gone has let go of what others may hold now.
  return [
    ...gone.map((item): Change => ({ type: "delete", revision, item, previous: item })),
    ...put.map((item): Change => {
      const previous = known.get(item.key);
      return { type: "put", revision: item.revision, item, ...(previous && { previous }) };
    }),
  ];
}

class Follower {
  readonly #options: FollowChanges;
  readonly #known = new Map<string, Item>();
  #watch: Watch | undefined;
  #ended = false;

  constructor(options: FollowChanges) {
    this.#options = options;
  }

  /** As of this revision, or the newest one. */
  async begin(revision?: number): Promise<void> {
    const { store, prefix } = this.#options;
    const page = await store.list({ prefix, ...(revision !== undefined && { revision }) });
    if (this.#ended) return;
    this.#tell(missedBetween(this.#known, page.items, page.revision), revision === undefined);
    this.#watch = store.watch({
      prefix,
      after: page.revision,
      onChanges: (changes) => this.#tell(changes, false),
      onClosed: (reason) => this.#closed(reason),
    });
  }

  #tell(changes: readonly Change[], isFirst: boolean): void {
    for (const { type, item } of changes) {
      if (type === "delete") this.#known.delete(item.key);
      else this.#known.set(item.key, item);
    }
    this.#options.onChanges(changes, isFirst);
  }

  /** A store that several servers share may have missed changes: they are found by another list. */
  #closed(reason: Error): void {
    const { store, log, prefix } = this.#options;
    if (this.#ended || !(reason instanceof GoneError)) {
      log.debug("followed no more", { prefix, reason: reason.message });
      return;
    }
    // As of what the store has now: that needs nobody's answer.
    this.begin(store.revision()).catch((error: unknown) =>
      log.error("cannot be followed any more", { prefix, error: messageOf(error) }),
    );
  }

  end(): void {
    this.#ended = true;
    this.#watch?.close();
  }
}

/** Answers how to end. */
export async function followChanges(options: FollowChanges): Promise<() => void> {
  const follower = new Follower(options);
  await follower.begin();
  return () => follower.end();
}
