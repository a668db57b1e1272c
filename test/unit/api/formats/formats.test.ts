import { expect, test } from "bun:test";
import { checkFormat } from "#api/custom/formats.ts";
import { formats, texts } from "./cases.ts";
import golden from "./formats.golden.json";

/** What Kubernetes v1.34.4 takes, run by `formats.oracle.go`, recorded by `formats.record.ts`. */
const fitting: Readonly<Record<string, readonly string[]>> = golden;

test.each([...formats])("%s: the same texts as Kubernetes takes", (format) => {
  expect(fitting[format]).toBeDefined();
  expect(texts.filter((text) => checkFormat(format, text))).toEqual([...(fitting[format] ?? [])]);
});

test("an unknown format takes everything", () => {
  expect(texts.filter((text) => !checkFormat("nothing", text))).toEqual([]);
});

test.each([...formats])("%s: a long text is looked at in no time", (format) => {
  const long = ["1", "a", "a.", "a ", "1:", "/", '"', "a@", "%41", "-"].map((part) =>
    part.repeat(200_000),
  );
  const before = performance.now();
  for (const text of long) checkFormat(format, text);
  expect(performance.now() - before).toBeLessThan(2_000);
});
