import { expect, test } from "bun:test";
import { addressText, addressValue, contains } from "#base/cidr.ts";

test("addresses have values, nonsense has none", () => {
  expect(addressValue("10.0.0.1")).toBe(0x0a000001n);
  expect(addressValue("::1")).toBe(1n);
  expect(addressValue("fd00::1:2")).toBe((0xfd00n << 112n) | 0x10002n);
  expect(addressValue("::ffff:10.0.0.1")).toBe(0xffff0a000001n);
  for (const bad of ["10.0.0", "10.0.0.256", "1.2.3.x", "1::2::3", "1:2:3:4:5:6:7", "g::"]) {
    expect(addressValue(bad)).toBeUndefined();
  }
});

test("a CIDR contains its addresses and smaller CIDRs", () => {
  expect(contains("10.42.0.0/16", "10.42.255.1")).toBe(true);
  expect(contains("10.42.0.0/16", "10.43.0.1")).toBe(false);
  expect(contains("10.42.0.0/16", "10.42.7.0/24")).toBe(true);
  expect(contains("10.42.7.0/24", "10.42.0.0/16")).toBe(false);
  expect(contains("10.42.7.9", "10.42.7.9/32")).toBe(true);
  expect(contains("0.0.0.0/0", "1.2.3.4")).toBe(true);
  expect(contains("0.0.0.0/0", "::1")).toBe(false);
  expect(contains("fd00::/8", "fd12::1")).toBe(true);
  expect(contains("nonsense/8", "10.0.0.1")).toBe(false);
});

test("values are written as addresses, zeros of IPv6 once", () => {
  const shortest = ["::", "::1", "fd00:42:0:1::", "1:0:0:2::3", "1:2:3:4:5:6:7:8", "10::10:0:0:1"];
  for (const text of shortest) expect(addressText(addressValue(text) ?? 0n, true)).toBe(text);
  expect(addressText(0x0a2a0100n, false)).toBe("10.42.1.0");
});
