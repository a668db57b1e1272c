/**
 * Seats for requests, a number a level. Who finds none waits in the queue of its flow; a seat that
 * becomes free goes to the flow that has the fewest, so that nobody's many requests keep another's
 * few from being answered.
 */
import type { LevelPlan } from "#api/fair/levels.ts";

export type Refusal = "queue-full" | "concurrency-limit" | "time-out";

interface Waiter {
  readonly give: () => void;
  readonly refuse: (why: Refusal) => void;
  readonly sinceMs: number;
}

interface Flow {
  running: number;
  waiting: Waiter[];
  /** When it was served last, in turns. */
  turn: number;
}

class Level {
  plan: LevelPlan;
  running = 0;
  waiting = 0;
  readonly flows = new Map<string, Flow>();

  constructor(plan: LevelPlan) {
    this.plan = plan;
  }

  flow(name: string): Flow {
    let flow = this.flows.get(name);
    if (flow === undefined) {
      flow = { running: 0, waiting: [], turn: 0 };
      this.flows.set(name, flow);
    }
    return flow;
  }

  /** The waiting flow that has the least. */
  next(): Flow | undefined {
    let best: Flow | undefined;
    for (const flow of this.flows.values()) {
      if (flow.waiting.length === 0) continue;
      const less = best === undefined || flow.running < best.running;
      if (less || (flow.running === best?.running && flow.turn < best.turn)) best = flow;
    }
    return best;
  }
}

export class FairQueues {
  readonly #levels = new Map<string, Level>();
  #seatsTotal = 0;
  #running = 0;
  #turn = 0;
  #refused = 0;
  readonly #now: () => number;

  /** `now` never jumps. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get running(): number {
    return this.#running;
  }

  get refused(): number {
    return this.#refused;
  }

  get waiting(): number {
    let sum = 0;
    for (const level of this.#levels.values()) sum += level.waiting;
    return sum;
  }

  has(name: string): boolean {
    return this.#levels.has(name);
  }

  /** New plans; a level that is gone finishes what it has. */
  configure(plans: readonly LevelPlan[], seatsTotal: number): void {
    this.#seatsTotal = seatsTotal;
    const names = new Set(plans.map(({ name }) => name));
    for (const [name, level] of this.#levels) {
      if (names.has(name)) continue;
      this.#levels.delete(name);
      for (const flow of level.flows.values()) {
        for (const { refuse } of flow.waiting.splice(0)) refuse("queue-full");
      }
    }
    for (const plan of plans) {
      const known = this.#levels.get(plan.name);
      if (known === undefined) this.#levels.set(plan.name, new Level(plan));
      else known.plan = plan;
    }
    for (const level of this.#levels.values()) this.#serve(level);
  }

  /**
   * Takes a seat; the function gives it back, once. A promise where one has to wait for it: that
   * rejects with a Refusal. @throws Refusal
   */
  enter(levelName: string, flowName: string): (() => void) | Promise<() => void> {
    const level = this.#levels.get(levelName);
    if (level === undefined || level.plan.exempt) return NOTHING;
    const flow = level.flow(flowName);
    if (level.waiting === 0 && this.#hasSeat(level)) return this.#seat(level, flow, flowName);
    const { flowLengthMax, waitingMax } = level.plan;
    if (flow.waiting.length >= flowLengthMax || level.waiting >= waitingMax) {
      this.#tidy(level, flow, flowName);
      this.#refused += 1;
      throw flowLengthMax === 0 ? "concurrency-limit" : "queue-full";
    }
    const { promise, resolve, reject } = Promise.withResolvers<() => void>();
    level.waiting += 1;
    flow.waiting.push({
      give: () => resolve(this.#seat(level, flow, flowName)),
      refuse: (why) => {
        level.waiting -= 1;
        this.#refused += 1;
        this.#tidy(level, flow, flowName);
        reject(why);
      },
      sinceMs: this.#now(),
    });
    return promise;
  }

  /** Seats of its own first; then what others lend and do not need now. */
  #hasSeat({ running, plan }: Level): boolean {
    if (running < plan.seats) return true;
    if (running >= plan.seatsMax) return false;
    let free = this.#seatsTotal;
    for (const each of this.#levels.values()) {
      free -= Math.max(each.running, each.plan.seats - each.plan.lendable);
    }
    return free > 0;
  }

  #seat(level: Level, flow: Flow, flowName: string): () => void {
    level.running += 1;
    flow.running += 1;
    this.#running += 1;
    this.#turn += 1;
    flow.turn = this.#turn;
    return () => {
      level.running -= 1;
      flow.running -= 1;
      this.#running -= 1;
      this.#tidy(level, flow, flowName);
      this.#serve(level);
      // What was lent may be another's turn now.
      if (level.waiting === 0 && this.waiting > 0) {
        for (const each of this.#levels.values()) this.#serve(each);
      }
    };
  }

  #serve(level: Level): void {
    while (level.waiting > 0 && this.#hasSeat(level)) {
      const waiter = level.next()?.waiting.shift();
      if (waiter === undefined) return;
      level.waiting -= 1;
      waiter.give();
    }
  }

  #tidy(level: Level, flow: Flow, name: string): void {
    if (flow.running === 0 && flow.waiting.length === 0) level.flows.delete(name);
  }

  /** Refuses those who have waited for this long. */
  expire(waitMsMax: number): void {
    const before = this.#now() - waitMsMax;
    for (const level of this.#levels.values()) {
      for (const flow of [...level.flows.values()]) {
        while ((flow.waiting[0]?.sinceMs ?? Number.POSITIVE_INFINITY) <= before) {
          flow.waiting.shift()?.refuse("time-out");
        }
      }
    }
  }
}

const NOTHING = (): void => {};
