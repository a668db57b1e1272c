/**
 * Read your writes: what a key's last run wrote and its caches do not show yet. Without it a
 * controller whose cache is behind would create its objects twice (upstream counts "expectations"
 * in each controller).
 */
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Written } from "#client/apply.ts";
import type { Cache } from "#client/cache.types.ts";
import { type Kind, resourceOf } from "#resources/kind.ts";
import type { ApiObject } from "#resources/meta.ts";

interface Awaited extends Written {
  /** The cache is asked to list again then. */
  untilMs: number;
  /** The cache that will show it. */
  readonly cache: Cache<ApiObject>;
}

const NONE: ReadonlySet<string> = new Set();

function isShown(written: Awaited): boolean {
  const { cache } = written;
  if (written.resourceVersion !== undefined) {
    return cache.seen(written.key, written.resourceVersion);
  }
  const found = cache.get(written.key)?.metadata;
  return found?.uid !== written.deletedUid || found?.deletionTimestamp !== undefined;
}

export class OwnWrites {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Awaited[]>();
  /** Object -> keys that wait for it. */
  readonly #byObject = new Map<string, Set<string>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(key: string, written: Written, cache: Cache<ApiObject>): void {
    const untilMs = this.#clock.monotonic() + limits.readYourWritesMsMax;
    const list = this.#byKey.get(key);
    if (list === undefined) this.#byKey.set(key, [{ ...written, cache, untilMs }]);
    else list.push({ ...written, cache, untilMs });
    const object = objectId(written.kind, written.key);
    const keys = this.#byObject.get(object);
    if (keys === undefined) this.#byObject.set(object, new Set([key]));
    else keys.add(key);
  }

  /** Keys that wait for this object to change. */
  awaiting(kind: Kind, objectKey: string): ReadonlySet<string> {
    if (this.#byObject.size === 0) return NONE;
    return this.#byObject.get(objectId(kind, objectKey)) ?? NONE;
  }

  /**
   * 0 once the caches show all that the key wrote; else when to look again at the latest. A cache
   * that is behind for long lists again: a plan on what it shows would do everything twice.
   */
  waitMs(key: string): number {
    const list = this.#byKey.get(key);
    if (list === undefined) return 0;
    const nowMs = this.#clock.monotonic();
    const left: Awaited[] = [];
    for (const written of list) {
      if (isShown(written)) {
        this.#forget(key, written);
        continue;
      }
      const isLate = nowMs >= written.untilMs;
      if (isLate && !written.cache.refresh()) {
        this.#forget(key, written);
        continue;
      }
      if (isLate) written.untilMs = nowMs + limits.readYourWritesMsMax;
      left.push(written);
    }
    if (left.length === 0) {
      this.#byKey.delete(key);
      return 0;
    }
    this.#byKey.set(key, left);
    return Math.min(...left.map(({ untilMs }) => untilMs)) - nowMs;
  }

  #forget(key: string, written: Awaited): void {
    const object = objectId(written.kind, written.key);
    const keys = this.#byObject.get(object);
    keys?.delete(key);
    if (keys?.size === 0) this.#byObject.delete(object);
  }
}

const objectId = (kind: Kind, key: string): string => `${resourceOf(kind)} ${key}`;
