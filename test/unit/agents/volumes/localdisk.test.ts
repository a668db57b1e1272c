import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LocalDisk } from "#agents/volumes/localdisk.ts";
import type { Stored } from "#resources/meta.ts";
import type { PersistentVolume } from "#resources/types.gen.ts";

let base: string;
let root: string;
let commands: string[];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "bramble-disk-"));
  root = join(base, "storage");
  commands = [];
  writeFileSync(join(base, "mounts"), "");
});
afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

/** Programs are noted; findmnt tells of these mount options. */
function disk(options = "rw,relatime"): LocalDisk {
  const answers: Record<string, string> = {
    findmnt: `/disk ${options}\n`,
    tune2fs: "Block count:              8192\nBlock size:               4096\n",
  };
  const run = async (argv: readonly string[]) => {
    const [program = ""] = argv;
    const answer = argv.includes("SOURCE") ? "/dev/loop7\n" : answers[program];
    if (answer === undefined) commands.push(argv.join(" ").replaceAll(base, ""));
    return { exitCode: 0, stdout: answer ?? "", stderr: "" };
  };
  return new LocalDisk({ run, root, mountTable: join(base, "mounts") });
}

function volume(path: string, limit?: string, storage = "1Gi"): Stored<PersistentVolume> {
  const fixed = { resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" };
  const annotations = limit === undefined ? {} : { "bramble.dev/size-limit": limit };
  return {
    metadata: { name: "pvc-1", uid: path, ...fixed, annotations },
    spec: { local: { path }, capacity: { storage } },
  };
}

const inside = () => `${root}/pvc-1_x_c`;

test("a folder is everybody's, made once, and removed with all that is in it", async () => {
  const here = disk();
  const one = volume(inside());
  expect(await here.ensure(one)).toEqual({ path: inside(), held: "none" });
  expect(statSync(inside()).mode & 0o7777).toBe(0o777);
  mkdirSync(join(inside(), "deep"));
  writeFileSync(join(inside(), "deep/data"), "x");
  await here.ensure(one);
  expect(existsSync(join(inside(), "deep/data"))).toBe(true);
  await here.remove(one);
  await here.remove(one);
  expect(existsSync(inside())).toBe(false);
  expect(existsSync(root)).toBe(true);
  expect(commands).toEqual([]);
});

describe("never outside of its own folder:", () => {
  const paths = ["", "/", "/etc", "ROOT", "ROOT/", "ROOT/..", "ROOT/../x", "ROOT/a/b", "ROOTx/a"];
  test.each([...paths, "ROOT/.x", "ROOT/a.img"])("%s", async (text) => {
    const path = text.replace("ROOT", root);
    mkdirSync(`${base}/x`);
    mkdirSync(`${root}/a/b`, { recursive: true });
    const here = disk();
    expect(here.ensure(volume(path))).rejects.toThrow("is no folder of");
    expect(here.remove(volume(path))).rejects.toThrow("is no folder of");
    expect(existsSync(`${root}/a/b`) && existsSync(`${base}/x`)).toBe(true);
  });
});

test("project quotas hold the size where the file system has them", async () => {
  const here = disk("rw,prjquota");
  expect((await here.ensure(volume(inside()))).held).toBe("quota");
  const [mark, set] = commands;
  const project = /-p (\d+)/.exec(mark ?? "")?.[1];
  expect(mark).toBe(`chattr +P -p ${project} /storage/pvc-1_x_c`);
  expect(set).toBe(`setquota -P ${project} 0 1048576 0 0 /disk`);
  await here.ensure(volume(inside(), "quota", "2Gi"));
  expect(commands.at(-1)).toBe(`setquota -P ${project} 0 2097152 0 0 /disk`);
  await here.remove(volume(inside()));
  expect(commands.at(-1)).toBe(`setquota -P ${project} 0 0 0 0 /disk`);
});

test("a quota that is asked for and cannot be had is an error, not a wish", async () => {
  expect(disk().ensure(volume(inside(), "quota"))).rejects.toThrow("no file system with quotas");
  expect((await disk("rw,prjquota").ensure(volume(inside(), "none"))).held).toBe("none");
});

test("a file system of its own grows in use by the kernel, else before it is mounted", async () => {
  const image = "/storage/pvc-1_x_c.img";
  const here = disk();
  await here.ensure(volume(inside(), "loop", "32Mi"));
  expect(commands).toEqual([
    `mkfs.ext4 -q -F -m 0 ${image}.new`,
    `mount -o loop,noatime -- ${image} /storage/pvc-1_x_c`,
  ]);
  commands.length = 0;
  await here.ensure(volume(inside(), "loop", "64Mi"));
  expect(commands).toEqual([
    `e2fsck -f -p ${image}`,
    `resize2fs ${image}`,
    `mount -o loop,noatime -- ${image} /storage/pvc-1_x_c`,
  ]);
  commands.length = 0;
  writeFileSync(join(base, "mounts"), `1 2 7:7 / ${inside()} rw - ext4 /dev/loop7 rw\n`);
  await here.ensure(volume(inside(), "loop", "128Mi"));
  expect(commands).toEqual(["losetup -c /dev/loop7", "resize2fs /dev/loop7"]);
});

test("what is still mounted below is not removed", async () => {
  const here = disk();
  await here.ensure(volume(inside()));
  writeFileSync(join(base, "mounts"), `1 2 0:3 / ${inside()}/nested rw - tmpfs tmpfs rw\n`);
  expect(here.remove(volume(inside()))).rejects.toThrow("is still mounted");
  expect(existsSync(inside())).toBe(true);
});
