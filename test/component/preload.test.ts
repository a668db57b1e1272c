/** Tars in DATA_DIR/images, on a real folder with a runtime that is played here. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Images, type ImagesOptions } from "#agents/kubelet/images.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";
import { ScriptedRuntime } from "#test/support/scripted.ts";

let dataDir: string;
let loads: string[];
let load: (path: string) => Promise<readonly string[]>;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "bramble-preload-"));
  mkdirSync(join(dataDir, "images"));
  loads = [];
  load = async () => ["a:1"];
});

afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

const tar = (name: string): string => join(dataDir, "images", name);

/** As a new agent has them. */
function images(): Images {
  const clock = fakeClock();
  const runtime = new ScriptedRuntime(clock);
  runtime.load = (path) => {
    loads.push(path);
    return load(path);
  };
  const objects: ImagesOptions["objects"] = {
    get: async () => undefined,
    watch: () => () => {},
  };
  return new Images({ runtime, objects, clock, log: silentLog, options: { dataDir } });
}

test("are loaded once, by whichever agent, and again when they changed", async () => {
  writeFileSync(tar("one.tar"), "x");
  writeFileSync(tar("notes.txt"), "x");
  await images().preload();
  await images().preload();
  expect(loads).toEqual([tar("one.tar")]);
  utimesSync(tar("one.tar"), 1, 1);
  await images().preload();
  expect(loads).toHaveLength(2);
});

test("one that cannot be loaded keeps no other from it, and is left until it changes", async () => {
  writeFileSync(tar("broken.tar"), "x");
  writeFileSync(tar("whole.tar"), "x");
  load = async (path) => {
    if (path.endsWith("broken.tar")) throw new Error("no archive");
    return ["a:1"];
  };
  await images().preload();
  await images().preload();
  expect(loads.toSorted()).toEqual([tar("broken.tar"), tar("whole.tar")]);
});

test("an agent that ends while it loads leaves the tar to the next one", async () => {
  writeFileSync(tar("one.tar"), "x");
  const never = Promise.withResolvers<readonly string[]>();
  load = () => never.promise;
  void images().preload();
  while (loads.length === 0) await Bun.sleep(1);
  expect(existsSync(`${tar("one.tar")}.loaded`)).toBe(false);
  load = async () => ["a:1"];
  await images().preload();
  expect(loads).toHaveLength(2);
  expect(existsSync(`${tar("one.tar")}.loaded`)).toBe(true);
});

test("a disk that is too full for the note of it keeps no agent from its work", async () => {
  writeFileSync(tar("one.tar"), "x");
  // Nothing can be written to its name.
  mkdirSync(`${tar("one.tar")}.loaded`);
  const agent = images();
  await agent.preload();
  await agent.preload();
  expect(loads).toHaveLength(1);
});
