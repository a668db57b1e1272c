import { expect, test } from "bun:test";
import { constants, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { pack } from "#api/gzip.ts";
import { endOfRun, type Run, Runs } from "#api/runs.ts";
import { limits } from "#base/limits.ts";
import type { Item } from "#store/store.ts";
import { fakeClock } from "#test/support/clock.ts";

const TEXT = "x".repeat(2_000);

const item = (name: string, revision: number, value = TEXT): Item => ({
  key: `core/pods/x/${name}`,
  ...{ value, revision, terms: { labels: {}, fields: {} } },
});

const many = (count: number): Item[] =>
  Array.from({ length: count }, (_, i) => item(`web-${String(i).padStart(5, "0")}`, i + 1));

/** Goes through a list as who sends it does; what is packed of a run is its keys. */
function send(runs: Runs, items: readonly Item[]): { kept: number; made: number; text: string } {
  let [kept, made, text, from] = [0, 0, "", 0];
  for (const run of runs.of(items)) {
    const own = items
      .slice(from, from + run.length)
      .map(({ key, revision }) => `${key}@${revision}`);
    from += run.length;
    if (run.packed !== undefined) {
      kept += 1;
      text += `${inflateRawSync(run.packed.bytes, SYNC)},`;
      continue;
    }
    made += 1;
    text += `${own.join()},`;
    runs.keep(run, pack(Buffer.from(own.join())));
  }
  return { kept, made, text };
}

const SYNC = { finishFlush: constants.Z_SYNC_FLUSH };

const textOf = (items: readonly Item[]): string =>
  items.map(({ key, revision }) => `${key}@${revision},`).join("");

test("a list that is sent again has what its runs were packed to, and is the same list", () => {
  const runs = new Runs(fakeClock());
  const items = many(2_000);
  const first = send(runs, items);
  expect(first.kept).toBe(0);
  const second = send(runs, [...items]);
  expect([second.kept, second.made]).toEqual([first.made, 0]);
  for (const { text } of [first, second]) expect(text).toBe(textOf(items));
});

test("a change leaves most runs as they are, wherever it is", () => {
  const runs = new Runs(fakeClock());
  let items = many(2_000);
  send(runs, items);
  const change = fc.tuple(fc.nat(1_900), fc.constantFrom("add", "change", "remove"));
  let revision = 10_000;
  const all: number[] = [];
  fc.assert(
    fc.property(change, ([at, what]) => {
      revision += 1;
      const here = items[at]?.key.slice("core/pods/x/".length) ?? "";
      const name = what === "add" ? `${here}-a` : here;
      const fresh = what === "remove" ? [] : [item(name, revision)];
      const place = what === "add" ? at + 1 : at;
      items = [...items.slice(0, place), ...fresh, ...items.slice(what === "add" ? place : at + 1)];
      const { made, text } = send(runs, items);
      expect(text).toBe(textOf(items));
      all.push(made);
      expect(send(runs, [...items]).made).toBeLessThan(3);
    }),
  );
  // Of more than 20.
  expect(all.reduce((sum, made) => sum + made) / all.length).toBeLessThan(2.5);
});

test("one key with two revisions, or one revision of two keys, are two runs", () => {
  const runs = new Runs(fakeClock());
  const [a, b, c] = [item("a", 1), item("b", 2), item("c", 2)];
  for (const items of [[a], [item("a", 2)], [b], [a, b], [a, c]]) {
    for (let i = 0; i < 2; i++) expect(send(runs, [...items]).text).toBe(textOf(items));
  }
});

test("a page has a run of its own where it ends, and leaves those of the whole list alone", () => {
  const runs = new Runs(fakeClock());
  const items = many(1_000);
  send(runs, items);
  expect(send(runs, items.slice(0, 500)).made).toBeLessThanOrEqual(1);
  expect(send(runs, items.slice(0, 500)).made).toBe(0);
  expect(send(runs, items).made).toBe(0);
});

test("a list of some of the items leaves the runs of the whole list alone, and has its own", () => {
  const runs = new Runs(fakeClock());
  const items = many(1_000);
  const some = items.filter((_, at) => at % 10 === 0);
  for (const list of [items, some]) send(runs, list);
  for (const list of [items, some]) expect(send(runs, [...list]).made).toBe(0);
});

test("what nobody asks for is forgotten, and may come back", async () => {
  const clock = fakeClock();
  const runs = new Runs(clock);
  const items = many(300);
  send(runs, items);
  expect(runs.bytes).toBeGreaterThan(0);
  const [first] = runs.of(items);
  expect(first?.packed).toBeDefined();
  await clock.advance(2 * limits.runIdleMs);
  expect([runs.bytes, clock.timers, first?.packed]).toEqual([0, 0, undefined]);
  expect(send(runs, items).kept).toBe(0);
  expect(send(runs, items).made).toBe(0);
  runs.close();
  expect([runs.bytes, clock.timers]).toEqual([0, 0]);
});

test("no more bytes are kept than there may be", () => {
  const runs = new Runs(fakeClock());
  const bytes = new Uint8Array(limits.runBytesMax / 2 - 1);
  const asked: Run[] = [];
  const items = many(2_000);
  for (const run of runs.of(items)) asked.push(run);
  for (const run of asked) runs.keep(run, { ...pack(bytes), bytes });
  expect(runs.bytes).toBe(3 * bytes.length);
});

test("a run is bounded by count and by size, also where no key ends one", () => {
  const same = Array.from({ length: 3_000 }, (_, i) => item(`n${i}-aaaaa`, i, "{}"));
  expect(endOfRun(same, 0)).toBe(limits.listSliceItems);
  const large = Array.from({ length: 10 }, (_, i) => item(`n${i}-aaaaa`, i, "x".repeat(100_000)));
  expect(endOfRun(large, 0)).toBeLessThanOrEqual(3);
});
