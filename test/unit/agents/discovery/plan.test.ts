import { expect, test } from "bun:test";
import { decode, encode } from "dns-packet";
import * as plan from "#agents/discovery/plan.ts";

const announcement = { name: "pi.one", port: 6443, txt: { role: "server", ca: "abc" } };
const records = plan.recordsOf(announcement, plan.labelOf(announcement.name, 1), ["192.168.1.5"]);
const instance = "pi-one._bramble._tcp.local";
const browse = plan.browsePacket([]);

test("a browse gets everything at once", () => {
  const response = plan.answer(browse, records);
  expect(response?.answers?.map(({ type }) => type)).toEqual(["PTR"]);
  expect(response?.additionals?.map(({ type }) => type)).toEqual(["SRV", "TXT", "A"]);
});

test("records survive the wire", () => {
  const packet = decode(encode(plan.announcePacket(records)));
  const directory = new plan.Directory();
  directory.take(packet, 0);
  expect(directory.found(1)).toEqual([
    { instance, port: 6443, addresses: ["192.168.1.5"], txt: { role: "server", ca: "abc" } },
  ]);
});

test("what the asker knows is not said again", () => {
  expect(plan.answer(plan.browsePacket([instance]), records)).toBeUndefined();
  expect(plan.answer(plan.browsePacket(["other._bramble._tcp.local"]), records)).toBeDefined();
});

test("questions about others are not answered", () => {
  const questions = [
    { type: "PTR" as const, name: "_http._tcp.local" },
    { type: "A" as const, name: "pi-one.local" },
  ];
  expect(plan.answer({ type: "query", questions }, records)).toBeUndefined();
});

test("names are compared without case", () => {
  const questions = [{ type: "SRV" as const, name: instance.toUpperCase() }];
  const response = plan.answer({ type: "query", questions }, records);
  expect(response?.answers?.map(({ type }) => type)).toEqual(["SRV"]);
  expect(response?.additionals?.map(({ type }) => type)).toEqual(["A"]);
});

test("a plain resolver gets its id and question, and nothing to flush", () => {
  const query = { ...browse, id: 77 };
  const response = plan.legacyAnswer(query, plan.answer(query, records) ?? {});
  expect(response.id).toBe(77);
  expect(response.questions).toEqual(browse.questions ?? []);
  for (const record of [...(response.answers ?? []), ...(response.additionals ?? [])]) {
    expect(record).toMatchObject({ flush: false, ttl: 10 });
  }
});

test("another host or port under our name is a conflict, our own words are not", () => {
  const own = ["192.168.1.5"];
  const other = plan.recordsOf(announcement, "pi-one", ["192.168.1.6"]);
  const port = plan.recordsOf({ ...announcement, port: 1 }, "pi-one", own);
  const packet = (from: plan.Records) => plan.announcePacket(from);
  expect(plan.conflicts(packet(records), records, own)).toBe(false);
  expect(plan.conflicts(packet(other), records, own)).toBe(true);
  expect(plan.conflicts(packet(port), records, own)).toBe(true);
  expect(plan.conflicts(plan.announcePacket(other, true), records, own)).toBe(false);
});

test("labels fit and tell attempts apart", () => {
  expect(plan.labelOf("a".repeat(80), 12)).toBe(`${"a".repeat(60)}-12`);
  expect(plan.labelOf("pi.local", 1)).toBe("pi-local");
});

test("a new address replaces the old one, goodbye and age end an entry", () => {
  const directory = new plan.Directory();
  directory.take(plan.announcePacket(records), 0);
  const moved = plan.recordsOf(announcement, "pi-one", ["192.168.1.77", "fd00::1"]);
  directory.take(plan.announcePacket(moved), 1_000);
  expect(directory.found(1_001)[0]?.addresses).toEqual(["192.168.1.77", "fd00::1"]);
  expect(directory.found(2_000_000_000)).toEqual([]);
  directory.take(plan.announcePacket(moved, true), 2_000);
  expect(directory.found(2_001)).toEqual([]);
});

test("a host has the addresses of all networks that it is heard on", () => {
  const directory = new plan.Directory();
  const hear = (address: string, nowMs: number, link: string) => {
    directory.take(
      plan.announcePacket(plan.recordsOf(announcement, "pi-one", [address])),
      nowMs,
      link,
    );
    return directory.found(nowMs)[0]?.addresses;
  };
  hear("192.168.1.5", 0, "eth0");
  expect(hear("10.0.0.5", 5_000, "wlan0")).toEqual(["192.168.1.5", "10.0.0.5"]);
  expect(hear("10.0.0.6", 9_000, "wlan0")).toEqual(["192.168.1.5", "10.0.0.6"]);
  // Two of its interfaces are on one network: each tells its own, in the same second.
  expect(hear("192.168.1.7", 9_500, "eth0")).toEqual(["10.0.0.6", "192.168.1.7"]);
  expect(hear("192.168.1.5", 9_600, "eth0")).toEqual(["10.0.0.6", "192.168.1.7", "192.168.1.5"]);
});

test("an instance that was only named is incomplete", () => {
  const directory = new plan.Directory();
  directory.take({ answers: [records.pointer] }, 0);
  expect(directory.incomplete(1)).toEqual([instance]);
  directory.take({ answers: [records.service, records.text, ...records.hosts] }, 2);
  expect(directory.incomplete(3)).toEqual([]);
});
