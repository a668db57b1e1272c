import { expect, test } from "bun:test";
import { History } from "#store/history.ts";
import type { Change, Item } from "#store/store.ts";

const WIDE = { eventsMax: 100, bytesMax: 1_000_000 };

function item(key: string, revision: number, size = 2): Item {
  return { key, value: "x".repeat(size), revision, terms: { labels: {}, fields: {} } };
}

function put(key: string, revision: number, previous?: Item, size = 2): Change {
  const now = item(key, revision, size);
  return { type: "put", revision, item: now, ...(previous && { previous }) };
}

const A = "core/pods/a/x";
const B = "core/pods/b/x";

test("changes after a revision, of a prefix, oldest first", () => {
  const history = new History(10, WIDE);
  for (const [key, revision] of [
    [A, 11],
    [B, 13],
    [A, 17],
  ] as const) {
    history.push(put(key, revision));
  }
  const after = (revision: number, prefix: string) =>
    history.after(revision, prefix).map((change) => change.revision);
  expect(after(10, "core/pods/")).toEqual([11, 13, 17]);
  expect(after(11, "core/pods/")).toEqual([13, 17]);
  expect(after(12, "core/pods/a/")).toEqual([17]);
  expect(after(17, "core/pods/")).toEqual([]);
  expect(() => history.after(9, "core/pods/")).toThrow("reaches");
  expect(() => history.push(put(A, 10))).toThrow("grows");
});

test("the overlay holds what stood there first, also when that was nothing", () => {
  const history = new History(0, WIDE);
  const one = item(A, 1);
  history.push(put(A, 5, one));
  history.push(put(A, 6, item(A, 5)));
  history.push(put(B, 7));
  expect([...history.overlay(4, "core/pods/")]).toEqual([
    [A, one],
    [B, undefined],
  ]);
  expect([...history.overlay(6, "core/pods/")]).toEqual([[B, undefined]]);
});

test("the count is bounded, around and around", () => {
  const history = new History(0, { eventsMax: 3, bytesMax: 1_000_000 });
  for (let revision = 1; revision <= 10; revision++) {
    history.push(put(A, revision));
    expect(history.floor).toBe(Math.max(0, revision - 3));
    const kept = history.after(history.floor, "core/pods/").map((change) => change.revision);
    expect(kept).toEqual([revision - 2, revision - 1, revision].filter((each) => each > 0));
  }
});

test("the bytes are bounded, and earlier texts count when nothing else holds them", () => {
  const lean = new History(0, { eventsMax: 100, bytesMax: 10_000 });
  const heavy = new History(0, { eventsMax: 100, bytesMax: 10_000 });
  for (let revision = 1; revision <= 20; revision++) {
    lean.push(put(`core/pods/a/${revision}`, revision, undefined, 1_000));
    heavy.push(put(`core/pods/a/${revision}`, revision, item(A, 0, 4_000), 1_000));
  }
  expect(lean.floor).toBe(14);
  expect(heavy.floor).toBe(19);
  const huge = new History(0, { eventsMax: 100, bytesMax: 10_000 });
  huge.push(put(A, 1, undefined, 20_000));
  expect(huge.floor).toBe(1);
  expect(huge.after(1, "core/pods/")).toEqual([]);
});

test("compaction forgets, and never brings back", () => {
  const history = new History(0, WIDE);
  for (let revision = 1; revision <= 5; revision++) history.push(put(A, revision));
  history.compact(3);
  expect(history.floor).toBe(3);
  history.compact(2);
  expect(history.floor).toBe(3);
  expect(history.after(3, "core/pods/").map((change) => change.revision)).toEqual([4, 5]);
  history.compact(9);
  expect(history.floor).toBe(9);
});
