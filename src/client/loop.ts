/**
 * Runs a controller: wakes its keys by changes in the caches, plans one key at a time, applies, and
 * tries again with back-off. Plans see their own last writes: a key is not planned until the caches
 * show them.
 */
import { backoffMs } from "#base/backoff.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { ActionError, applyActions, type Written } from "#client/apply.ts";
import type { Cache, CacheChange, Caches } from "#client/cache.types.ts";
import { type Client, StatusError } from "#client/client.ts";
import type { Controller, Trigger, World } from "#client/controller.ts";
import { createRecorder } from "#client/events.ts";
import { WorkQueue } from "#client/queue.ts";
import { OwnWrites } from "#client/writes.ts";
import type { Kind } from "#resources/kind.ts";
import { type ApiObject, keyOf, type Ref } from "#resources/meta.ts";

export interface LoopOptions {
  client: Client;
  caches: Caches;
  clock: Clock;
  random: Random;
  log: Log;
  signal: AbortSignal;
}

/** Caches that remember whether one was asked before its first list was in. */
function watchful(caches: Caches): { caches: Caches; unsynced: Array<Cache<ApiObject>> } {
  const unsynced: Array<Cache<ApiObject>> = [];
  const note = <T extends ApiObject>(cache: Cache<T>): Cache<T> => {
    if (!cache.synced) unsynced.push(cache);
    return cache;
  };
  return {
    unsynced,
    caches: {
      of: (kind, query) => note(caches.of(kind, query)),
      metadataOf: (kind) => note(caches.metadataOf(kind)),
      drop: (kind) => caches.drop(kind),
      renew: () => caches.renew(),
      stop: () => caches.stop(),
    },
  };
}

/**
 * Conflicts, vanished objects and namespaces that go are everyday life of such loops: no log line.
 */
function isEveryday(error: unknown): boolean {
  if (!(error instanceof StatusError)) return false;
  if (error.code === 409 || error.code === 404) return true;
  return error.code === 403 && error.message.includes("because it is being terminated");
}

class Loop<State> {
  readonly #controller: Controller<State>;
  readonly #options: LoopOptions;
  readonly #queue: WorkQueue;
  readonly #writes: OwnWrites;
  /** Everything listened to, with its cache. */
  readonly #sources: Array<{ kind: Kind; cache: Cache<ApiObject> }> = [];
  readonly #ends = new Set<() => void>();
  readonly #failures = new Map<string, number>();
  /** By key: what may have been created, though no answer said so. */
  readonly #doubts = new Map<string, Array<{ kind: Kind; ref: Ref }>>();
  readonly #recorder;
  readonly #log: Log;
  /** What a plan's reading goes through; reading takes no turn, so all keys share it. */
  readonly #seen: ReturnType<typeof watchful>;

  constructor(controller: Controller<State>, options: LoopOptions) {
    this.#controller = controller;
    this.#options = options;
    this.#log = options.log.part(controller.name);
    this.#seen = watchful(options.caches);
    this.#writes = new OwnWrites(options.clock);
    this.#recorder = createRecorder({ ...options, component: `${controller.name}-controller` });
    const { spacingMs = limits.controllerSpacingMs } = controller;
    this.#queue = new WorkQueue({
      clock: options.clock,
      parallel: controller.parallel ?? 4,
      spacingMs: () => (typeof spacingMs === "number" ? spacingMs : spacingMs(options.caches)),
      run: (key) => this.#run(key),
    });
  }

  async start(): Promise<void> {
    const { caches, signal } = this.#options;
    const { kind, query, changed } = this.#controller;
    const keys: Trigger["keys"] = (object, from) =>
      this.#controller.keys?.(object, from) ?? [keyOf(object)];
    const own: Trigger = { kind, keys, ...(query && { query }), ...(changed && { changed }) };
    const triggers = [own, ...this.#controller.triggers];
    signal.addEventListener("abort", () => {
      for (const end of this.#ends) end();
      this.#queue.close();
    });
    for (const trigger of triggers) this.#listen(trigger);
    this.#controller.grow?.(caches, (trigger) => this.#listen(trigger));
    await Promise.all(this.#sources.map(({ cache }) => cache.whenSynced()));
    if (!signal.aborted) this.#queue.open();
  }

  #listen(trigger: Trigger): () => void {
    const { caches } = this.#options;
    const { kind, query, metadataOnly } = trigger;
    const cache = metadataOnly ? caches.metadataOf(kind) : caches.of(kind, query);
    const source = { kind, cache };
    this.#sources.push(source);
    const wake = (object: CacheChange<ApiObject>["after"]): void => {
      if (object === undefined) return;
      for (const key of trigger.keys(object, this.#options.caches)) this.#queue.add(key);
    };
    for (const object of cache.list()) wake(object);
    const silence = cache.onChange((change) => {
      const waiting = this.#writes.awaiting(kind, change.key);
      if (waiting.size > 0) for (const key of waiting) this.#queue.add(key);
      if (trigger.changed?.(change) === false) return;
      wake(change.before);
      wake(change.after);
    });
    const end = (): void => {
      silence();
      this.#ends.delete(end);
      const at = this.#sources.indexOf(source);
      if (at >= 0) this.#sources.splice(at, 1);
    };
    this.#ends.add(end);
    return end;
  }

  async #run(key: string): Promise<void> {
    const { clock, random } = this.#options;
    const waitMs = this.#writes.waitMs(key);
    if (waitMs > 0) return this.#queue.addAfter(key, waitMs);
    const { caches, unsynced } = this.#seen;
    const world: World = { caches, now: clock.now(), random: () => random.next() };
    let state: State | undefined;
    try {
      if (this.#doubts.has(key) && (await this.#clear(key))) return this.#queue.add(key);
      unsynced.length = 0;
      state = this.#controller.read(key, world);
      if (unsynced.length > 0) {
        await Promise.all(unsynced.map((cache) => cache.whenSynced()));
        return this.#queue.add(key);
      }
      this.#queue.cancelAfter(key);
      if (state !== undefined) {
        state = (await this.#controller.confirm?.(state, this.#options.client)) ?? state;
        const plan = this.#controller.plan(state, world.now);
        await this.#apply(key, plan.actions);
        for (const other of plan.wake ?? []) this.#queue.add(other);
        if (plan.againMs !== undefined) this.#queue.addAfter(key, Math.max(1, plan.againMs));
      }
      this.#failures.delete(key);
    } catch (error) {
      await this.#failed(key, state, error);
    }
  }

  /**
   * Asks for what may have been created: planned without it, it would be created twice. True where
   * something was found, which the caches have yet to show.
   */
  async #clear(key: string): Promise<boolean> {
    const doubts = this.#doubts.get(key) ?? [];
    let found = false;
    for (const { kind, ref } of [...doubts]) {
      const object = await this.#options.client.get(kind, ref);
      doubts.shift();
      if (object === undefined) continue;
      found = true;
      const { resourceVersion } = object.metadata;
      this.#wrote(key, { kind, key: keyOf(object), resourceVersion });
    }
    this.#doubts.delete(key);
    return found;
  }

  #wrote(key: string, written: Written): void {
    // Where no cache of ours shows the kind, nothing is to wait for.
    const source = this.#sources.find(({ kind }) => kind === written.kind);
    if (source !== undefined) this.#writes.add(key, written, source.cache);
  }

  async #apply(key: string, actions: Parameters<typeof applyActions>[1]): Promise<void> {
    if (actions.length === 0) return;
    const onWritten = (written: Written): void => this.#wrote(key, written);
    const onDoubt = (kind: Kind, ref: Ref): void => {
      this.#doubts.set(key, [...(this.#doubts.get(key) ?? []), { kind, ref }]);
    };
    const { client, signal } = this.#options;
    await applyActions(client, actions, {
      recorder: this.#recorder,
      onWritten,
      onDoubt,
      signal,
    });
  }

  async #failed(key: string, state: State | undefined, error: unknown): Promise<void> {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const cause = error instanceof ActionError ? error.status : error;
    const delayMs = backoffMs(failures, limits.retryBackoffMsMin, limits.retryBackoffMsMax);
    const askedMs = cause instanceof StatusError ? (cause.retryAfterSeconds ?? 0) * 1000 : 0;
    this.#queue.addAfter(key, Math.max(delayMs, askedMs));
    if (!isEveryday(cause)) {
      this.#log.warn("a run failed and is tried again", {
        key,
        error: messageOf(error),
        failures: failures + 1,
      });
    }
    if (state === undefined || !(error instanceof ActionError)) return;
    const { code, reason, message } = error.status;
    const failure = { action: error.action, code, reason, message };
    try {
      const told = this.#controller.failed?.(state, failure, this.#options.clock.now()) ?? [];
      await this.#apply(key, told);
    } catch (second) {
      this.#log.debug("a failure was not told", { key, error: messageOf(second) });
    }
  }
}

/** Runs until the signal aborts. Returns at once; never throws later. */
export function runController<State>(controller: Controller<State>, options: LoopOptions): void {
  new Loop(controller, options).start().catch((error: unknown) => {
    options.log.error("a controller did not start", {
      controller: controller.name,
      error: messageOf(error),
    });
  });
}
