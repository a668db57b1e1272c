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

test("telling has a share of the time, whatever one telling takes", async () => {
  const clock = fakeClock();
  let tookMs = 0;
  const fanout = new Fanout(silentLog, { ...clock, monotonic: () => clock.monotonic() + tookMs });
  let rounds = 0;
  const onChanges = (): void => {
    rounds += 1;
    tookMs += limits.fanoutBurstMs / 2;
  };
  const slow = { prefix: PODS, after: 0, patient: true, onChanges, onClosed() {} };
  fanout.add(slow, 0, []);
  for (let i = 1; i < MANY; i++) fanout.add({ ...slow, onChanges() {} }, 0, []);
  const publish = async (revision: number): Promise<void> => {
    fanout.publish([change(revision)]);
    await clock.settle();
  };
  for (const revision of [1, 2, 3, 4, 5]) await publish(revision);
  expect(rounds).toBe(3);
  await clock.advance(10_000);
  expect(rounds).toBe(4);
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
