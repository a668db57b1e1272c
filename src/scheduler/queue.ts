/**
 * Pods that wait for a node: by priority, then by age. What did not fit is set aside until a change
 * comes that can help it, or for a few minutes at most; nothing is polled. Pods that are alike to
 * the scheduler wait as a group: a change tries the first of them, and each that fits calls the
 * next, so that a change costs work by group and not by pod.
 */
import { backoffMs } from "#base/backoff.ts";
import { Heap } from "#base/heap.ts";
import { limits } from "#base/limits.ts";
import type { Wake } from "#scheduler/filters.ts";

export interface Entry {
  readonly key: string;
  readonly priority: number;
  /** Order of arrival. */
  readonly order: number;
  /** Pods with one signature fit where one of them fits. */
  readonly signature: string;
  attempts: number;
  /** Not before this moment (monotonic milliseconds). */
  notBeforeMs: number;
}

/** What can let pods fit that did not. */
export interface Hope {
  readonly wokenBy: ReadonlySet<Wake>;
  /** A change of a node helps on that node alone. */
  readonly local: boolean;
}

/** What a change means for a pod. Only a guess waits for the back-off: priority comes first. */
export type Help = "no" | "maybe" | "surely";

/** Pods alike that did not fit. */
interface Group {
  readonly entries: Map<string, Entry>;
  /** The same by age; what is not in `entries` any more is passed over. */
  readonly order: Heap<Entry>;
  hope: Hope;
  sinceMs: number;
  attempts: number;
}

/** Set-aside pods are looked at again this late even if no event woke them. */
export const UNSCHEDULABLE_MS_MAX = limits.unschedulableMsMax;

const isFirst = (a: Entry, b: Entry): boolean =>
  a.priority !== b.priority ? a.priority > b.priority : a.order < b.order;

export class SchedulingQueue {
  /** Everything that is in `#ready` or `#later`; what is not here any more is passed over there. */
  readonly #active = new Map<string, Entry>();
  readonly #ready = new Heap<Entry>(isFirst);
  readonly #later = new Heap<Entry>((a, b) => a.notBeforeMs < b.notBeforeMs);
  readonly #aside = new Map<string, Group>();
  readonly #groupOf = new Map<string, string>();
  #order = 0;

  get size(): number {
    return this.#active.size + this.#groupOf.size;
  }

  /** A new or changed pod: at once, whatever was known of it. */
  add(pod: Pick<Entry, "key" | "priority" | "signature">, nowMs: number): void {
    this.remove(pod.key);
    this.#order += 1;
    this.#push({ ...pod, order: this.#order, attempts: 0, notBeforeMs: nowMs }, nowMs);
  }

  remove(key: string): void {
    this.#active.delete(key);
    const signature = this.#groupOf.get(key);
    if (signature === undefined) return;
    this.#groupOf.delete(key);
    const group = this.#aside.get(signature);
    group?.entries.delete(key);
    if (group?.entries.size === 0) this.#aside.delete(signature);
  }

  #push(entry: Entry, nowMs: number): void {
    this.#active.set(entry.key, entry);
    (entry.notBeforeMs <= nowMs ? this.#ready : this.#later).push(entry);
  }

  /** The most urgent pod that may be tried now; it leaves the queue. */
  next(nowMs: number): Entry | undefined {
    for (const [signature, group] of this.#aside) {
      if (group.sinceMs + UNSCHEDULABLE_MS_MAX <= nowMs) this.#call(signature, group, nowMs, 0);
    }
    for (let due = this.#later.peek(); due !== undefined; due = this.#later.peek()) {
      if (due.notBeforeMs > nowMs) break;
      this.#later.pop();
      if (this.#active.get(due.key) === due) this.#ready.push(due);
    }
    for (let entry = this.#ready.pop(); entry !== undefined; entry = this.#ready.pop()) {
      if (this.#active.get(entry.key) !== entry) continue;
      this.#active.delete(entry.key);
      return entry;
    }
    return undefined;
  }

  /** It fitted nowhere: wait for a change that gives hope. */
  setAside(entry: Entry, hope: Hope, nowMs: number): void {
    const { key, signature } = entry;
    const group: Group = this.#aside.get(signature) ?? {
      entries: new Map(),
      order: new Heap(isFirst),
      hope,
      sinceMs: nowMs,
      attempts: 0,
    };
    this.#aside.set(signature, group);
    const waiting = { ...entry, attempts: entry.attempts + 1 };
    group.entries.set(key, waiting);
    group.order.push(waiting);
    group.hope = hope;
    group.sinceMs = nowMs;
    group.attempts = Math.max(group.attempts, waiting.attempts);
    this.#groupOf.set(key, signature);
  }

  /** It failed by itself (binding refused): again after a while. */
  retry(entry: Entry, nowMs: number): void {
    const waitMs = backoff(entry.attempts);
    this.#push({ ...entry, attempts: entry.attempts + 1, notBeforeMs: nowMs + waitMs }, nowMs);
  }

  /** One of its kind fitted: the next that waits may fit too. */
  placed(signature: string, nowMs: number): void {
    const group = this.#aside.get(signature);
    if (group !== undefined) this.#call(signature, group, nowMs, 0);
  }

  /** Something changed. `helps` answers whether that lets the pod fit; left out: it may. */
  wake(wake: Wake, nowMs: number, helps?: (key: string, local: boolean) => Help): void {
    for (const [signature, group] of this.#aside) {
      if (!group.hope.wokenBy.has(wake)) continue;
      const first = firstOf(group);
      if (first === undefined) continue;
      const help = helps?.(first.key, group.hope.local) ?? "maybe";
      if (help === "no") continue;
      const waitMs = help === "surely" ? 0 : backoff(group.attempts - 1);
      this.#call(signature, group, nowMs, waitMs);
    }
  }

  /** Moves the first of a group to those that are tried, `waitMs` after it last was. */
  #call(signature: string, group: Group, nowMs: number, waitMs: number): void {
    const first = firstOf(group);
    if (first === undefined) return;
    group.entries.delete(first.key);
    this.#groupOf.delete(first.key);
    if (group.entries.size === 0) this.#aside.delete(signature);
    const notBeforeMs = waitMs === 0 ? nowMs : Math.max(nowMs, group.sinceMs + waitMs);
    group.sinceMs = nowMs;
    this.#push({ ...first, attempts: group.attempts, notBeforeMs }, nowMs);
  }

  /** Milliseconds until there is something to do; undefined: nothing waits. */
  waitMs(nowMs: number): number | undefined {
    let soonest = Number.POSITIVE_INFINITY;
    if (this.#active.size > 0) {
      soonest = this.#ready.size > 0 ? nowMs : (this.#later.peek()?.notBeforeMs ?? nowMs);
    }
    for (const group of this.#aside.values()) {
      soonest = Math.min(soonest, group.sinceMs + UNSCHEDULABLE_MS_MAX);
    }
    return soonest === Number.POSITIVE_INFINITY ? undefined : Math.max(0, soonest - nowMs);
  }
}

const backoff = (attempts: number): number =>
  backoffMs(attempts, limits.schedulingBackoffMsMin, limits.schedulingBackoffMsMax);

function firstOf({ entries, order }: Group): Entry | undefined {
  for (let first = order.peek(); first !== undefined; first = order.peek()) {
    if (entries.get(first.key) === first) return first;
    order.pop();
  }
  return undefined;
}
