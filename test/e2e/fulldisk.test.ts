/**
 * A server whose disk is full says so, goes on reading, also after a new start, and writes again
 * once there is room.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mustRun, run } from "#test/support/instance.ts";
import { type PlainServer, plainServer } from "#test/support/plainserver.ts";

let disk: string;
let server: PlainServer;
beforeAll(async () => {
  disk = mkdtempSync(join(tmpdir(), "bramble-full-"));
  await mustRun(["mount", "-t", "tmpfs", "-o", "size=12m", "none", disk]);
  server = await plainServer({ dataDir: disk });
  await server.start();
}, 360_000);
afterAll(async () => {
  await server?.close();
  await run(["umount", disk]);
  rmSync(disk, { recursive: true, force: true });
});

const names = async (): Promise<string[]> =>
  (await server.must("get", "configmaps", "-o", "name")).trim().split("\n");

/** Takes what room is left. */
const fillUp = () =>
  run(["dd", "if=/dev/zero", `of=${join(disk, `filler-${fillers++}`)}`, "bs=1k"]);
let fillers = 0;

/** Stopped and started without room it serves what it has, and says why it takes nothing more. */
async function startsFull(taken: readonly string[], stop: () => Promise<void>): Promise<void> {
  await stop();
  await fillUp();
  await server.start();
  expect(await names()).toEqual(expect.arrayContaining([...taken]));
  const { stderr } = await server.kubectl(["create", "configmap", "refused"]);
  expect(stderr).toContain("the store could not write");
}

test("refuses with one clear reason, and loses nothing that it took", async () => {
  const file = join(server.dir, "big");
  writeFileSync(file, "x".repeat(400_000));
  const create = (at: number) =>
    server.kubectl(["create", "configmap", `c${at}`, `--from-file=big=${file}`]);
  const taken: string[] = [];
  let refusal = "";
  for (let at = 0; at < 60 && refusal === ""; at += 1) {
    const { exitCode, stderr } = await create(at);
    if (exitCode === 0) taken.push(`configmap/c${at}`);
    else refusal = stderr;
  }
  expect(refusal).toContain("the store could not write");
  expect(refusal).toMatch(/full|no space/i);
  expect(taken.length).toBeGreaterThan(5);
  expect(await names()).toEqual(expect.arrayContaining(taken));
  expect(await names()).not.toContain(`configmap/c${taken.length}`);

  await startsFull(taken, () => server.stop("SIGKILL"));
  // Where SQLite's file beside the log is gone too, there is no room to make it anew.
  await startsFull(taken, async () => {
    await server.stop();
    rmSync(join(disk, "state.db-shm"), { force: true });
  });

  await mustRun(["mount", "-o", "remount,size=64m", disk]);
  const last = await create(99);
  expect([last.exitCode, last.stderr]).toEqual([0, ""]);
  await server.stop("SIGKILL");
  await server.start();
  expect(await names()).toEqual(expect.arrayContaining([...taken, "configmap/c99"]));
}, 270_000);
