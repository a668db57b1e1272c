import { expect, test } from "bun:test";
import { type AddressKind, addressKey, addressKind } from "#resources/addresses.ts";

test.each<[string, AddressKind | undefined]>([
  ["10.42.0.9", "global"],
  ["127.255.0.1", "loopback"],
  ["0.0.0.0", "unspecified"],
  ["0.1.2.3", "reserved"],
  ["169.254.169.254", "link-local"],
  ["224.0.0.1", "link-local multicast"],
  ["224.0.1.1", "multicast"],
  ["255.255.255.255", "reserved"],
  ["::", "unspecified"],
  ["0:0:0:0:0:0:0:1", "loopback"],
  ["::ffff:127.0.0.1", "loopback"],
  ["::ffff:0:127.0.0.1", "loopback"],
  ["::127.0.0.1", "loopback"],
  ["64:ff9b::7f00:1", "loopback"],
  ["64:ff9b:1::7f00:1", "loopback"],
  ["2002:a9fe:a9fe::", "link-local"],
  ["FEBF::1", "link-local"],
  ["fec0::1", "reserved"],
  ["fd00:ec2::254", "reserved"],
  ["ff12::1", "link-local multicast"],
  ["ff05::1", "multicast"],
  ["2001:db8::1", "global"],
  ["fd42::1", "global"],
  ["fe80::1%eth0", undefined],
  ["localhost", undefined],
  ["0x7f.1", undefined],
])("%s is %s", (address, kind) => {
  expect(addressKind(address)).toBe(kind);
});

test("one address has one key, whichever way it is written", () => {
  expect(addressKey("::ffff:a2a:9")).toBe(addressKey("10.42.0.9"));
  expect(addressKey("FD42:0::1")).toBe(addressKey("fd42::1"));
  expect(addressKey("10.42.0.9")).not.toBe(addressKey("10.42.0.8"));
});
