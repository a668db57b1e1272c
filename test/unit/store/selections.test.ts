import { expect, test } from "bun:test";
import fc from "fast-check";
import { History } from "#store/history.ts";
import { Objects } from "#store/objects.ts";
import { Selections } from "#store/selections.ts";
import type { Item, Terms } from "#store/store.ts";

const PREFIX = "core/pods/a/";
const BOUNDS = { selectionScannedMin: 1, selectionsMax: 3, selectionItemsMax: 1_000 };

/** Objects with their history; every fifth of them may be in another namespace. */
function world(eventsMax = 1_000) {
  const objects = new Objects();
  const history = new History(0, { eventsMax, bytesMax: 1_000_000 });
  let revision = 0;
  return {
    objects,
    history,
    revision: () => revision,
    write(key: string, color: string | undefined) {
      const known = objects.get(key);
      if (color === undefined && known === undefined) return;
      revision += 1;
      const terms = { labels: { color: color ?? "" }, fields: {} };
      const item: Item = { key, value: "{}", revision, terms };
      const previous = known && { previous: known.item };
      if (color === undefined) objects.delete(key);
      else objects.put(known?.id ?? revision, item);
      history.push({ type: color === undefined ? "delete" : "put", revision, item, ...previous });
    },
  };
}

function askerOf(color: string, prefix = PREFIX) {
  const asked = {
    prefix,
    name: color,
    looks: 0,
    filter(terms: Terms) {
      asked.looks += 1;
      return terms.labels["color"] === color;
    },
  };
  return asked;
}

const key = (n: number): string => `core/pods/${n % 5 === 0 ? "b" : "a"}/${n}`;

test("what is remembered is what a scan finds, whatever came, changed and went", () => {
  const step = fc.tuple(fc.nat(39), fc.constantFrom("red", "blue", undefined), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { minLength: 40, maxLength: 80 }), fc.nat(60), (script, max) => {
      const { objects, history, revision, write } = world(max + 1);
      for (let n = 0; n < 40; n++) write(key(n), n % 3 === 0 ? "blue" : "red");
      const selections = new Selections(BOUNDS);
      const red = askerOf("red");
      for (const [n, color, asks] of script) {
        write(key(n), color);
        selections.forgetBefore(history.floor);
        if (!asks) continue;
        const found = selections.list(red, revision(), objects, history);
        expect(found).toEqual(objects.filtered(objects.range(PREFIX), askerOf("red").filter));
      }
    }),
  );
});

test("who asks again pays for what changed since, and earlier answers stay as they were", () => {
  const { objects, history, revision, write } = world();
  for (let n = 0; n < 100; n++) write(key(n), n % 2 === 0 ? "red" : "blue");
  const selections = new Selections(BOUNDS);
  const red = askerOf("red");
  const ask = () => selections.list(red, revision(), objects, history);
  const first = ask();
  expect(red.looks).toBe(80);
  expect(ask()).toBe(first);
  expect(red.looks).toBe(80);
  write(key(1), "red");
  write(key(5), "red");
  write(key(2), undefined);
  const next = ask();
  expect(red.looks).toBe(81);
  expect(next.map((item) => item.key)).toContain(key(1));
  expect(next.map((item) => item.key)).not.toContain(key(2));
  expect(first.map((item) => item.key)).toContain(key(2));
});

test("filters and prefixes are told apart", () => {
  const { objects, history, revision, write } = world();
  for (let n = 0; n < 20; n++) write(key(n), n % 2 === 0 ? "red" : "blue");
  const selections = new Selections(BOUNDS);
  const count = (color: string, prefix?: string) =>
    selections.list(askerOf(color, prefix), revision(), objects, history).length;
  expect([count("red"), count("blue"), count("red", "core/pods/")]).toEqual([8, 8, 10]);
  expect([count("red"), count("blue"), count("red", "core/pods/")]).toEqual([8, 8, 10]);
});

test("it is bounded: by number, by items, and by what the history holds", () => {
  const { objects, history, revision, write } = world(10);
  for (let n = 0; n < 20; n++) write(key(n), "red");
  const ask = (selections: Selections, name: string) =>
    selections.list({ ...askerOf("red"), name }, revision(), objects, history);
  const few = new Selections({ ...BOUNDS, selectionsMax: 2 });
  for (const name of ["1", "2", "3"]) ask(few, name);
  expect(few.size).toBe(2);
  const small = new Selections({ ...BOUNDS, selectionItemsMax: 40 });
  for (const name of ["1", "2", "3", "4"]) ask(small, name);
  expect(small.size).toBe(2);
  const picky = new Selections({ ...BOUNDS, selectionScannedMin: 17 });
  ask(picky, "1");
  expect(picky.size).toBe(0);
  for (let n = 0; n < 10; n++) write(key(n), "blue");
  few.forgetBefore(history.floor);
  expect(few.size).toBe(2);
  write(key(0), "red");
  few.forgetBefore(history.floor);
  expect(few.size).toBe(0);
});
