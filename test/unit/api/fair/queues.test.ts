import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type LevelPlan, planLevels } from "#api/fair/levels.ts";
import { FairQueues } from "#api/fair/queues.ts";
import { tries } from "#test/support/property.ts";

const plan = (name: string, more: Partial<LevelPlan> = {}): LevelPlan => ({
  name,
  exempt: false,
  seats: 2,
  lendable: 0,
  seatsMax: 2,
  flowLengthMax: 3,
  waitingMax: 100,
  ...more,
});

function queuesOf(...plans: LevelPlan[]): FairQueues {
  const queues = new FairQueues(() => nowMs);
  queues.configure(
    plans,
    plans.reduce((sum, { seats }) => sum + seats, 0),
  );
  return queues;
}

let nowMs = 0;

interface Asked {
  state: "waits" | "runs" | string;
  done: () => void;
}

/** Asks for a seat, and keeps what became of it. */
function ask(queues: FairQueues, level: string, flow: string): Asked {
  const asked: Asked = { state: "waits", done: () => {} };
  const runs = (done: () => void): void => {
    asked.state = "runs";
    asked.done = done;
  };
  try {
    const seat = queues.enter(level, flow);
    if (seat instanceof Promise) {
      seat.then(runs, (why) => {
        asked.state = why;
      });
    } else runs(seat);
  } catch (why) {
    asked.state = String(why);
  }
  return asked;
}

const settle = (): Promise<void> => Bun.sleep(0);
const states = (all: readonly Asked[]): string[] => all.map(({ state }) => state);

describe("seats", () => {
  test("are given while there are any, then a flow's queue, then refused", () => {
    const queues = queuesOf(plan("a"));
    const all = Array.from({ length: 6 }, () => ask(queues, "a", "jane"));
    expect(states(all)).toEqual(["runs", "runs", "waits", "waits", "waits", "queue-full"]);
    expect(ask(queues, "a", "joe").state).toBe("waits");
    expect([queues.running, queues.waiting, queues.refused]).toEqual([2, 4, 1]);
  });

  test("that become free go to the flow with the fewest", async () => {
    const queues = queuesOf(plan("a"));
    const jane = Array.from({ length: 5 }, () => ask(queues, "a", "jane"));
    const joe = ask(queues, "a", "joe");
    jane[0]?.done();
    await settle();
    expect([joe.state, jane[2]?.state]).toEqual(["runs", "waits"]);
  });

  test("of an exempt level have no end", () => {
    const queues = queuesOf(plan("exempt", { exempt: true, seats: 0 }));
    const all = Array.from({ length: 50 }, () => ask(queues, "exempt", "root"));
    expect(new Set(states(all))).toEqual(new Set(["runs"]));
  });

  test("of a level that rejects are refused at once", () => {
    const queues = queuesOf(plan("a", { seats: 1, seatsMax: 1, flowLengthMax: 0, waitingMax: 0 }));
    const all = [ask(queues, "a", "x"), ask(queues, "a", "y")];
    expect(states(all)).toEqual(["runs", "concurrency-limit"]);
  });

  test("that another level lends are used, but never those that it keeps", async () => {
    const queues = queuesOf(
      plan("lender", { seats: 4, lendable: 3, seatsMax: 4 }),
      plan("borrower", { seats: 1, seatsMax: 10, flowLengthMax: 10 }),
    );
    const all = Array.from({ length: 6 }, () => ask(queues, "borrower", "x"));
    expect(states(all)).toEqual(["runs", "runs", "runs", "runs", "waits", "waits"]);
    const own = Array.from({ length: 4 }, () => ask(queues, "lender", "y"));
    expect(new Set(states(own))).toEqual(new Set(["runs"]));
    for (const each of own) each.done();
    all[0]?.done();
    await settle();
    expect(states(all.slice(1))).toEqual(["runs", "runs", "runs", "runs", "waits"]);
  });

  test("do not come: who has waited too long is told so", async () => {
    const queues = queuesOf(plan("a", { seats: 1, seatsMax: 1 }));
    const first = ask(queues, "a", "x");
    const second = ask(queues, "a", "x");
    nowMs += 10_000;
    const third = ask(queues, "a", "x");
    queues.expire(10_000);
    await settle();
    expect(states([first, second, third])).toEqual(["runs", "time-out", "waits"]);
    first.done();
    await settle();
    expect(third.state).toBe("runs");
  });

  test("property: are never more than there are, and none is lost", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ flow: fc.integer({ min: 0, max: 4 }), ends: fc.boolean() }), {
          maxLength: 60,
        }),
        async (steps) => {
          const queues = queuesOf(plan("a", { seats: 3, seatsMax: 3, flowLengthMax: 100 }));
          const all: Asked[] = [];
          for (const { flow, ends } of steps) {
            if (ends) all.find(({ state }) => state === "runs")?.done();
            for (const each of all)
              if (ends && each.state === "runs") {
                each.state = "over";
                break;
              }
            all.push(ask(queues, "a", `f${flow}`));
            await Promise.resolve();
            expect(queues.running).toBeLessThanOrEqual(3);
          }
          for (let left = all.length; left > 0; left -= 1) {
            const next = all.find(({ state }) => state === "runs");
            next?.done();
            if (next !== undefined) next.state = "over";
            await Promise.resolve();
            await Promise.resolve();
          }
          expect(all.every(({ state }) => state === "over")).toBe(true);
          expect([queues.running, queues.waiting]).toEqual([0, 0]);
        },
      ),
      tries(50),
    );
  });
});

describe("plans", () => {
  test("share all seats out by shares, rounded up", () => {
    const level = (name: string, shares: number, lendablePercent = 0) => ({
      metadata: { name },
      spec: { type: "Limited", limited: { nominalConcurrencyShares: shares, lendablePercent } },
    });
    const plans = planLevels([level("a", 30, 50), level("b", 10), level("c", 1)], 100);
    expect(plans.map(({ seats, lendable }) => [seats, lendable])).toEqual([
      [74, 37],
      [25, 0],
      [3, 0],
    ]);
  });
});
