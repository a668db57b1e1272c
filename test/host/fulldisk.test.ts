/** A disk that is really full, in a mount namespace of its own that ends with the process. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { tempDir } from "#test/support/store.ts";

test("a file for which there is no room whole stays as it was", async () => {
  const dir = tempDir();
  try {
    const files = join(import.meta.dir, "../../src/base/files.ts");
    const write = `import { readdirSync, readFileSync, writeFileSync } from "node:fs";
      const { writeDurably } = await import("${files}");
      const [, dir] = process.argv;
      writeFileSync(dir + "/file", "old");
      let error = "";
      // The kernel takes the first part of it, and tells of no error.
      try { writeDurably(dir + "/file", "x".repeat(2_000_000)) } catch ({ code }) { error = code }
      console.log(error, readFileSync(dir + "/file").length, readdirSync(dir).length);`;
    const steps = `mount -t tmpfs -o size=1m none "$1" && exec bun -e "$2" "$1"`;
    const argv = ["unshare", "--mount", "sh", "-c", steps, "sh", dir.path, write];
    const child = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([child.stdout, child.stderr].map((s) => s.text()));
    expect(`${out}${err}`).toBe("ENOSPC 3 1\n");
  } finally {
    dir.remove();
  }
}, 120_000);

test("a full disk refuses writes whole, and takes them again once there is room", async () => {
  const dir = tempDir();
  try {
    const script = join(import.meta.dir, "../support/fulldisk.ts");
    const steps = `mount -t tmpfs -o size=3m none "$1" && exec bun "$2" "$1"`;
    const argv = ["unshare", "--mount", "sh", "-c", steps, "sh", dir.path, script];
    const child = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([child.stdout, child.stderr].map((s) => s.text()));
    expect(`${err}`).toBe("");
    const report = JSON.parse(out ?? "");
    expect(report.errors).toEqual(["StorageError"]);
    expect(report.whenFull).toBeGreaterThan(16);
    expect(report.readable).toBe(report.whenFull);
    expect(report.after).toBeGreaterThanOrEqual(report.whenFull + 400);
    expect(report.lost).toBe(0);
    expect(report.extra).toBe(0);
  } finally {
    dir.remove();
  }
}, 360_000);
