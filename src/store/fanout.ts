/**
 * Hands changes to watchers. Watchers of the same prefix, or of one value of a field in it, form a
 * group, so a change costs only the groups that it concerns: ten thousand watchers of other
 * buckets, or of other nodes' pods, cost nothing. Where many watch alike and much changes, those
 * who may be told later are told many changes at a time: each telling costs a packet, whatever is
 * in it, and telling has a share of the time.
 */
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { type Group, Groups } from "#store/groups.ts";
import type { Change, Watch, WatchOptions } from "#store/store.ts";
import { Turns } from "#store/turns.ts";

interface Watcher {
  readonly options: WatchOptions;
  readonly group: Group<Watcher>;
  /** Changes up to this revision came with the backlog. */
  readonly from: number;
}

/** What a patient watcher is yet to be told, oldest first. */
function untold(watcher: Watcher): readonly Change[] {
  const { telling, pending, patient } = watcher.group;
  if (!patient.has(watcher)) return [];
  return telling?.rest.has(watcher) ? telling.changes : pending;
}

const isThere = (watcher: Watcher): boolean =>
  watcher.group.prompt.has(watcher) || watcher.group.patient.has(watcher);

export class Fanout {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #groups = new Groups<Watcher>();
  readonly #turns: Turns;
  /** Groups whose patient watchers have something to hear, in the order of their turns. */
  readonly #waiting = new Set<Group<Watcher>>();
  #starts: Array<{ watcher: Watcher; backlog: readonly Change[] }> = [];
  #published: Change[] = [];
  #scheduled = false;
  #cancel: Cancel | undefined;
  /** When that comes. */
  #dueMs = 0;
  /** Groups of which some are told, and the others in later turns of the event loop. */
  readonly #tellings = new Set<Group<Watcher>>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    const { fanoutMsPerSecond: perSecond, fanoutBurstMs: burst } = limits;
    this.#turns = new Turns({ clock, perSecond, burst });
  }

  /** `backlog`: the changes after `options.after` up to and including revision `from`. */
  add(options: WatchOptions, from: number, backlog: readonly Change[]): Watch {
    const group = this.#groups.join(options.prefix, options.field);
    const watcher: Watcher = { options, group, from };
    (options.patient === true ? group.patient : group.prompt).add(watcher);
    if (backlog.length > 0) {
      this.#starts.push({ watcher, backlog });
      this.#schedule();
    }
    return {
      close: () => this.#remove(watcher),
      behind: () => (this.#backlogOf(watcher) ?? untold(watcher))[0]?.revision,
    };
  }

  /** What a watcher that has just begun is yet to be told first. */
  #backlogOf(watcher: Watcher): readonly Change[] | undefined {
    return this.#starts.find((one) => one.watcher === watcher)?.backlog;
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
    for (const group of [...this.#tellings]) this.#goOn(group, Number.POSITIVE_INFINITY);
    for (const group of [...this.#waiting]) this.#tellPatient(group, Number.POSITIVE_INFINITY);
    this.#cancel?.();
    this.#cancel = undefined;
    const all = [...this.#groups.all()].flatMap(({ prompt, patient }) => [...prompt, ...patient]);
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
    for (const [group, changes] of this.#groups.sort(published)) {
      for (const watcher of group.prompt) this.#tell(watcher, changes);
      if (group.patient.size === 0) continue;
      for (const change of changes) group.pending.push(change);
      if (group.telling === undefined) this.#waiting.add(group);
      else if (group.pending.length >= limits.fanoutBehindMax) {
        this.#goOn(group, Number.POSITIVE_INFINITY);
      }
    }
    this.#giveTurns();
  }

  /** Tells the groups that have their turn, or cannot wait. */
  #giveTurns(untilMs = this.#clock.monotonic() + limits.fanoutPartMs): void {
    let waitMs = 0;
    for (const group of this.#waiting) {
      const { patient, pending } = group;
      const few = patient.size <= limits.fanoutFewMax;
      if (!few && pending.length < limits.fanoutPendingMax) {
        waitMs = this.#turns.waitMs();
        if (waitMs > 0 || this.#clock.monotonic() >= untilMs) continue;
      }
      this.#tellPatient(group, few ? Number.POSITIVE_INFINITY : untilMs);
    }
    if (this.#tellings.size > 0) this.#wake(0);
    else if (this.#waiting.size > 0) this.#wake(waitMs);
  }

  /** Goes on after others had their turn of the event loop. */
  #wake(waitMs: number): void {
    const dueMs = this.#clock.monotonic() + waitMs;
    if (this.#cancel !== undefined && this.#dueMs <= dueMs) return;
    this.#cancel?.();
    this.#dueMs = dueMs;
    this.#cancel = this.#clock.after(waitMs, () => {
      this.#cancel = undefined;
      const untilMs = this.#clock.monotonic() + limits.fanoutPartMs;
      for (const group of this.#tellings) {
        this.#goOn(group, untilMs);
        if (this.#clock.monotonic() >= untilMs) break;
      }
      this.#giveTurns(untilMs);
    });
  }

  /** Tells a group what is pending: as many of it as there is time for, the others later. */
  #tellPatient(group: Group<Watcher>, untilMs: number): void {
    this.#waiting.delete(group);
    group.telling = { changes: group.pending, rest: new Set(group.patient) };
    group.pending = [];
    this.#tellings.add(group);
    this.#goOn(group, untilMs);
  }

  #goOn(group: Group<Watcher>, untilMs: number): void {
    const { telling } = group;
    if (telling === undefined) return;
    const startedMs = this.#clock.monotonic();
    const few = group.patient.size <= limits.fanoutFewMax;
    const before = telling.rest.size;
    for (const watcher of telling.rest) {
      telling.rest.delete(watcher);
      this.#tell(watcher, telling.changes);
      if (this.#clock.monotonic() >= untilMs) break;
    }
    if (!few) {
      const tookMs = this.#clock.monotonic() - startedMs;
      const told = before - telling.rest.size;
      this.#turns.take(Math.max(tookMs, told * limits.fanoutTellMsMin));
    }
    if (telling.rest.size > 0) return;
    this.#tellings.delete(group);
    group.telling = undefined;
    if (group.pending.length > 0) this.#waiting.add(group);
  }

  /** All watchers of a group share the array. */
  #tell(watcher: Watcher, changes: readonly Change[]): void {
    const late = watcher.from >= (changes[0]?.revision ?? 0);
    const fresh = late ? changes.filter((c) => c.revision > watcher.from) : changes;
    if (fresh.length > 0) this.#deliver(watcher, fresh);
  }

  #deliver(watcher: Watcher, changes: readonly Change[]): void {
    if (!isThere(watcher)) return;
    try {
      watcher.options.onChanges(changes);
    } catch (error) {
      this.#log.error("a watcher failed", { error: messageOf(error) });
      this.#remove(watcher);
      this.#end(watcher, new Error("the watcher failed", { cause: error }));
    }
  }

  #end(watcher: Watcher, reason: Error): void {
    this.#remove(watcher);
    try {
      watcher.options.onClosed(reason);
    } catch (error) {
      this.#log.error("a watcher failed to close", { error: messageOf(error) });
    }
  }

  #remove(watcher: Watcher): void {
    const { group } = watcher;
    group.prompt.delete(watcher);
    group.patient.delete(watcher);
    group.telling?.rest.delete(watcher);
    if (group.patient.size === 0) {
      group.pending = [];
      group.telling = undefined;
      this.#waiting.delete(group);
      this.#tellings.delete(group);
    }
    if (group.prompt.size + group.patient.size === 0) this.#groups.leave(group);
  }
}
