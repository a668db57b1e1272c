/** Files of a server or a node are for its own user only, whatever stood in their place. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import {
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { writeDurably } from "#base/files.ts";
import { type TempDir, tempDir } from "#test/support/store.ts";
import { makeDataDir } from "../../src/main/instance.ts";

let umask = 0;
let dir: TempDir;
beforeAll(() => {
  // Modes are not left to what the process was started with.
  umask = process.umask(0);
});
afterAll(() => {
  process.umask(umask);
});
beforeEach(() => {
  dir = tempDir();
});
afterEach(() => dir.remove());

const modeOf = (path: string): string => (lstatSync(path).mode & 0o7777).toString(8);

test("a file is for its owner alone where nobody says otherwise", () => {
  const path = join(dir.path, "secret");
  writeDurably(path, "text");
  expect(modeOf(path)).toBe("600");
});

test("what is left of an earlier write lends a secret neither its mode nor its place", () => {
  const path = join(dir.path, "secret");
  writeFileSync(`${path}.new`, "", { mode: 0o666 });
  writeDurably(path, "text");
  expect(modeOf(path)).toBe("600");
  const elsewhere = join(dir.path, "elsewhere");
  writeFileSync(elsewhere, "as before");
  symlinkSync(elsewhere, `${path}.new`);
  writeDurably(path, "a second text");
  expect(readFileSync(elsewhere, "utf8")).toBe("as before");
  expect(lstatSync(path).isFile()).toBe(true);
});

/** A data directory as a copy, a restore by hand or an old version may leave it. */
function loose(): string {
  const path = join(dir.path, "data");
  for (const each of ["", "pki", "node", "node/kept", "pods"]) {
    mkdirSync(join(path, each), { mode: 0o777 });
  }
  const secrets = ["admin-token", "state.db", "pki/ca.key", "node/node.key", "node/kept/a.sealed"];
  for (const each of secrets) writeFileSync(join(path, each), each, { mode: 0o666 });
  return path;
}

test("a start takes files that others can read away from them", () => {
  const path = loose();
  makeDataDir(path);
  for (const each of ["", "pki", "node", "node/kept"]) {
    expect([each, modeOf(join(path, each))]).toEqual([each, "700"]);
  }
  const secrets = ["admin-token", "state.db", "pki/ca.key", "node/node.key", "node/kept/a.sealed"];
  for (const each of secrets) expect([each, modeOf(join(path, each))]).toEqual([each, "600"]);
  expect(modeOf(join(path, "pods"))).toBe("777");
});

test("a link in place of a secret or a folder of secrets ends the start", () => {
  for (const name of ["admin-token", "pki"]) {
    const path = join(dir.path, `data-${name}`);
    mkdirSync(path);
    const elsewhere = join(dir.path, `of-somebody-${name}`);
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, join(path, name));
    expect(() => makeDataDir(path)).toThrow("is a symbolic link");
    expect(modeOf(elsewhere)).toBe("777");
  }
});

test("a secret, or the data directory, of another user ends the start", () => {
  const path = loose();
  chownSync(join(path, "pki/ca.key"), 65534, 65534);
  expect(() => makeDataDir(path)).toThrow("belongs to user 65534");
  const own = join(dir.path, "own");
  mkdirSync(own);
  chownSync(own, 65534, 65534);
  expect(() => makeDataDir(own)).toThrow("belongs to user 65534");
});

test("the data directory may be a link of its own user to a directory of theirs", () => {
  const path = loose();
  const link = join(dir.path, "link");
  symlinkSync(path, link);
  makeDataDir(link);
  expect(modeOf(path)).toBe("700");
  lchownSync(link, 65534, 65534);
  expect(() => makeDataDir(link)).toThrow("belongs to user 65534");
});
