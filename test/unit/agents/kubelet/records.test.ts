/** Records on a disk that is full: every write to /dev/full fails as there. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Records } from "#agents/kubelet/records.ts";
import type { PodRecord } from "#agents/kubelet/types.ts";
import { limits } from "#base/limits.ts";
import { createLog } from "#base/log.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";

let dataDir: string;
let clock: FakeClock;
let told: string[];
let records: Records;

const record: PodRecord = {
  uid: "u1",
  namespace: "default",
  name: "a",
  bootId: "b1",
  startTimeMs: 0,
  sandboxes: 0,
  initialized: false,
  containers: {},
  cleaned: false,
};

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "bramble-records-"));
  mkdirSync(join(dataDir, "pods/u1"), { recursive: true });
  clock = fakeClock();
  told = [];
  const write = (line: string) => void told.push(line);
  const log = createLog({ level: "error", format: "text", now: clock.now, write });
  records = new Records(dataDir, clock, log);
});

afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

const full = (name: string): string => {
  const path = join(dataDir, `${name}.new`);
  symlinkSync("/dev/full", path);
  return path;
};

test("a record is written once the disk has room, without a change of the pod", async () => {
  const path = full("pods/u1/record.json");
  await records.save(record);
  await clock.advance(limits.recordRetryMs * 3);
  await records.save(record);
  expect(existsSync(join(dataDir, "pods/u1/record.json"))).toBe(false);
  expect(told).toHaveLength(1);
  rmSync(path);
  await clock.advance(limits.recordRetryMs);
  await records.close();
  expect(await records.load()).toEqual([record]);
});

test("what is left when the agent ends is tried once more, and then no more", async () => {
  const path = full("pods/u1/record.json");
  await records.save(record);
  await records.close();
  rmSync(path);
  await clock.advance(limits.recordRetryMs * 3);
  expect(await records.load()).toEqual([]);
  const again = full("pods/u1/record.json");
  await records.save(record);
  rmSync(again);
  await records.close();
  expect(await records.load()).toEqual([record]);
});

test("a pod that is gone meanwhile leaves no record", async () => {
  const path = full("pods/u1/record.json");
  await records.save(record);
  rmSync(path);
  await records.remove("u1");
  await clock.advance(limits.recordRetryMs * 2);
  await records.close();
  expect(await records.uids()).toEqual([]);
});

test("the run of the machine is noted once there is room, and equal ones not again", async () => {
  const path = full("boot_id");
  await records.writeBootId("b1");
  expect(await records.readBootId()).toBeUndefined();
  rmSync(path);
  await clock.advance(limits.recordRetryMs);
  await records.close();
  expect(await records.readBootId()).toBe("b1");
  full("boot_id");
  await records.writeBootId("b1");
  expect(told).toHaveLength(1);
});
