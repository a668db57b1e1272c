import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Containerd, ContainerRecord, Task } from "#agents/runtime/containerd.ts";
import type { OciSpec } from "#agents/runtime/ocispec.ts";
import { RuntimeError } from "#agents/runtime/runtime.ts";
import { startContainer } from "#agents/runtime/start.ts";
import { Turns } from "#agents/runtime/turns.ts";
import { must } from "#base/assert.ts";
import { GrpcError } from "#base/grpc.ts";
import { plainContainer } from "#test/support/containerspec.ts";

let dir: string;
beforeEach(() => {
  leader = [];
  dir = mkdtempSync(join(tmpdir(), "bramble-start-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

let tries: number;
/** What becomes of the container whose IPC namespace is shared, from one look to the next. */
let leader: Task["status"][];

/** Starts a container where containerd says these words, one after the other, and then yes. */
async function start(...words: string[]): Promise<number> {
  tries = 0;
  const oci: OciSpec = {};
  const record: ContainerRecord = {
    ...{ id: "c1", labels: {}, image: "i", snapshotter: "overlayfs", snapshotKey: "c1" },
    ...{ createdAtMs: 0, runtime: new Uint8Array(), spec: () => oci },
  };
  const containerd: Pick<Containerd, "startTask" | "task" | "container"> = {
    container: async () => record,
    task: async (containerId) => {
      const status = must(leader.shift(), "a look that was expected");
      return { containerId, pid: 7, status, exitCode: 0, exitedAtMs: undefined };
    },
    startTask: async () => {
      const said = words[tries++];
      if (said !== undefined) throw new GrpcError(2, said);
      return 42;
    },
  };
  return startContainer(
    {
      containerd: containerd as Containerd,
      run: () => Promise.reject(new Error("no program")),
      runDir: dir,
      starts: new Turns(),
    },
    { record, commit: async () => {} },
    {
      ...plainContainer,
      ...{ image: "i", labels: {}, network: "host", group: "g", cgroupParent: "/g" },
      logPath: join(dir, "logs/0.log"),
      ...(leader.length > 0 && { ipc: { containerId: "c0" } }),
    },
  );
}

test("a shim that is about to go is no reason to fail: the next one is new", async () => {
  const shim = "/run/containerd/s/0123456789abcdef";
  for (const words of [
    "failed to create shim task: ttrpc: closed: unknown",
    `failed to start shim: start failed: dial unix ${shim}: connect: no such file or directory`,
  ]) {
    expect(await start(words)).toBe(42);
    expect(tries).toBe(2);
    await expect(start(words, words)).rejects.toThrow(words);
    expect(tries).toBe(2);
  }
});

test("what runc says is not asked for twice", async () => {
  const words = "failed to create shim task: OCI runtime create failed: no such file";
  await expect(start(words)).rejects.toThrow(words);
  expect(tries).toBe(1);
});

test("one whose leader ended while it was made has not run, and may be made again", async () => {
  const reasonOf = async (words: string, ...looks: Task["status"][]) => {
    leader = looks;
    const error: unknown = await start(words).catch((thrown: unknown) => thrown);
    expect(leader).toEqual([]);
    return error instanceof RuntimeError ? error.reason : String(error);
  };
  const runc = "OCI runtime create failed: runc create failed";
  const gone = `${runc}: namespace path: lstat /proc/7/ns/ipc: no such file or directory`;
  expect(await reasonOf("", "stopped")).toBe("CreateContainerError");
  expect(await reasonOf(gone, "running")).toBe("CreateContainerError");
  expect(await reasonOf(runc, "running", "stopped")).toBe("CreateContainerError");
  expect(await reasonOf(runc, "running", "running")).toContain(runc);
});
