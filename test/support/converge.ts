/**
 * From any state to rest: controllers run on a `World` as their loops would run them, time
 * included. What holds at every step and what holds at the end is the property's to say.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { must } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import type { Client } from "#client/client.ts";
import type { Action, Controller } from "#client/controller.ts";
import type { Kind } from "#resources/kind.ts";
import { type ApiObject, refKey, type Stored } from "#resources/meta.ts";
import { tries } from "#test/support/property.ts";
import { Refused, World } from "#test/support/world.ts";

export interface Course<T> {
  any: fc.Arbitrary<T>;
  /** Puts the state into the world. Answers the controllers that are to bring it to rest. */
  build(world: World, value: T, clock: Clock): ReadonlyArray<Controller<unknown>>;
  /** Before each round: what the rest of the cluster does (a heartbeat, a finalizer taken away). */
  meanwhile?(world: World, value: T): void;
  /** After each action. */
  always?(world: World, value: T, action: Action): void;
  /** Once nothing is left to do. */
  rest?(world: World, value: T): void;
  /** Rounds with an action until there is none. */
  roundsMax: number;
  /** Timers that end within this are waited for; default: none. */
  horizonMs?: number;
  /** The API as `confirm` sees it; default: the world. */
  client?(client: Client, value: T): Client;
}

/** Its monotonic time is the world's. Nothing is timed by it. */
const clockOf = (world: World): Clock => ({
  now: () => world.now,
  monotonic: () => world.now,
  after: () => () => {},
});

type Write = Action & { do: "create" | "update" };

const EARLY_MS = 1_000;

const no = (what: string) => (): never => {
  throw new Error(`${what} is no call of a controller's confirm`);
};

function clientOf(world: World): Client {
  const after = <T extends ApiObject>(kind: Kind<T>, action: Write): Stored<T> => {
    world.apply(action);
    const metadata = must(action.object.metadata, "metadata");
    const key = refKey({ ...metadata, name: metadata.name ?? "" });
    return must(world.get(kind, key), key);
  };
  return {
    get: async (kind, ref) => world.get(kind, refKey(ref)),
    list: async (kind, query) => ({
      items: [...world.items(kind).list(query?.namespace)],
      resourceVersion: "1",
    }),
    unchanged: async () => false,
    create: async (kind, object) => after(kind, { do: "create", kind, object }),
    update: async (kind, object) => after(kind, { do: "update", kind, object }),
    patch: no("patch"),
    delete: no("delete"),
    deleteAll: no("deleteAll"),
    post: no("post"),
    watch: no("watch"),
    read: no("read"),
    fetch: no("fetch"),
  };
}

class Run<T> {
  readonly world = new World();
  readonly #course: Course<T>;
  readonly #value: T;
  readonly #controllers: ReadonlyArray<Controller<unknown>>;
  readonly #client: Client;
  /** The next timer that a plan of this round set. */
  #againMs = Number.POSITIVE_INFINITY;

  constructor(course: Course<T>, value: T) {
    this.#course = course;
    this.#value = value;
    this.#controllers = course.build(this.world, value, clockOf(this.world));
    const client = clientOf(this.world);
    this.#client = course.client?.(client, value) ?? client;
  }

  async toRest(): Promise<void> {
    const { roundsMax, horizonMs = 0, meanwhile, rest } = this.#course;
    const untilMs = this.world.now + horizonMs;
    for (let rounds = 0; ; ) {
      meanwhile?.(this.world, this.#value);
      if ((await this.#round(rounds)) > 0) {
        expect(++rounds).toBeLessThanOrEqual(roundsMax);
        continue;
      }
      if (this.world.now + this.#againMs > untilMs) break;
      // Somebody looks a second too early, and nothing may happen yet; then the timer ends.
      const early = this.#againMs - EARLY_MS;
      this.world.now += Math.max(1, early > 0 ? early : this.#againMs);
    }
    // Who looks again without a reason changes nothing, and says nothing new of it.
    const { writes } = this.world;
    expect(await this.#round(99)).toBe(0);
    expect(this.world.writes).toBe(writes);
    rest?.(this.world, this.#value);
  }

  /** All keys of all controllers once. Answers the actions taken, events apart. */
  async #round(round: number): Promise<number> {
    this.#againMs = Number.POSITIVE_INFINITY;
    let actions = 0;
    for (const controller of this.#controllers) {
      for (const key of [...this.world.items(controller.kind).keys()]) {
        actions += await this.#plan(controller, key, ((round + 1) * 0.6180339887) % 1);
      }
    }
    return actions;
  }

  async #plan(controller: Controller<unknown>, key: string, seed: number): Promise<number> {
    const { world } = this;
    const around = { caches: world.caches, now: world.now, random: () => seed };
    let state = controller.read(key, around);
    if (state === undefined) return 0;
    state = (await controller.confirm?.(state, this.#client)) ?? state;
    const { actions, againMs } = controller.plan(state, world.now);
    if (againMs !== undefined) this.#againMs = Math.min(this.#againMs, againMs);
    try {
      for (const action of actions) {
        world.apply(action);
        this.#course.always?.(world, this.#value, action);
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { action, code, reason, message } = error;
      const told = controller.failed?.(state, { action, code, reason, message }, world.now) ?? [];
      for (const one of told) world.apply(one);
    }
    return actions.filter((action) => action.do !== "event").length;
  }
}

/** One property: every state comes to rest within its bound, and stays there. */
export function converges<T>(what: string, course: Course<T>): void {
  test(`property: ${what}`, async () => {
    await fc.assert(
      fc.asyncProperty(course.any, (value) => new Run(course, value).toRest()),
      tries(100),
    );
  });
}
