/**
 * Paths inside of volumes: whatever a container puts in the place of a folder or a file, and
 * whenever, the node's agent reads, changes and mounts nothing outside of the volume, and waits for
 * no pipe.
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bytesBelow } from "#agents/kubelet/diskuse.ts";
import { createNodeHandler } from "#agents/kubelet/server.ts";
import { logFile, terminationFile } from "#agents/kubelet/start.ts";
import { terminationMessage } from "#agents/kubelet/termination.ts";
import { setGroup } from "#agents/volumes/ownership.ts";
import { writePayload } from "#agents/volumes/payload.ts";
import { openSubPath } from "#agents/volumes/subpath.ts";
import { must } from "#base/assert.ts";
import { realClock } from "#base/clock.ts";
import { fileLimits } from "#base/filelimits.ts";
import { silentLog } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import { type Bench, startBench } from "#test/support/kubelet.ts";

const GROUP = 54_321;
const RACE_MS = 600;

let dir: string;
let root: string;
let outside: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "bramble-attack-"));
  root = join(dir, "volume");
  outside = join(dir, "outside");
  mkdirSync(root);
  mkdirSync(outside, { mode: 0o700 });
  writeFileSync(join(outside, "secret"), "secret", { mode: 0o600 });
});

afterEach(() => {
  rmSync(dir, { recursive: true, force: true });
});

async function make(program: string, ...argv: string[]): Promise<void> {
  const { exitCode, stderr } = await runProcess([program, ...argv]);
  if (exitCode !== 0) throw new Error(stderr);
}

/** Fails where `work` waits, as for a pipe without a writer. */
async function within<T>(work: Promise<T>): Promise<T | "waits"> {
  const late = Promise.withResolvers<"waits">();
  const timer = setTimeout(() => late.resolve("waits"), 3_000);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A thread that makes `d` a folder and a link to the outside in turn, as a container can. */
const SWAP = (path: string, to: string) => `
const { mkdirSync, renameSync, symlinkSync } = require("node:fs");
const path = ${JSON.stringify(path)};
const end = performance.now() + ${RACE_MS};
symlinkSync(${JSON.stringify(to)}, path + ".link");
postMessage("begun");
while (performance.now() < end) {
  // The agent may have made a folder in the meantime.
  try {
    renameSync(path, path + ".aside");
    renameSync(path + ".link", path);
    renameSync(path, path + ".link");
    renameSync(path + ".aside", path);
  } catch {}
}
postMessage("over");`;

async function whileSwapped(path: string, work: () => Promise<void>): Promise<number> {
  const worker = new Worker(
    URL.createObjectURL(new Blob([SWAP(path, outside)], { type: "text/javascript" })),
  );
  const begun = Promise.withResolvers<void>();
  let isOver = false;
  worker.onmessage = ({ data }) => {
    begun.resolve();
    isOver = data === "over";
  };
  await begun.promise;
  let rounds = 0;
  while (!isOver) {
    await work();
    rounds++;
  }
  worker.terminate();
  return rounds;
}

describe("fsGroup", () => {
  test("owns nothing outside while a folder and a link change places", async () => {
    mkdirSync(join(root, "d"));
    writeFileSync(join(root, "d", "secret"), "");
    const rounds = await whileSwapped(join(root, "d"), async () => {
      await setGroup(root, GROUP, "Always").catch(() => {});
    });
    expect(rounds).toBeGreaterThan(5);
    for (const path of [outside, join(outside, "secret")]) {
      expect(statSync(path).gid).not.toBe(GROUP);
    }
    expect(statSync(outside).mode & 0o7777).toBe(0o700);
    expect(statSync(join(outside, "secret")).mode & 0o7777).toBe(0o600);
  });

  test("changes no device, and waits for no pipe", async () => {
    await make("mknod", "-m", "600", join(root, "device"), "c", "1", "3");
    await make("mkfifo", "-m", "600", join(root, "pipe"));
    symlinkSync(join(outside, "secret"), join(root, "link"));
    expect(await within(setGroup(root, GROUP, undefined))).not.toBe("waits");
    const device = statSync(join(root, "device"));
    expect([device.gid === GROUP, device.mode & 0o777]).toEqual([false, 0o600]);
    expect(statSync(join(outside, "secret")).gid).not.toBe(GROUP);
  });

  test("ends for any number of folders in each other", async () => {
    let path = root;
    for (let i = 0; i < fileLimits.volumeDepthMax + 5; i++) path += "/d";
    mkdirSync(path, { recursive: true });
    await expect(setGroup(root, GROUP, undefined)).rejects.toThrow("nested folders");
    // Nobody gets more room than its limit by it.
    expect(await bytesBelow(root)).toBe(Number.POSITIVE_INFINITY);
  });
});

test("room outside is not counted, and no pipe is waited for", async () => {
  writeFileSync(join(outside, "big"), new Uint8Array(4_000_000));
  mkdirSync(join(root, "d"));
  symlinkSync(outside, join(root, "link"));
  await make("mkfifo", join(root, "pipe"));
  let most = 0;
  await whileSwapped(join(root, "d"), async () => {
    most = Math.max(most, await bytesBelow(root));
  });
  expect(most).toBeLessThan(1_000_000);
});

describe("subPath", () => {
  test("leads to no device, no pipe and no link", async () => {
    await make("mknod", join(root, "device"), "c", "1", "3");
    await make("mkfifo", join(root, "pipe"));
    symlinkSync("/dev/null", join(root, "link"));
    for (const name of ["device", "pipe", "link", "pipe/x", "device/x"]) {
      expect(await within(openSubPath(root, name).then(() => "opened", String))).toMatch(/Error/);
    }
  });

  test("leads nowhere else while a folder and a link change places", async () => {
    mkdirSync(join(root, "d/sub"), { recursive: true });
    mkdirSync(join(outside, "sub"));
    const { ino } = statSync(join(outside, "sub"));
    const opened = new Set<number>();
    await whileSwapped(join(root, "d"), async () => {
      for (const path of ["d/sub", "d/new"]) {
        const handle = await openSubPath(root, path).catch(() => undefined);
        if (handle !== undefined) opened.add((await handle.stat()).ino);
        await handle?.close();
      }
    });
    expect(opened.has(ino)).toBe(false);
    expect(readdirSync(outside).sort()).toEqual(["secret", "sub"]);
  });
});

describe("files of objects", () => {
  const payload = new Map([["sub/key", { data: Buffer.from("evil"), mode: 0o644 }]]);
  const owner = { group: undefined, stamp: "2026" };

  test("are written below their folder, whatever was put in it", () => {
    symlinkSync(outside, join(root, "sub"));
    symlinkSync(outside, join(root, "..2026"));
    symlinkSync("../outside", join(root, "..data"));
    symlinkSync(outside, join(root, "..data_tmp"));
    writePayload(root, payload, owner);
    expect(readFileSync(join(root, "..2026/sub/key"), "utf8")).toBe("evil");
    expect(readdirSync(outside)).toEqual(["secret"]);
    expect(statSync(outside).mode & 0o777).toBe(0o700);
  });

  test("are not written where a link is in the place of their folder", () => {
    rmSync(root, { recursive: true });
    symlinkSync(outside, root);
    expect(() => writePayload(root, payload, owner)).toThrow("not a folder");
    expect(readdirSync(outside)).toEqual(["secret"]);
    expect(statSync(outside).mode & 0o777).toBe(0o700);
  });
});

describe("logs and last words", () => {
  let bench: Bench;

  beforeEach(async () => {
    bench = await startBench();
    await bench.create("web", {});
  });

  afterEach(() => bench.close());

  const workerOf = () => must([...bench.kubelet.workers.values()][0], "worker");
  const logs = async () => {
    const { kubelet, runtime } = bench;
    const node = createNodeHandler({ kubelet, runtime, clock: realClock, log: silentLog });
    const request = new Request("http://node/containerLogs/default/web/main");
    return (await node.fetch(request)).text().catch(String);
  };
  const message = () => terminationMessage(workerOf(), "main", 0, 1);

  const plants: Array<[string, (path: string) => Promise<void> | void]> = [
    ["a link", (path) => symlinkSync(join(outside, "secret"), path)],
    ["a device", (path) => make("mknod", path, "c", "1", "5")],
    ["a pipe", (path) => make("mkfifo", path)],
  ];

  test.each(plants)("%s in their place is not read", async (_, plant) => {
    for (const path of [logFile(workerOf(), "main", 0), terminationFile(workerOf(), "main", 0)]) {
      if (existsSync(path)) rmSync(path);
      await plant(path);
      chmodSync(join(outside, "secret"), 0o644);
    }
    const [log, words] = [await within(logs()), await within(message())];
    expect([log.includes("secret"), log.length < 1_000, log === "waits"]).toEqual([
      false,
      true,
      false,
    ]);
    expect(words).toBe("");
  });
});
