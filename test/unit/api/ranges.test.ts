import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  AddressRange,
  familyOf,
  formatIp,
  NotAvailable,
  Pool,
  PortRange,
  parseIp,
} from "#api/services/ranges.ts";
import type { Random } from "#base/random.ts";

const random = (next: () => number): Random => ({
  next,
  uuid: () => "",
  bytes: (count) => new Uint8Array(count),
});
const zero = random(() => 0);

describe("addresses", () => {
  test.each([
    ["10.43.0.1", "10.43.0.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["fd00:0:0:0:0:0:0:1", "fd00::1"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ])("%s is written %s", (text, canonical) => {
    const value = parseIp(text);
    expect(value).toBeDefined();
    expect(formatIp(value ?? 0n, familyOf(text))).toBe(canonical);
  });

  test.each(["10.0.0", "256.0.0.1", "01.2.3.4", "1.2.3.4.5", ":::", "1:2", "g::", ""])(
    "%s is none",
    (text) => {
      expect(parseIp(text)).toBeUndefined();
    },
  );

  test("any address survives being read and written", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => {
        expect(parseIp(formatIp(value, "IPv6"))).toBe(value);
      }),
    );
  });
});

test("what the store says of an address goes before a write that is on its way", () => {
  const pool = new Pool(4n, zero);
  expect(pool.take(1n, "mine")).toBe(true);
  expect(pool.hold(1n, "another server's")).toBe(true);
  pool.release(1n, "mine");
  expect(pool.owner(1n)).toBe("another server's");
  expect(pool.hold(1n, "mine")).toBe(false);
  expect(pool.take(2n, "mine")).toBe(true);
  expect(pool.hold(2n, "mine")).toBe(true);
  expect(pool.hold(2n, "another server's")).toBe(false);
});

describe("a range", () => {
  test("gives neither its network nor its broadcast address, and its first to no stranger", () => {
    const range = new AddressRange("192.0.2.0/29", zero);
    expect(range.first).toBe("192.0.2.1");
    const all = Array.from({ length: 6 }, () => range.next("x"));
    expect(all.sort()).toEqual([1, 2, 3, 4, 5, 6].map((n) => `192.0.2.${n}`));
    expect(() => range.next("x")).toThrow(new NotAvailable("range is full"));
  });

  test("of a large network the lower part is given last (KEP-3070)", () => {
    const range = new AddressRange("10.0.0.0/16", zero);
    expect(range.next("x")).toBe("10.0.1.1");
  });

  test("gives back only to whom it gave", () => {
    const range = new AddressRange("10.0.0.0/28", zero);
    range.take("10.0.0.5", "a");
    range.release("10.0.0.5", "b");
    expect(() => range.take("10.0.0.5", "c")).toThrow("provided IP is already allocated");
    range.release("10.0.0.5", "a");
    expect(() => range.take("10.0.0.5", "c")).not.toThrow();
  });

  test("of ports has bounds", () => {
    const ports = new PortRange({ first: 30_000, last: 30_001 }, zero);
    expect(() => ports.take(29_999, "a")).toThrow("not in the valid range");
    expect([ports.next("a"), ports.next("a")].sort()).toEqual([30_000, 30_001]);
    expect(() => ports.next("a")).toThrow("range is full");
  });
});

test("a pool gives each number once, and every number as long as there is one", () => {
  const actions = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 40 })), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1 }),
      actions,
      (size, chances, steps) => {
        let turn = 0;
        const pool = new Pool(
          BigInt(size),
          random(() => chances[turn++ % chances.length] ?? 0),
        );
        const held = new Set<bigint>();
        for (const [take, number] of steps) {
          if (take) {
            const got = pool.next("x");
            if (held.size === size) expect(got).toBeUndefined();
            else {
              expect(got).toBeDefined();
              expect(held.has(got ?? -1n)).toBe(false);
              held.add(got ?? -1n);
            }
          } else if (held.delete(BigInt(number))) pool.release(BigInt(number), "x");
          expect(pool.free).toBe(BigInt(size - held.size));
        }
      },
    ),
  );
});
