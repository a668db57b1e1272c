import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Slice, textOfSlice } from "#api/slices.ts";
import { Bytes, bytesMaxOf } from "#api/wire/bytes.ts";

const sliceOf = (before: string, texts: readonly string[], after: string): Slice => ({
  ...{ before, after },
  texts: () => texts,
});

const written = (slice: Slice, head = ""): string => {
  const bytes = new Bytes(bytesMaxOf(slice));
  bytes.addSlice(slice);
  if (head !== "") expect(bytes.putBefore(head)).toBe(true);
  const text = bytes.view().toString("utf8");
  expect(bytes.size).toBe(Buffer.byteLength(text));
  bytes.release();
  return text;
};

describe("Bytes", () => {
  test("are the slice's text in UTF-8, with commas, after what was put before", () => {
    const slice = fc.record({
      before: fc.string({ unit: "grapheme" }),
      texts: fc.array(fc.string({ unit: "grapheme" })),
      after: fc.string({ unit: "grapheme" }),
    });
    fc.assert(
      fc.property(slice, ({ before, texts, after }) => {
        const one = sliceOf(before, texts, after);
        expect(written(one, "7\r\n")).toBe(`7\r\n${textOfSlice(one)}`);
      }),
    );
  });

  test("hold a text that is longer than the spaces that are kept", () => {
    const long = sliceOf("[", ["ä".repeat(800_000), "€".repeat(10)], "]");
    expect(written(long)).toBe(textOfSlice(long));
  });

  test("do not share a space before they are released", () => {
    const one = new Bytes(3);
    one.add("one");
    const two = new Bytes(3);
    two.add("two");
    expect([one.view().toString(), two.view().toString()]).toEqual(["one", "two"]);
    one.release();
    two.release();
  });

  test("say when there is no room for what comes before", () => {
    expect(new Bytes(1).putBefore("x".repeat(5_000))).toBe(false);
  });
});
