import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openVault } from "#agents/offline/vault.ts";
import { silentLog } from "#base/log.ts";
import { realRandom as random } from "#base/random.ts";

let dir: string;
const open = (secret = "key", entriesMax = 10) =>
  openVault({ dir, secret, random, log: silentLog, entriesMax });
const files = (): string[] => readdirSync(dir).sort();

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "vault-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("texts come back after a restart, and cannot be read without the key", () => {
  open().write("object /a", "password");
  expect(open().read("object /a")).toBe("password");
  expect(open().read("object /b")).toBeUndefined();
  expect(open("another").read("object /a")).toBeUndefined();
  const all = files().map((file) => file + readFileSync(join(dir, file), "latin1"));
  expect(all.join()).not.toContain("password");
  expect(all.join()).not.toContain("object");
});

test("one text in the place of another is not believed", () => {
  open().write("a", "one");
  const [first = ""] = files();
  open().write("b", "two");
  const second = files().find((file) => file !== first) ?? "";
  writeFileSync(join(dir, first), readFileSync(join(dir, second)));
  expect(open().read("a")).toBeUndefined();
  expect(open().read("b")).toBe("two");
});

test("an equal text is not written again, also after a restart", () => {
  open().write("a", "one");
  const [file = ""] = files();
  const before = statSync(join(dir, file)).ino;
  const vault = open();
  vault.write("a", "one");
  expect(statSync(join(dir, file)).ino).toBe(before);
  vault.write("a", "two");
  expect(statSync(join(dir, file)).ino).not.toBe(before);
});

test("past its bound the text that was written longest ago goes", () => {
  const vault = open("key", 2);
  for (const name of ["a", "b", "c"]) vault.write(name, name);
  expect(["a", "b", "c"].map((name) => vault.read(name))).toEqual([undefined, "b", "c"]);
  vault.remove("c");
  expect(files()).toHaveLength(1);
});
