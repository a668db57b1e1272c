/** One server for a data directory, whatever happens to the process that holds the lock. */
import { expect, test } from "bun:test";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "#base/errors.ts";
import { lockDataDir } from "#store/lock.ts";
import { tempDir } from "#test/support/store.ts";

function refusal(dir: string): OperatorError {
  try {
    lockDataDir(dir).release();
  } catch (error) {
    if (error instanceof OperatorError) return error;
    throw error;
  }
  throw new Error("the lock was given");
}

test("a second holder in one process is refused until the first lets go", () => {
  const dir = tempDir();
  try {
    const path = join(dir.path, "made", "by", "it");
    const lock = lockDataDir(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, "lock")).mode & 0o777).toBe(0o600);
    expect(refusal(path).message).toContain(path);
    expect(refusal(path).hint).toContain("--data-dir");
    lock.release();
    lock.release();
    lockDataDir(path).release();
  } finally {
    dir.remove();
  }
});

test("another process is refused, told who holds it, and let in after kill -9", async () => {
  const dir = tempDir();
  const module = join(import.meta.dir, "../../../src/store/lock.ts");
  const script = join(dir.path, "holder.ts");
  writeFileSync(
    script,
    `import { lockDataDir } from ${JSON.stringify(module)};
     lockDataDir(${JSON.stringify(dir.path)});
     Bun.gc(true);
     console.log("locked");
     setInterval(() => {}, 1000);`,
  );
  const holder = Bun.spawn(["bun", script], { stdout: "pipe", stderr: "inherit" });
  try {
    const first = await holder.stdout.getReader().read();
    expect(Buffer.from(first.value ?? []).toString()).toContain("locked");
    expect(refusal(dir.path).message).toContain(`process ${holder.pid}`);
    holder.kill("SIGKILL");
    await holder.exited;
    lockDataDir(dir.path).release();
  } finally {
    holder.kill("SIGKILL");
    await holder.exited;
    dir.remove();
  }
});

test("a directory that cannot be made is refused with the way out", () => {
  const dir = tempDir();
  try {
    writeFileSync(join(dir.path, "file"), "");
    const error = refusal(join(dir.path, "file", "below"));
    expect(error.message).toContain("cannot use the data directory");
    expect(error.hint).toContain("--data-dir");
  } finally {
    dir.remove();
  }
});
