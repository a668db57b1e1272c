import { expect, test } from "bun:test";
import fc from "fast-check";
import { beginExchange, isOnCurve, mapToCurve } from "#agents/join/pake.ts";
import { realRandom as random } from "#base/random.ts";

const session = random.bytes(16);
const begin = (code: string, role: "first" | "second", about = "pi") =>
  beginExchange({ code, session, about, role, random });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test("the same code gives both sides the same key, and each exchange another", () => {
  const [a, b, again] = [begin("abc", "first"), begin("abc", "second"), begin("abc", "second")];
  expect(hex(a.key(b.message))).toBe(hex(b.key(a.message)));
  expect(hex(a.key(again.message))).not.toBe(hex(a.key(b.message)));
});

test("another code or another device gives another key", () => {
  const [a, b, c] = [begin("abc", "first"), begin("abd", "second"), begin("abc", "second", "po")];
  expect(hex(a.key(b.message))).not.toBe(hex(b.key(a.message)));
  expect(hex(a.key(c.message))).not.toBe(hex(c.key(a.message)));
});

test("points of small order are refused, and what is no message", () => {
  const a = begin("abc", "first");
  for (const low of [0, 1]) {
    const point = Buffer.alloc(32);
    point[0] = low;
    expect(() => a.key(point)).toThrow();
  }
  expect(() => a.key(new Uint8Array(31))).toThrow("32 bytes");
});

test("every number leads to a point of the curve", () => {
  // The base point of X25519 is on it; 2 is on the twist.
  expect([isOnCurve(9n), isOnCurve(2n)]).toEqual([true, false]);
  fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 255n }), (n) => isOnCurve(mapToCurve(n))));
});
