/**
 * Hands changes to watchers. Watchers of the same prefix form a group, so a change costs only the
 * groups whose prefix its key has: ten thousand watchers of other buckets cost nothing.
 */
import { assert } from "#base/assert.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { bucketOf } from "#store/objects.ts";
import type { Change, Watch, WatchOptions } from "#store/store.ts";

interface Watcher {
  readonly options: WatchOptions;
  readonly group: Set<Watcher>;
  /** Changes up to this revision came with the backlog. */
  readonly from: number;
}

export class Fanout {
  readonly #log: Log;
  readonly #groups = new Map<string, Set<Watcher>>();
  #starts: Array<{ watcher: Watcher; backlog: readonly Change[] }> = [];
  #published: Change[] = [];
  #scheduled = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `backlog`: the changes after `options.after` up to and including revision `from`. */
  add(options: WatchOptions, from: number, backlog: readonly Change[]): Watch {
    const prefix = options.prefix;
    assert(prefix.endsWith("/") && bucketOf(prefix) !== "", `prefix "${prefix}" is a bucket's`);
    let group = this.#groups.get(prefix);
    if (group === undefined) {
      group = new Set();
      this.#groups.set(prefix, group);
    }
    const watcher: Watcher = { options, group, from };
    group.add(watcher);
    if (backlog.length > 0) {
      this.#starts.push({ watcher, backlog });
      this.#schedule();
    }
    return { close: () => this.#remove(watcher) };
  }

  /** Changes that readers see from now on. They are handed over soon, never in this call. */
  publish(changes: readonly Change[]): void {
    if (this.#groups.size === 0 || changes.length === 0) return;
    for (const change of changes) this.#published.push(change);
    this.#schedule();
  }

  /** Hands over what is waiting, then ends every watch. */
  close(reason: Error): void {
    this.#flush();
    const all = [...this.#groups.values()].flatMap((group) => [...group]);
    this.#groups.clear();
    for (const watcher of all) this.#end(watcher, reason);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const starts = this.#starts;
    const published = this.#published;
    this.#starts = [];
    this.#published = [];
    for (const { watcher, backlog } of starts) this.#deliver(watcher, backlog);
    for (const [group, changes] of this.#sort(published)) {
      const first = changes[0]?.revision ?? 0;
      for (const watcher of group) {
        const late = watcher.from >= first;
        const fresh = late ? changes.filter((c) => c.revision > watcher.from) : changes;
        if (fresh.length > 0) this.#deliver(watcher, fresh);
      }
    }
  }

  /** The changes of each group that has any; all watchers of a group share the array. */
  #sort(changes: readonly Change[]): Map<Set<Watcher>, Change[]> {
    const sorted = new Map<Set<Watcher>, Change[]>();
    for (const change of changes) {
      const key = change.item.key;
      for (let slash = bucketOf(key).length; slash > 0; slash = key.indexOf("/", slash) + 1) {
        const group = this.#groups.get(key.slice(0, slash));
        if (group === undefined) continue;
        const list = sorted.get(group);
        if (list === undefined) sorted.set(group, [change]);
        else list.push(change);
      }
    }
    return sorted;
  }

  #deliver(watcher: Watcher, changes: readonly Change[]): void {
    if (!watcher.group.has(watcher)) return;
    try {
      watcher.options.onChanges(changes);
    } catch (error) {
      this.#log.error("a watcher failed", { error: messageOf(error) });
      this.#remove(watcher);
      this.#end(watcher, new Error("the watcher failed", { cause: error }));
    }
  }

  #end(watcher: Watcher, reason: Error): void {
    watcher.group.delete(watcher);
    try {
      watcher.options.onClosed(reason);
    } catch (error) {
      this.#log.error("a watcher failed to close", { error: messageOf(error) });
    }
  }

  #remove(watcher: Watcher): void {
    watcher.group.delete(watcher);
    const prefix = watcher.options.prefix;
    if (watcher.group.size === 0 && this.#groups.get(prefix) === watcher.group) {
      this.#groups.delete(prefix);
    }
  }
}
