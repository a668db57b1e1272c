import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Fields, ProtoError, Writer } from "#base/proto.ts";
import { tries } from "#test/support/property.ts";

describe("what is written is read", () => {
  test("property: for any message", () => {
    const field = fc.integer({ min: 1, max: 2000 });
    const scalar = fc.integer({ min: 0, max: 0x10ffff }).filter((at) => at < 0xd800 || at > 0xdfff);
    const character = scalar.map((at) => String.fromCodePoint(at));
    const entry = fc.oneof(
      fc.record({ field, number: fc.maxSafeInteger() }),
      fc.record({ field, text: fc.string({ unit: character }) }),
      fc.record({ field, bytes: fc.uint8Array() }),
    );
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: (each) => each.field }), (entries) => {
        const writer = new Writer();
        for (const each of entries) {
          if ("number" in each) writer.number(each.field, each.number);
          else if ("text" in each) writer.text(each.field, each.text);
          else writer.bytes(each.field, each.bytes);
        }
        const fields = new Fields(writer.done());
        for (const each of entries) {
          if ("number" in each) expect(fields.number(each.field)).toBe(each.number);
          else if ("text" in each) expect(fields.text(each.field)).toBe(each.text);
          else expect([...(fields.bytes(each.field) ?? [])]).toEqual([...each.bytes]);
        }
      }),
      tries(100),
    );
  });

  test("maps, repeated texts and any", () => {
    const bytes = new Writer()
      .map(1, { a: "1", b: "" })
      .texts(2, ["x", "", "y"])
      .any(3, "type/url", Uint8Array.of(7))
      .done();
    const fields = new Fields(bytes);
    expect(fields.map(1)).toEqual({ a: "1", b: "" });
    expect(fields.all(2).map((each) => Buffer.from(each).toString())).toEqual(["x", "", "y"]);
    expect(fields.message(3)?.text(1)).toBe("type/url");
    expect([...(fields.message(3)?.bytes(2) ?? [])]).toEqual([7]);
  });
});

test("known bytes: protobuf's own example, a fixed64 and a fixed32 that are passed over", () => {
  expect(new Fields(Uint8Array.of(0x08, 0x96, 0x01)).number(1)).toBe(150);
  const fixed = Uint8Array.of(0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x15, 1, 2, 3, 4, 0x18, 5);
  expect(new Fields(fixed).number(3)).toBe(5);
});

test("a number of ten bytes is passed over where nobody asks, one of eleven is refused", () => {
  const long = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
  const fields = new Fields(Uint8Array.of(0x08, ...long, 0x01, 0x10, 7));
  expect(fields.number(2)).toBe(7);
  expect(fields.number(1)).toBe(-1);
  expect(() => new Fields(Uint8Array.of(0x08, ...long, 0xff, 0x01))).toThrow(ProtoError);
  expect(() => new Fields(Uint8Array.of(0x08, 0xff))).toThrow("varint cut short");
  expect(new Fields(new Writer().number(1, -1).done()).number(1)).toBe(-1);
});

test("times, and the zero time that means none", () => {
  const time = (seconds: number, nanos: number) =>
    new Fields(
      new Writer().bytes(1, new Writer().number(1, seconds).number(2, nanos).done()).done(),
    ).timeMs(1);
  expect(time(1700000000, 123_456_789)).toBe(1700000000123);
  expect(time(-62135596800, 0)).toBeUndefined();
  expect(new Fields(new Uint8Array()).timeMs(1)).toBeUndefined();
});

test("any bytes are read or refused, never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      try {
        new Fields(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtoError);
      }
    }),
  );
});
