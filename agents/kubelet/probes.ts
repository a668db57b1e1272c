/**
 * Startup, liveness and readiness probes: thresholds and times of all containers on one timer.
 * https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
 */

import type { PodWork, ProbedBefore, ProbeKeeper } from "#agents/kubelet/context.ts";
import type { ProbeAnswer, Prober } from "#agents/kubelet/prober.ts";
import type { Member, ProbeView } from "#agents/kubelet/types.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Probe } from "#resources/types.gen.ts";

type ProbeKind = "startup" | "liveness" | "readiness";

interface Task {
  kind: ProbeKind;
  probe: Probe;
  entry: Entry;
  dueMs: number;
  successes: number;
  failures: number;
  /** Readiness before the first success: the next wait, growing to the period. */
  eagerMs: number;
}

interface Entry {
  key: string;
  worker: PodWork;
  member: Member;
  containerId: string;
  startedMs: number;
  tasks: Task[];
  over: boolean;
  adopted: boolean;
}

/** Multiples of it, without their whole part, spread evenly however many there are. */
const GOLDEN = 0.618_033_988_75;

const NOTHING: ProbeView = { started: false, ready: false };
const WORD: Record<ProbeKind, string> = {
  startup: "Startup",
  liveness: "Liveness",
  readiness: "Readiness",
};
/** Upstream shows at most this much of an answer in an event. */
const EVENT_TEXT_MAX = 10_240;

export class Probes implements ProbeKeeper {
  readonly #clock: Clock;
  readonly #prober: Prober;
  readonly #entries = new Map<string, Entry>();
  readonly #views = new Map<string, ProbeView>();
  /** Due tasks by slot of time. */
  readonly #slots = new Map<number, Set<Task>>();
  #timer: { atMs: number; cancel: Cancel } | undefined;
  #phase = 0;

  constructor(clock: Clock, prober: Prober) {
    this.#clock = clock;
    this.#prober = prober;
  }

  view(uid: string, container: string): ProbeView {
    return this.#views.get(`${uid}/${container}`) ?? NOTHING;
  }

  /**
   * A container runs and its postStart hook is done. `before`: what the API last knew of an adopted
   * one.
   */
  add(worker: PodWork, member: Member, containerId: string, before?: ProbedBefore): void {
    this.remove(worker.uid, member.spec.name);
    const { startupProbe, livenessProbe, readinessProbe } = member.spec;
    const key = `${worker.uid}/${member.spec.name}`;
    const startedMs = before?.startedMs ?? this.#clock.monotonic();
    const adopted = before?.adopted === true;
    const fresh = { tasks: [], over: false };
    const entry: Entry = { key, worker, member, containerId, startedMs, adopted, ...fresh };
    const started = startupProbe === undefined || before?.started === true;
    const ready = started && (readinessProbe === undefined || before?.ready === true);
    this.#entries.set(key, entry);
    this.#views.set(key, { started, ready });
    if (startupProbe !== undefined && !started) {
      this.#start(entry, "startup", startupProbe);
    } else {
      if (livenessProbe !== undefined) this.#start(entry, "liveness", livenessProbe);
      if (readinessProbe !== undefined) this.#start(entry, "readiness", readinessProbe);
    }
  }

  /** The container must be restarted for another reason than a probe. */
  fail(uid: string, container: string, message: string): void {
    this.#change(`${uid}/${container}`, { unhealthy: { message } });
  }

  remove(uid: string, container: string): void {
    const key = `${uid}/${container}`;
    this.#views.delete(key);
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#end(entry);
    this.#entries.delete(key);
  }

  #change(key: string, change: Partial<ProbeView>): void {
    this.#views.set(key, { ...(this.#views.get(key) ?? NOTHING), ...change });
  }

  #ready(entry: Entry): boolean {
    return this.#views.get(entry.key)?.ready === true;
  }

  stop(): void {
    for (const entry of this.#entries.values()) this.#end(entry);
    this.#entries.clear();
    this.#views.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #end(entry: Entry): void {
    entry.over = true;
    for (const task of entry.tasks) this.#unschedule(task);
    entry.tasks = [];
  }

  #start(entry: Entry, kind: ProbeKind, probe: Probe): void {
    const delayMs = (probe.initialDelaySeconds ?? 0) * 1000;
    const firstMs = entry.startedMs + delayMs + this.#phaseMs(entry, probe);
    const task: Task = {
      kind,
      probe,
      entry,
      dueMs: 0,
      successes: 0,
      failures: 0,
      eagerMs: limits.probeEagerMsMin,
    };
    entry.tasks.push(task);
    this.#schedule(task, Math.max(firstMs, this.#clock.monotonic()));
  }

  /** A new agent takes over all containers at once: their probes are spread over their periods. */
  #phaseMs(entry: Entry, probe: Probe): number {
    const ageMs = this.#clock.monotonic() - entry.startedMs;
    if (!entry.adopted) return 0;
    this.#phase = (this.#phase + GOLDEN) % 1;
    return ageMs + this.#phase * (probe.periodSeconds ?? 10) * 1000;
  }

  #schedule(task: Task, atMs: number): void {
    const slot = Math.ceil(atMs / limits.probeSlotMs);
    task.dueMs = slot * limits.probeSlotMs;
    const tasks = this.#slots.get(slot);
    if (tasks === undefined) this.#slots.set(slot, new Set([task]));
    else tasks.add(task);
    this.#arm();
  }

  #unschedule(task: Task): void {
    const slot = task.dueMs / limits.probeSlotMs;
    const tasks = this.#slots.get(slot);
    tasks?.delete(task);
    if (tasks?.size === 0) this.#slots.delete(slot);
  }

  #arm(): void {
    let first: number | undefined;
    for (const slot of this.#slots.keys()) if (first === undefined || slot < first) first = slot;
    if (first === undefined) return;
    const atMs = first * limits.probeSlotMs;
    if (this.#timer !== undefined) {
      if (this.#timer.atMs <= atMs) return;
      this.#timer.cancel();
    }
    const delayMs = Math.max(0, atMs - this.#clock.monotonic());
    this.#timer = { atMs, cancel: this.#clock.after(delayMs, () => this.#tick()) };
  }

  #tick(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonic();
    for (const [slot, tasks] of [...this.#slots]) {
      // A millisecond early is on time: timers round.
      if (slot * limits.probeSlotMs > nowMs + 1) continue;
      this.#slots.delete(slot);
      for (const task of tasks) void this.#ask(task);
    }
    this.#arm();
  }

  async #ask(task: Task): Promise<void> {
    const { entry } = task;
    const target = {
      containerId: entry.containerId,
      container: entry.member.spec,
      ip: entry.worker.record.sandbox?.ips[0] ?? "",
    };
    const beganMs = this.#clock.monotonic();
    const answer = await this.#prober(target, task.probe);
    if (entry.over) return;
    const waitMs = this.#take(task, answer);
    if (entry.over || waitMs === undefined || !entry.tasks.includes(task)) return;
    this.#schedule(task, Math.max(beganMs + waitMs, this.#clock.monotonic()));
  }

  /** Counts the answer; milliseconds until the next question, or undefined for none. */
  #take(task: Task, answer: ProbeAnswer): number | undefined {
    const periodMs = (task.probe.periodSeconds ?? 10) * 1000;
    if (answer.ok) {
      task.successes++;
      task.failures = 0;
      if (task.successes < (task.probe.successThreshold ?? 1)) return periodMs;
      return this.#succeeded(task) ? periodMs : undefined;
    }
    task.failures++;
    task.successes = 0;
    const { entry, kind } = task;
    const message = answer.message.slice(0, EVENT_TEXT_MAX);
    const text = `${WORD[kind]} probe failed: ${message}`;
    const eager = kind === "readiness" && !this.#ready(entry) && task.eagerMs < periodMs;
    // The quick questions of a start would only fill the list of events.
    if (!eager) entry.worker.event("Warning", "Unhealthy", text, entry.member.spec.name);
    if (task.failures >= (task.probe.failureThreshold ?? 3)) {
      if (!this.#failed(task)) return undefined;
    }
    if (!eager) return periodMs;
    const waitMs = task.eagerMs;
    task.eagerMs *= 2;
    return waitMs;
  }

  /** True: ask on. */
  #succeeded(task: Task): boolean {
    const { entry } = task;
    if (task.kind === "startup") {
      this.#end(entry);
      const { worker, member, containerId, startedMs } = entry;
      this.add(worker, member, containerId, { started: true, ready: false, startedMs });
      worker.wake();
      return false;
    }
    if (task.kind === "readiness") {
      task.eagerMs = Number.POSITIVE_INFINITY;
      if (!this.#ready(entry)) {
        this.#change(entry.key, { ready: true });
        entry.worker.wake();
      }
    }
    return true;
  }

  #failed(task: Task): boolean {
    const { entry, kind } = task;
    const { worker, member } = entry;
    if (kind === "readiness") {
      if (this.#ready(entry)) {
        this.#change(entry.key, { ready: false });
        worker.wake();
      }
      return true;
    }
    // A pod that is being stopped is not restarted any more.
    if (worker.terminatingSinceMs !== undefined) return true;
    const seconds = task.probe.terminationGracePeriodSeconds;
    const message = `Container ${member.spec.name} failed ${kind} probe, will be restarted`;
    const unhealthy = { message, ...(seconds !== undefined && { graceSeconds: seconds }) };
    this.#change(entry.key, { unhealthy });
    worker.wake();
    return false;
  }
}
