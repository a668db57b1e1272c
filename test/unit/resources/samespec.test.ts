import { expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import { oncePerSpec, sameSpec, textOfShared } from "#resources/samespec.ts";
import type { PodSpec } from "#resources/types.gen.ts";

const spec = (image: string): PodSpec => ({ containers: [{ name: "c", image }] });

test("specs of one text share the first of them, whose text is known", () => {
  const first = sameSpec(spec("shared:1"));
  expect(sameSpec(spec("shared:1"))).toBe(first);
  expect(sameSpec(spec("shared:2"))).not.toBe(first);
  expect(textOfShared(first)).toBe(JSON.stringify(spec("shared:1")));
  expect(textOfShared({ other: 1 })).toBe('{"other":1}');
});

test("only the newest are remembered", () => {
  const first = sameSpec(spec("old:1"));
  for (let at = 0; at < limits.recentSpecsMax; at++) sameSpec(spec(`new:${at}`));
  const again = sameSpec(spec("old:1"));
  expect(again).not.toBe(first);
  expect(again).toEqual(first);
});

test("what follows from a shared spec is made once", () => {
  let made = 0;
  const names = oncePerSpec((pod) => {
    made += 1;
    return (pod.spec?.containers ?? []).map(({ name }) => name);
  });
  const first = names({ spec: sameSpec(spec("once:1")) });
  expect(names({ spec: sameSpec(spec("once:1")) })).toBe(first);
  expect(names({ spec: spec("once:1") })).not.toBe(first);
  expect(names({})).toEqual([]);
  expect(made).toBe(3);
});
