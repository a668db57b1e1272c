import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Containerd } from "#agents/runtime/containerd.ts";
import { Suspects } from "#agents/runtime/suspects.ts";
import type { Grpc } from "#base/grpc.ts";
import { silentLog } from "#base/log.ts";
import { Fields, Writer } from "#base/proto.ts";

let dir: string;
/** Digests of the images that containerd has, by name. */
let images: Map<string, string>;
let leases: Set<string>;
let reachable: boolean;
/** Images of the containers by id, and which of them run. */
let containers: Map<string, string>;
let running: string[];
/** What happened to images and containers, in order. */
let removed: string[];
let removable: boolean;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "bramble-suspects-"));
  images = new Map([["old:1", "sha256:old"]]);
  leases = new Set(["fetch-1", "fetch-2"]);
  reachable = true;
  containers = new Map();
  running = [];
  removed = [];
  removable = true;
});
afterEach(() => rmSync(dir, { recursive: true }));

const grpc: Grpc = {
  async unary(method, message) {
    if (!reachable) throw new Error("no containerd");
    const answer = new Writer();
    if (method.endsWith("Leases/Delete")) leases.delete(new Fields(message).text(1));
    if (method.endsWith("Leases/List")) {
      for (const id of leases) answer.bytes(1, new Writer().text(1, id).done());
    }
    if (method.includes("Leases/")) return answer.done();
    if (method.endsWith("Tasks/List")) {
      const task = (id: string) => new Writer().text(2, id).number(4, 2).done();
      for (const id of running) answer.bytes(1, task(id));
      return answer.done();
    }
    if (method.endsWith("Containers/List")) {
      const filter = new Fields(message).text(1);
      for (const [id, image] of containers) {
        if (filter !== `image=="${image}"`) continue;
        answer.bytes(1, new Writer().text(1, id).text(3, image).done());
      }
      return answer.done();
    }
    if (method.endsWith("/Delete")) {
      removed.push(new Fields(message).text(1));
      images.delete(new Fields(message).text(1));
    }
    for (const [name, digest] of images) {
      const target = new Writer().text(2, digest).done();
      answer.bytes(1, new Writer().text(1, name).bytes(3, target).done());
    }
    return answer.done();
  },
  stream: () => Promise.reject(new Error("not used")),
  close() {},
};

function boot(bootId: string): Suspects {
  return new Suspects({
    containerd: new Containerd(grpc, 1000),
    log: silentLog,
    dir,
    bootId: async () => bootId,
    removeContainers: async (ids) => {
      if (!removable) throw new Error("device busy");
      removed.push(...ids);
    },
  });
}

test("a fetch that was finished leaves no doubt", async () => {
  const done = await boot("a").begin("new:1");
  images.set("new:1", "sha256:new");
  await done();
  expect(await boot("b").recover()).toEqual([]);
  expect([...images.keys()]).toEqual(["old:1", "new:1"]);
});

test("one that was not is taken back after a boot, and only then", async () => {
  await boot("a").begin("new:1");
  images.set("new:1", "sha256:new");
  images.set("other:1", "sha256:other");
  expect(await boot("a").recover()).toEqual([]);
  expect(await boot("b").recover()).toEqual(["new:1"]);
  expect([...images.keys()]).toEqual(["old:1", "other:1"]);
  expect(readdirSync(dir)).toEqual([]);
});

test("ended containers on it go first, for their snapshots keep its own", async () => {
  await boot("a").begin("new:1");
  images.set("new:1", "sha256:new");
  containers.set("dead", "new:1").set("alive", "new:1").set("other", "old:1");
  running = ["alive"];
  await boot("b").recover();
  expect(removed).toEqual(["dead", "new:1"]);
});

test("one that cannot be removed keeps no image from being doubted", async () => {
  await boot("a").begin("new:1");
  images.set("new:1", "sha256:new");
  containers.set("dead", "new:1");
  removable = false;
  expect(await boot("b").recover()).toEqual(["new:1"]);
});

test("what holds the parts of a fetch ends with the boot, and not before", async () => {
  const done = await boot("a").begin("new:1");
  await boot("a").recover();
  expect([...leases]).toEqual(["fetch-1", "fetch-2"]);
  await boot("b").recover();
  expect([...leases]).toEqual([]);
  leases.add("somebody");
  await done();
  await boot("c").recover();
  expect([...leases]).toEqual(["somebody"]);
});

test("an image that is what it had been before the fetch is whole", async () => {
  await boot("a").begin("old:1");
  expect(await boot("b").recover()).toEqual([]);
  await boot("b").begin("old:1");
  images.set("old:1", "sha256:newer");
  expect(await boot("c").recover()).toEqual(["old:1"]);
});

test("of a file whose names are not known, whatever is new is doubted", async () => {
  await boot("a").begin("");
  images.set("x:1", "sha256:x").set("y:1", "sha256:y");
  expect(await boot("b").recover()).toEqual(["x:1", "y:1"]);
});

test("a note that was cut off doubts nothing", async () => {
  writeFileSync(`${dir}/1-0`, "");
  writeFileSync(`${dir}/1-1`, '{"bootId":"a"');
  expect(await boot("b").recover()).toEqual([]);
  expect(readdirSync(dir)).toEqual([]);
});

test("without containerd it is tried again", async () => {
  await boot("a").begin("new:1");
  images.set("new:1", "sha256:new");
  const suspects = boot("b");
  reachable = false;
  await expect(suspects.recover()).rejects.toThrow("no containerd");
  reachable = true;
  expect(await suspects.recover()).toEqual(["new:1"]);
});
