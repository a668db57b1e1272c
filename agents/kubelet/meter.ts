/**
 * CPU use as a rate, which needs two looks: the one before is remembered, and where there is none
 * the second comes a moment later. Nobody asks, nothing is measured.
 */
import {
  type ContainerUsage,
  type Measured,
  type NodeUsage,
  nodeUsage,
} from "#agents/kubelet/stats.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

/** One look: CPU time by id of the container, uid of the pod, or "" for the machine. */
export interface Look {
  /** By the monotonic clock. */
  atMs: number;
  cpuNanos: ReadonlyMap<string, number>;
}

export interface Reading extends NodeUsage {
  /** When it was read, and how far back its rates reach. */
  atMs: number;
  windowMs: number;
  /** Billionths of a core; undefined for what was not there in the window. */
  nanoCores(key: string): number | undefined;
}

/** Whether rates may start at a look of this age. */
export const isBase = (ageMs: number): boolean =>
  ageMs >= limits.usageWindowMsMin && ageMs <= limits.usageWindowMsMax;

/** Rates between two looks; a counter that went back belongs to another container. */
export function rateOf(before: Look, after: Look, key: string): number | undefined {
  const [from, to] = [before.cpuNanos.get(key), after.cpuNanos.get(key)];
  const ms = after.atMs - before.atMs;
  if (from === undefined || to === undefined || to < from || ms <= 0) return undefined;
  return Math.round(((to - from) * 1000) / ms);
}

/** Of a container that is younger than the window: since its start. */
function sinceStart({ cpuUsageNanos, startedAtMs }: ContainerUsage, nowMs: number) {
  const ms = nowMs - startedAtMs;
  return ms >= limits.usageWindowMsMin ? Math.round((cpuUsageNanos * 1000) / ms) : undefined;
}

export class Meter {
  readonly #measured: Measured;
  readonly #clock: Clock;
  /** At most two: the newest, and the one that rates start at meanwhile. */
  #looks: Look[] = [];
  #reading: Promise<Reading> | undefined;

  constructor(measured: Measured, clock: Clock) {
    this.#measured = measured;
    this.#clock = clock;
  }

  /** One reading at a time, however many ask. */
  read(): Promise<Reading> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #look(): Promise<{ usage: NodeUsage; look: Look }> {
    const usage = await nodeUsage(this.#measured);
    const cpuNanos = new Map([["", usage.machine.cpuUsageNanos]]);
    for (const { record, containers, total } of usage.pods) {
      if (total !== undefined) cpuNanos.set(record.uid, total.cpuUsageNanos);
      for (const { id, cpuUsageNanos } of containers) cpuNanos.set(id, cpuUsageNanos);
    }
    return { usage, look: { atMs: this.#clock.monotonic(), cpuNanos } };
  }

  /** The newest look that is old enough, and not too old. */
  #base(nowMs: number): Look | undefined {
    return this.#looks.find(({ atMs }) => isBase(nowMs - atMs));
  }

  /** Who asks again at once must not push out what rates start at. */
  #keep(look: Look): void {
    const [newest] = this.#looks;
    if (newest !== undefined && look.atMs - newest.atMs < limits.usageWindowMsMin) return;
    this.#looks = newest === undefined ? [look] : [look, newest];
  }

  async #read(): Promise<Reading> {
    if (this.#base(this.#clock.monotonic()) === undefined) {
      const { look } = await this.#look();
      this.#looks = [look];
      await sleep(this.#clock, limits.usageWindowMsMin);
    }
    const { usage, look } = await this.#look();
    const base = this.#base(look.atMs) ?? look;
    this.#keep(look);
    const nowMs = this.#clock.now();
    const containers = new Map(
      usage.pods.flatMap((pod) => pod.containers.map((each) => [each.id, each] as const)),
    );
    return {
      ...usage,
      atMs: nowMs,
      windowMs: Math.max(1, look.atMs - base.atMs),
      nanoCores(key) {
        const container = containers.get(key);
        return rateOf(base, look, key) ?? (container && sinceStart(container, nowMs));
      },
    };
  }
}
