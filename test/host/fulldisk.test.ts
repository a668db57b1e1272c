/** A disk that is really full, in a mount namespace of its own that ends with the process. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { tempDir } from "#test/support/store.ts";

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
}, 120_000);
