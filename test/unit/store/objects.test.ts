import { expect, test } from "bun:test";
import fc from "fast-check";
import { bucketOf, Objects } from "#store/objects.ts";
import type { Item } from "#store/store.ts";

const item = (key: string, revision = 1): Item => ({
  key,
  value: "{}",
  revision,
  terms: { labels: {}, fields: {} },
});

const keys = fc
  .tuple(
    fc.constantFrom("core/pods", "core/podsets", "apps/sets"),
    fc.constantFrom("a", "ab", "b", "a-b", "a0"),
    fc.constantFrom("x", "y", "x-1", "x0", "z"),
  )
  .map((parts) => parts.join("/"));

const prefixes = ["core/pods/", "core/podsets/", "apps/sets/", "core/pods/a/", "core/pods/ab/"];

test("a bucket is a key's first two segments", () => {
  expect(bucketOf("apps/deployments/default/web")).toBe("apps/deployments/");
  expect(bucketOf("core/nodes/pi")).toBe("core/nodes/");
  for (const bad of ["", "core", "core/nodes", "/nodes/pi", "core//pi"]) {
    expect(() => bucketOf(bad)).toThrow("no bucket");
  }
});

test("ranges are those of a sorted list, whatever came and went", () => {
  const steps = fc.array(fc.tuple(keys, fc.boolean()), { maxLength: 80 });
  fc.assert(
    fc.property(steps, fc.option(keys, { nil: undefined }), (script, after) => {
      const objects = new Objects();
      const model = new Map<string, Item>();
      for (const [step, [key, remove]] of script.entries()) {
        if (!remove) {
          const id = objects.get(key)?.id ?? step;
          model.set(key, item(key, step));
          objects.put(id, item(key, step));
        } else if (model.delete(key)) {
          objects.delete(key);
        }
      }
      for (const prefix of prefixes) {
        const { entries, start, end } = objects.range(prefix, after);
        const found = entries.slice(start, end).map((entry) => entry.item);
        const due = [...model.values()]
          .filter(({ key }) => key.startsWith(prefix) && (after === undefined || key > after))
          .sort((a, b) => (a.key < b.key ? -1 : 1));
        expect(found).toEqual(due);
      }
      for (const key of model.keys()) expect(objects.get(key)?.item).toEqual(model.get(key));
    }),
  );
});

test("loading sorts once and finds the same", () => {
  const objects = new Objects();
  const shuffled = ["core/pods/b/x", "core/nodes/n", "core/pods/a/y", "core/pods/a/x"];
  objects.load(shuffled.map((key, id) => ({ id, item: item(key) })));
  const { entries } = objects.range("core/pods/");
  expect(entries.map((entry) => entry.item.key)).toEqual([
    "core/pods/a/x",
    "core/pods/a/y",
    "core/pods/b/x",
  ]);
  expect([...objects.all()].length).toBe(4);
  expect(() => objects.load([])).toThrow("empty index");
});

test("a key keeps its row, and only what is there can go", () => {
  const objects = new Objects();
  objects.put(7, item("core/nodes/n"));
  expect(() => objects.put(8, item("core/nodes/n", 2))).toThrow("row of");
  expect(() => objects.delete("core/nodes/other")).toThrow("delete of");
  objects.delete("core/nodes/n");
  expect(objects.range("core/nodes/").end).toBe(0);
});
