import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BodyReader } from "#api/wire/body.ts";

const MAX = 1_000;

/** Body and what follows it, whatever the pieces are that it comes in. */
function readIn(length: number | "chunked", pieces: Buffer[]): [string, string] {
  const reader = new BodyReader(length, MAX);
  let rest = Buffer.alloc(0);
  for (const piece of pieces) {
    rest = Buffer.concat([rest, piece]);
    rest = Buffer.from(reader.take(rest));
  }
  expect(reader.done).toBe(true);
  return [reader.bytes().toString(), rest.toString()];
}

const chunked = "5;a=b\r\nhello\r\n1\r\n \r\nA\r\nworld, all\r\n0\r\nX: y\r\n\r\nGET /";

describe("a body", () => {
  test("of a length ends there", () => {
    expect(readIn(5, [Buffer.from("helloGET /")])).toEqual(["hello", "GET /"]);
  });

  test("in chunks ends with its trailer", () => {
    expect(readIn("chunked", [Buffer.from(chunked)])).toEqual(["hello world, all", "GET /"]);
  });

  test("is the same in whatever pieces it comes", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 80 }), (sizes) => {
        const pieces: Buffer[] = [];
        let at = 0;
        for (const size of sizes) {
          pieces.push(Buffer.from(chunked.slice(at, at + size)));
          at += size;
        }
        pieces.push(Buffer.from(chunked.slice(at)));
        expect(readIn("chunked", pieces)).toEqual(["hello world, all", "GET /"]);
      }),
    );
  });

  test.each([
    ["5\nhello\r\n0\r\n\r\n", "a bare line feed"],
    ["5\r\nhelloX\r\n0\r\n\r\n", "a chunk that is longer than it says"],
    ["-5\r\nhello\r\n0\r\n\r\n", "a negative size"],
    ["0x5\r\nhello\r\n0\r\n\r\n", "a prefix"],
    ["\r\n", "no size"],
    [`${"1".repeat(9)}\r\n`, "a size past all bounds"],
    [`1;${"a".repeat(2_000)}`, "a line without end"],
  ])("%j is refused: %s", (text) => {
    expect(() => new BodyReader("chunked", MAX).take(Buffer.from(text))).toThrow("malformed chunk");
  });

  test("past the bound is refused, as soon as it is known", () => {
    expect(() => new BodyReader(MAX + 1, MAX)).toThrow("limit is 1000");
    const reader = new BodyReader("chunked", MAX);
    expect(() => reader.take(Buffer.from(`3e9\r\n${"a".repeat(1_001)}`))).toThrow("limit is 1000");
  });
});
