import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkHostPath } from "#agents/volumes/hostpath.ts";
import { setGroup } from "#agents/volumes/ownership.ts";
import { openSubPath } from "#agents/volumes/subpath.ts";

let directory: string;
let root: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bramble-subpath-"));
  root = join(directory, "volume");
  mkdirSync(root);
  chmodSync(root, 0o777);
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function opened(subPath: string): Promise<number> {
  const handle = await openSubPath(root, subPath);
  const { ino } = await handle.stat();
  await handle.close();
  return ino;
}

test("what is there is opened, what is missing is made with the volume's mode", async () => {
  writeFileSync(join(root, "file"), "x");
  expect(await opened("file")).toBe(statSync(join(root, "file")).ino);
  expect(await opened("a/b")).toBe(statSync(join(root, "a/b")).ino);
  expect(statSync(join(root, "a/b")).mode & 0o7777).toBe(0o777);
});

test("links within the volume are followed", async () => {
  mkdirSync(join(root, "..1"));
  writeFileSync(join(root, "..1/key"), "x");
  symlinkSync("..1", join(root, "..data"));
  symlinkSync("..data/key", join(root, "key"));
  expect(await opened("key")).toBe(statSync(join(root, "..1/key")).ino);
});

test("a way out of the volume is refused", async () => {
  mkdirSync(join(directory, "outside"));
  symlinkSync(join(directory, "outside"), join(root, "out"));
  symlinkSync("..", join(root, "up"));
  expect(openSubPath(root, "out")).rejects.toThrow("leads outside");
  expect(openSubPath(root, "out/new")).rejects.toThrow("leads outside");
  expect(openSubPath(root, "up/outside")).rejects.toThrow("leads outside");
  expect(openSubPath(root, "../outside")).rejects.toThrow("must be below");
  expect(openSubPath(root, "/etc")).rejects.toThrow("must be below");
  expect(existsSync(join(directory, "outside/new"))).toBe(false);
});

test("hostPath types", async () => {
  const file = join(root, "f");
  writeFileSync(file, "");
  await checkHostPath(join(root, "nothing"), "");
  await checkHostPath(root, "Directory");
  await checkHostPath(file, "File");
  await checkHostPath("/dev/null", "CharDevice");
  await checkHostPath(join(root, "made/deep"), "DirectoryOrCreate");
  expect(statSync(join(root, "made/deep")).isDirectory()).toBe(true);
  await checkHostPath(join(root, "new"), "FileOrCreate");
  expect(statSync(join(root, "new")).isFile()).toBe(true);
  const failed = (path: string, word: string) =>
    `hostPath type check failed: ${path} is not ${word}`;
  expect(checkHostPath(file, "Directory")).rejects.toThrow(failed(file, "a directory"));
  expect(checkHostPath(root, "File")).rejects.toThrow(failed(root, "a file"));
  const none = join(root, "none");
  expect(checkHostPath(none, "Socket")).rejects.toThrow(failed(none, "a socket file"));
});

test("fsGroup owns everything, and may leave a volume that is right alone", async () => {
  mkdirSync(join(root, "d"), { mode: 0o700 });
  writeFileSync(join(root, "d/f"), "x", { mode: 0o600 });
  await setGroup(root, 2000, undefined);
  const file = statSync(join(root, "d/f"));
  expect([file.gid, file.mode & 0o7777]).toEqual([2000, 0o660]);
  expect(statSync(join(root, "d")).mode & 0o7777).toBe(0o2770);
  writeFileSync(join(root, "late"), "x", { mode: 0o600 });
  const before = statSync(join(root, "late")).gid;
  chmodSync(join(root, "late"), 0o600);
  await setGroup(root, 2000, "OnRootMismatch");
  expect(statSync(join(root, "late")).mode & 0o7777).toBe(0o600);
  await setGroup(root, 2000, "Always");
  expect([before, statSync(join(root, "late")).mode & 0o7777]).toEqual([2000, 0o660]);
});
