/** Local volumes with a file system of their own: real loop devices and ext4. Needs root. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LocalDisk } from "#agents/volumes/localdisk.ts";
import { runProcess } from "#base/process.ts";
import type { Stored } from "#resources/meta.ts";
import type { PersistentVolume } from "#resources/types.gen.ts";

let root: string;
let disk: LocalDisk;

beforeAll(() => {
  root = mkdtempSync("/var/tmp/bramble-loop-");
  disk = new LocalDisk({ run: runProcess, root });
});
afterAll(async () => {
  for (const name of readdirSync(root)) await runProcess(["umount", join(root, name)]);
  rmSync(root, { recursive: true, force: true });
});

function volume(storage: string): Stored<PersistentVolume> {
  return {
    metadata: {
      name: "pvc-1",
      uid: "1",
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
      annotations: { "bramble.dev/size-limit": "loop" },
    },
    spec: { local: { path: join(root, "pvc-1_x_c") }, capacity: { storage } },
  };
}

const MIB = 1024 * 1024;
const fill = (path: string, mib: number) => writeFileSync(path, new Uint8Array(mib * MIB));

/** Without it, a node that another test starts meanwhile takes a copy of the mount with it. */
const ALONE = "BRAMBLE_TEST_OWN_MOUNTS";

async function inOwnMounts(): Promise<void> {
  const own = ["unshare", "--mount", "--propagation", "private"];
  const env = { [ALONE]: "1" };
  const argv = [...own, process.execPath, "test", import.meta.path];
  const { exitCode, stderr } = await runProcess(argv, { env, timeoutMs: 120_000 });
  expect(exitCode, stderr).toBe(0);
}

test("holds its size, outlives a reboot, grows, and goes without a trace", async () => {
  if (process.env[ALONE] === undefined) return inOwnMounts();
  const { path, held } = await disk.ensure(volume("32Mi"));
  expect(held).toBe("loop");
  expect(readdirSync(path)).toEqual([]);
  writeFileSync(join(path, "kept"), "data");
  fill(join(path, "a"), 16);
  expect(() => fill(join(path, "b"), 40)).toThrow(/ENOSPC/);
  rmSync(join(path, "b"));

  // A reboot leaves nothing mounted, and a claim may have grown meanwhile.
  expect((await runProcess(["umount", path])).exitCode).toBe(0);
  expect(readdirSync(path)).toEqual([]);
  await disk.ensure(volume("128Mi"));
  expect(readFileSync(join(path, "kept"), "utf8")).toBe("data");
  fill(join(path, "b"), 80);

  await disk.remove(volume("128Mi"));
  expect(existsSync(path)).toBe(false);
  expect(readdirSync(root)).toEqual([]);
  const loops = await runProcess(["losetup", "-a"]);
  expect(loops.stdout).not.toContain(root);
}, 180_000);
