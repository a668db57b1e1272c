import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PayloadFile, writePayload } from "#agents/volumes/payload.ts";

let directory: string;
let stamp = 0;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bramble-payload-"));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

const file = (text: string, mode = 0o644): PayloadFile => ({ data: Buffer.from(text), mode });

const write = (files: Record<string, PayloadFile>, group?: number): boolean =>
  writePayload(directory, new Map(Object.entries(files)), { group, stamp: String(++stamp) });

const read = (path: string): string => readFileSync(join(directory, path), "utf8");

test("names lead through ..data, which changes at once", () => {
  write({ a: file("1"), "dir/b": file("2") });
  expect(read("a")).toBe("1");
  expect(read("dir/b")).toBe("2");
  expect(readlinkSync(join(directory, "a"))).toBe("..data/a");
  const before = readlinkSync(join(directory, "..data"));
  write({ a: file("3"), "dir/b": file("2") });
  expect(read("a")).toBe("3");
  expect(readlinkSync(join(directory, "..data"))).not.toBe(before);
  expect(readdirSync(directory).sort()).toEqual(
    ["..data", readlinkSync(join(directory, "..data")), "a", "dir"].sort(),
  );
});

test("an equal set writes nothing", () => {
  const files = { a: file("1"), b: file("2", 0o400) };
  expect(write(files)).toBe(true);
  const before = lstatSync(join(directory, "..data")).mtimeMs;
  expect(write(files)).toBe(false);
  expect(lstatSync(join(directory, "..data")).mtimeMs).toBe(before);
  expect(write({ ...files, b: file("2", 0o440) })).toBe(true);
});

test("what is gone goes, what is new comes", () => {
  write({ a: file("1"), b: file("2") });
  write({ b: file("2"), c: file("3") });
  expect(readdirSync(directory).filter((name) => !name.startsWith(".."))).toEqual(["b", "c"]);
  write({});
  expect(readdirSync(directory).filter((name) => !name.startsWith(".."))).toEqual([]);
});

test("modes are exact, and a group may read", () => {
  write({ a: file("1", 0o600) });
  expect(statSync(join(directory, "a")).mode & 0o7777).toBe(0o600);
  write({ a: file("1", 0o600) }, 2000);
  expect(statSync(join(directory, "a")).mode & 0o7777).toBe(0o640);
  expect(statSync(join(directory, "a")).gid).toBe(2000);
  expect(write({ a: file("1", 0o600) }, 2000)).toBe(false);
});

test("a half-made folder of a killed agent is cleared", () => {
  write({ a: file("1") });
  const killed = join(directory, "..killed");
  Bun.spawnSync(["mkdir", killed]);
  write({ a: file("2") });
  expect(readdirSync(directory)).not.toContain("..killed");
});
