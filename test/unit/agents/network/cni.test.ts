import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createPodNetwork, type PodNetwork } from "#agents/network/cni.ts";
import type { Flows } from "#agents/network/flows.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";

let dir = "";
let calls: string[] = [];
/** Answers of ADD in turn; the last one again and again. */
let adds: Array<{ exitCode: number; stdout: string }> = [];
const OK = { exitCode: 0, stdout: '{"ips":[{"address":"10.42.1.2/24"}]}' };

/** `ip netns` on files, and a plugin that answers as scripted. */
const run: Run = async (argv, options) => {
  const command = options?.env?.["CNI_COMMAND"];
  if (command !== undefined) {
    calls.push(`${command} ${options?.env?.["CNI_CONTAINERID"]} ${options?.env?.["CNI_NETNS"]}`);
    const answer = command === "DEL" ? { exitCode: 0, stdout: "" } : adds[0];
    if (command === "ADD" && adds.length > 1) adds.shift();
    return { exitCode: 1, stdout: "", stderr: "", ...answer };
  }
  if (argv[0] !== "ip") return { exitCode: 0, stdout: "", stderr: "" };
  const lines =
    argv[1] === "-batch" ? String(options?.stdin).split("\n") : [argv.slice(1).join(" ")];
  if (lines.length > 1) calls.push("batch");
  for (const line of lines.filter((each) => each.startsWith("netns "))) {
    const [, verb, name = ""] = line.split(" ");
    calls.push(`netns ${verb}`);
    const path = join(dir, "netns", name);
    if (verb === "add") writeFileSync(path, "");
    else rmSync(path);
  }
  return { exitCode: 0, stdout: "", stderr: "" };
};

function network(flows?: Flows): PodNetwork {
  const netnsDir = join(dir, "netns");
  const dataDir = join(dir, "data");
  const log = silentLog;
  const options = { run, cniBinDir: "/cni", dataDir, netnsDir, instance: "", log };
  return createPodNetwork(flows === undefined ? options : { ...options, flows });
}

const request = { podUid: "u1", sandboxId: "s1", podCidr: "10.42.1.0/24" };
const path = () => join(dir, "netns", "bramble__u1_s1");

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "bramble-cni-"));
  mkdirSync(join(dir, "netns"));
  calls = [];
  adds = [OK];
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("a pod is attached once, however often it is asked for, also after a restart", async () => {
  const it = network();
  const [one, two] = await Promise.all([it.attach(request), it.attach(request)]);
  expect(one).toMatchObject({ ip: "10.42.1.2", netnsPath: path() });
  expect(two).toEqual(one);
  expect(await network().attach(request)).toEqual(one);
  expect(calls).toEqual(["netns add", `ADD s1 ${path()}`]);
});

test("a failed ADD is undone and tried once more", async () => {
  adds = [{ exitCode: 1, stdout: '{"msg":"could not set bridge\'s mac"}' }, OK];
  expect((await network().attach(request)).ip).toBe("10.42.1.2");
  expect(calls).toEqual([
    "netns add",
    `ADD s1 ${path()}`,
    `DEL s1 ${path()}`,
    "netns delete",
    "netns add",
    `ADD s1 ${path()}`,
  ]);
});

test("an ADD that fails for good leaves nothing, and says the plugin's words", async () => {
  adds = [{ exitCode: 1, stdout: '{"code":11,"msg":"no IP addresses available"}' }];
  const it = network();
  expect(it.attach(request)).rejects.toThrow("attach pod network: no IP addresses available");
  await it.attach(request).catch(() => {});
  expect(readdirSync(join(dir, "netns"))).toEqual([]);
  expect(await it.list()).toEqual([]);
  expect(calls.at(-2)).toBe(`DEL s1 ${path()}`);
});

test("a namespace without a record is what a crash left: it is made anew", async () => {
  writeFileSync(path(), "");
  const it = network();
  expect(await it.list()).toEqual([{ podUid: "u1", sandboxId: "s1", netnsPath: path() }]);
  await it.attach(request);
  expect(calls.slice(0, 2)).toEqual([`DEL s1 ${path()}`, "netns delete"]);
});

test("a record without its namespace is what a power cut left", async () => {
  await network().attach(request);
  rmSync(path());
  const it = network();
  expect(await it.list()).toHaveLength(1);
  await it.detach(request);
  expect(calls.at(-1)).toBe("DEL s1 ");
  expect(await it.list()).toEqual([]);
});

test("clients of a detached pod are let go; only who has its address waits for it", async () => {
  const both = '{"ips":[{"address":"10.42.1.2/24"},{"address":"fd00::2/64"}]}';
  adds = [{ exitCode: 0, stdout: both }];
  const over = Promise.withResolvers<void>();
  const waits = Promise.withResolvers<void>();
  const asked: unknown[] = [];
  const it = network({
    end: (targets) => {
      asked.push(...targets);
      return over.promise;
    },
    ended: (ips) => {
      if (asked.length === 0 || !ips.includes("fd00::2")) return Promise.resolve();
      waits.resolve();
      return over.promise;
    },
  });
  await it.attach(request);
  await it.detach(request);
  expect(asked).toEqual(["10.42.1.2", "fd00::2"].map((ip) => ({ ip, unanswered: false })));
  adds = [{ exitCode: 0, stdout: '{"ips":[{"address":"10.42.1.3/24"}]}' }];
  await it.attach({ ...request, podUid: "u2", sandboxId: "s2" });
  adds = [{ exitCode: 0, stdout: both }];
  let isAttached = false;
  const again = it.attach({ ...request, podUid: "u3", sandboxId: "s3" }).then(() => {
    isAttached = true;
  });
  await waits.promise;
  await Bun.sleep(0);
  expect(isAttached).toBe(false);
  over.resolve();
  await again;
});

test("reset frees everything of this instance and nothing else", async () => {
  const other = join(dir, "netns", "bramble_two_u1_s1");
  writeFileSync(other, "");
  writeFileSync(join(dir, "netns", "someone"), "");
  const it = network();
  let changes = 0;
  it.onChange(() => changes++);
  await it.attach(request);
  await it.attach({ ...request, podUid: "u2", sandboxId: "s2" });
  calls = [];
  await it.reset();
  // Pods wait for it: one program, however many there were.
  expect(calls).toEqual(["batch", "netns delete", "netns delete"]);
  expect(readdirSync(join(dir, "netns")).sort()).toEqual(["bramble_two_u1_s1", "someone"]);
  expect(await it.attachments()).toEqual([]);
  expect(changes).toBe(3);
  await it.attach(request);
  expect(await it.attachments()).toHaveLength(1);
});

test("after a power cut no program is needed to free leases and records", async () => {
  await network().attach(request);
  const leases = join(dir, "data", "network", "pods");
  mkdirSync(leases, { recursive: true });
  writeFileSync(join(leases, "10.42.1.2"), "s1");
  rmSync(path());
  calls = [];
  const it = network();
  await it.reset();
  expect(calls).toEqual([]);
  expect(existsSync(leases)).toBe(false);
  expect(await it.list()).toEqual([]);
});

test("uninstalling ends each sandbox by the plugin, for programs may be in it", async () => {
  const it = network();
  await it.attach(request);
  calls = [];
  await it.clear();
  expect(calls).toEqual([`DEL s1 ${path()}`, "netns delete"]);
});

test("a node without a pod CIDR, and ids that are no names, are refused", async () => {
  const it = network();
  expect(it.attach({ ...request, podCidr: "" })).rejects.toThrow("no pod CIDR");
  expect(it.attach({ ...request, sandboxId: "../x" })).rejects.toThrow("sandbox id");
  expect(calls).toEqual([]);
});
