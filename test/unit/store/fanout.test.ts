import { describe, expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { Fanout } from "#store/fanout.ts";
import type { Change, FieldValue, Watch } from "#store/store.ts";
import { Turns } from "#store/turns.ts";
import { fakeClock } from "#test/support/clock.ts";

const PODS = "core/pods/";
const NODES = "core/nodes/";
const MANY = limits.fanoutFewMax + 1;

const change = (revision: number, node = "", before?: string, prefix = PODS): Change => {
  const item = (at: string, of: number) => ({
    ...{ key: `${prefix}p${revision}`, value: "x", revision: of },
    terms: { labels: {}, fields: { node: at } },
  });
  const previous = before === undefined ? undefined : item(before, revision - 1);
  return { type: "put", revision, item: item(node, revision), ...(previous && { previous }) };
};

function fanoutOf() {
  const clock = fakeClock();
  const fanout = new Fanout(silentLog, clock);
  const listen = (more: { patient?: boolean; field?: FieldValue } = {}, from = 0) => {
    const rounds: number[][] = [];
    const watch: Watch = fanout.add(
      {
        prefix: PODS,
        after: from,
        onChanges: (changes) => rounds.push(changes.map(({ revision }) => revision)),
        onClosed: () => rounds.push([]),
        ...more,
      },
      from,
      [],
    );
    return { rounds, watch };
  };
  const crowd = (size: number, prefix = PODS): void => {
    const options = { prefix, after: 0, patient: true, onChanges() {}, onClosed() {} };
    for (let i = 0; i < size; i++) fanout.add(options, 0, []);
  };
  /** Spends what may be spent at once, elsewhere. */
  const spend = async (): Promise<void> => {
    crowd(2_000, NODES);
    const eachMs = 2_000 * limits.fanoutTellMsMin;
    for (let spentMs = 0; spentMs <= limits.fanoutBurstMs; spentMs += eachMs) {
      fanout.publish([change(1, "", undefined, NODES)]);
      await clock.settle();
    }
  };
  return { clock, fanout, listen, crowd, spend };
}

describe("a change", () => {
  test("reaches those who look at its field's value, now or before", async () => {
    const { clock, fanout, listen } = fanoutOf();
    const one = listen({ field: { name: "node", value: "one" } });
    const none = listen({ field: { name: "node", value: "" } });
    const all = listen();
    fanout.publish([change(1, "one", ""), change(2, "two", "one"), change(3, "two", "two")]);
    await clock.settle();
    expect([one.rounds, none.rounds, all.rounds]).toEqual([[[1, 2]], [[1]], [[1, 2, 3]]]);
    one.watch.close();
    fanout.publish([change(4, "one")]);
    await clock.settle();
    expect(one.rounds).toEqual([[1, 2]]);
  });
});

describe("where many watch alike", () => {
  test("what happens after a burst is told together, in order, each once", async () => {
    const { clock, fanout, listen, crowd, spend } = fanoutOf();
    const prompt = listen();
    const few = listen({ patient: true, field: { name: "node", value: "one" } });
    const patient = listen({ patient: true });
    crowd(MANY);
    fanout.publish([change(1, "one")]);
    await clock.settle();
    await spend();
    for (const revision of [2, 3, 4]) {
      fanout.publish([change(revision, "one")]);
      await clock.settle();
    }
    expect(prompt.rounds).toEqual([[1], [2], [3], [4]]);
    expect(few.rounds).toEqual([[1], [2], [3], [4]]);
    expect(patient.rounds).toEqual([[1]]);
    expect([prompt.watch.behind(), patient.watch.behind()]).toEqual([undefined, 2]);
    const late = listen({ patient: true }, 3);
    await clock.advance(10_000);
    expect(patient.rounds).toEqual([[1], [2, 3, 4]]);
    expect(late.rounds).toEqual([[4]]);
    expect(patient.watch.behind()).toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  test("no more than a bound waits, and an end hands over the rest", async () => {
    const { clock, fanout, listen, crowd, spend } = fanoutOf();
    const { rounds } = listen({ patient: true });
    crowd(MANY);
    let revision = 0;
    const publish = async (count: number): Promise<void> => {
      fanout.publish(Array.from({ length: count }, () => change(++revision)));
      await clock.settle();
    };
    await publish(1);
    await spend();
    await publish(limits.fanoutPendingMax);
    await publish(1);
    expect(rounds.map(({ length }) => length)).toEqual([1, limits.fanoutPendingMax]);
    fanout.close(new Error("over"));
    expect(rounds.slice(2)).toEqual([[revision], []]);
    await clock.advance(10_000);
    expect(rounds.length).toBe(4);
    expect(clock.timers).toBe(0);
  });

  test("who leaves last leaves nothing behind", async () => {
    const { clock, fanout, listen, spend } = fanoutOf();
    const watches = Array.from({ length: MANY }, () => listen({ patient: true }).watch);
    await spend();
    fanout.publish([change(2)]);
    await clock.settle();
    expect(watches[0]?.behind()).toBe(2);
    for (const watch of watches) watch.close();
    expect(watches[0]?.behind()).toBeUndefined();
    await clock.advance(10_000);
    expect(clock.timers).toBe(0);
  });
});

/** A fanout to whose clock each telling adds what the watcher says that it takes. */
function slowFanout() {
  const clock = fakeClock();
  let tookMs = 0;
  const turnsMs: number[] = [];
  const fanout = new Fanout(silentLog, {
    ...clock,
    monotonic: () => clock.monotonic() + tookMs,
    after: (ms, run) =>
      clock.after(ms, () => {
        const beforeMs = tookMs;
        run();
        turnsMs.push(tookMs - beforeMs);
      }),
  });
  const listen = (takesMs: number, from = 0, prefix = PODS) => {
    const rounds: number[][] = [];
    const onChanges = (changes: readonly Change[]): void => {
      rounds.push(changes.map(({ revision }) => revision));
      tookMs += takesMs;
    };
    const options = { prefix, after: from, patient: true, onChanges, onClosed() {} };
    return { rounds, watch: fanout.add(options, from, []) };
  };
  return { clock, fanout, listen, turnsMs };
}

test("telling has a share of the time, whatever one telling takes", async () => {
  const { clock, fanout, listen } = slowFanout();
  const { rounds } = listen(limits.fanoutBurstMs / 2);
  for (let i = 1; i < MANY; i++) listen(0);
  const publish = async (revision: number): Promise<void> => {
    fanout.publish([change(revision)]);
    await clock.advance(1);
  };
  for (const revision of [1, 2, 3, 4, 5]) await publish(revision);
  expect(rounds).toEqual([[1], [2], [3]]);
  await clock.advance(10_000);
  expect(rounds).toEqual([[1], [2], [3], [4, 5]]);
});

describe("where telling all takes long", () => {
  const takesMs = limits.fanoutPartMs / 2;

  test("others have a turn in between, and each hears all in order, once", async () => {
    const { clock, fanout, listen } = slowFanout();
    const all = Array.from({ length: MANY }, () => listen(takesMs));
    const heard = () => all.filter(({ rounds }) => rounds.length > 0).length;
    fanout.publish([change(1), change(2)]);
    await clock.settle();
    expect(heard()).toBe(2);
    fanout.publish([change(3)]);
    await clock.settle();
    expect(heard()).toBe(2);
    expect([all[0]?.watch.behind(), all[5]?.watch.behind()]).toEqual([3, 1]);
    // Who comes now has seen all that is told; who goes is told nothing more.
    const late = listen(0, 3);
    all[7]?.watch.close();
    await clock.advance(10_000);
    for (const [i, { rounds }] of all.entries()) {
      expect(rounds).toEqual(i === 7 ? [] : [[1, 2], [3]]);
    }
    expect(late.rounds).toEqual([]);
    expect([all[0]?.watch.behind(), all[5]?.watch.behind()]).toEqual([undefined, undefined]);
    expect(clock.timers).toBe(0);
  });

  test("what waits meanwhile is bounded, and an end hands over the rest", async () => {
    const { clock, fanout, listen } = slowFanout();
    const { rounds } = Array.from({ length: MANY }, () => listen(takesMs)).at(-1) ?? listen(0);
    let revision = 0;
    const publish = async (count: number): Promise<void> => {
      fanout.publish(Array.from({ length: count }, () => change(++revision)));
      await clock.settle();
    };
    await publish(1);
    expect(rounds).toEqual([]);
    await publish(limits.fanoutBehindMax - 1);
    expect(rounds).toEqual([]);
    await publish(1);
    expect(rounds.map(({ length }) => length)).toEqual([1]);
    await publish(5);
    fanout.close(new Error("over"));
    expect(rounds.map(({ length }) => length)).toEqual([1, limits.fanoutBehindMax, 5]);
    await clock.advance(10_000);
    expect(clock.timers).toBe(0);
  });

  test("many groups share the time of one part", async () => {
    const { clock, fanout, listen, turnsMs } = slowFanout();
    const kinds = [PODS, NODES, "core/services/"];
    const all = kinds.flatMap((prefix) =>
      Array.from({ length: limits.fanoutFewMax + 1 }, () => listen(1, 0, prefix)),
    );
    const heard = () => all.filter(({ rounds }) => rounds.length > 0).length;
    fanout.publish(kinds.map((prefix, i) => change(i + 1, "", undefined, prefix)));
    await clock.settle();
    expect(heard()).toBe(limits.fanoutPartMs);
    await clock.advance(1);
    expect(heard()).toBe(all.length);
    expect(Math.max(...turnsMs)).toBe(limits.fanoutPartMs);
  });

  test("who leaves last leaves nothing behind", async () => {
    const { clock, fanout, listen } = slowFanout();
    const all = Array.from({ length: MANY }, () => listen(takesMs));
    fanout.publish([change(1)]);
    await clock.settle();
    for (const { watch } of all) watch.close();
    await clock.advance(10_000);
    expect(all.filter(({ rounds }) => rounds.length > 0).length).toBe(2);
    expect(clock.timers).toBe(0);
  });
});

test("turns come back with time, up to a bound", async () => {
  const clock = fakeClock();
  const turns = new Turns({ clock, perSecond: 100, burst: 10 });
  turns.take(60);
  expect(turns.waitMs()).toBe(501);
  await clock.advance(501);
  expect(turns.waitMs()).toBe(0);
  await clock.advance(60_000);
  turns.take(10);
  expect(turns.waitMs()).toBe(1);
});
