/** A node whose disk is full to the last byte, beside containers and a runtime that are well. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { limits } from "#base/limits.ts";
import { events } from "#resources/kinds/event.ts";
import { priorityClasses } from "#resources/kinds/priorityclass.ts";
import type { Pod } from "#resources/types.gen.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
  statusOf,
  WAIT,
} from "#test/support/hostkubelet.ts";
import { mustRun } from "#test/support/instance.ts";

setDefaultTimeout(300_000);

const DISK_BYTES = 64 * 2 ** 20;
/** A log of this size is shortened. */
const LONG_BYTES = limits.logBytesMax + limits.logPunchBytes;
const BEFORE_BYTES = LONG_BYTES - 2 ** 20;
const FLOOD_BYTES = 20 * 2 ** 20;
/** The disk is full as soon as the log is too long. */
const ROOM_BYTES = LONG_BYTES - BEFORE_BYTES + 2 ** 15;
const CRITICAL = "system-node-critical";

let k: HostKubelet;

beforeAll(async () => {
  k = await startHostKubelet("kubelet-full");
  await eventually("the class that the API makes", () =>
    k.client.get(priorityClasses, { name: CRITICAL }),
  );
  await k.kubelet.stop();
  await mustRun(["mount", "-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "data", k.dataDir]);
  await k.restart();
});

afterAll(async () => {
  await k.close();
});

const fill = () => `${k.dataDir}/fill`;

/** Leaves so many bytes; none: up to the last one. */
async function fillDisk(leaveBytes = 0): Promise<void> {
  const free = "$(df -B1 --output=avail . | tail -1)";
  const bytes = leaveBytes === 0 ? "" : `head -c $((${free} - ${leaveBytes}))`;
  const script = `cd "$1"; ${bytes || "cat"} /dev/zero > fill 2>/dev/null; true`;
  await mustRun(["sh", "-c", script, "sh", k.dataDir]);
}

/** One that the node needs is not evicted, however long a busy machine takes. */
const create = (name: string, script = WAIT) =>
  k.create(name, { priorityClassName: CRITICAL, containers: [shell("main", script)] });

test("a new agent takes over on it, what needs room says so, and later all goes on", async () => {
  await create("stays");
  await create("ends", "trap 'exit 4' TERM; while true; do sleep 0.1; done");
  const before = await k.ready("stays");
  const ends = await k.ready("ends");
  await fillDisk();
  await k.restart();
  await create("poor");
  await eventually("an event of it", async () => {
    const { items } = await k.client.list(events, { namespace: "default" });
    return items.find(
      ({ involvedObject, type, message = "" }) =>
        involvedObject.name === "poor" && type === "Warning" && /ENOSPC|no space/i.test(message),
    );
  });
  const id = statusOf(ends)?.containerID?.replace("containerd://", "") ?? "";
  await k.host.runtime.signal(id, "SIGTERM");
  const code = (pod: Pod) =>
    (statusOf(pod)?.state?.terminated ?? statusOf(pod)?.lastState?.terminated)?.exitCode;
  await k.until("ends", (pod) => code(pod) === 4);
  expect((await k.get("stays"))?.status).toEqual(before.status);
  rmSync(fill());
  await k.ready("poor");
  const again = await k.until("ends", (pod) => statusOf(pod)?.ready === true);
  expect(statusOf(again)).toMatchObject({
    restartCount: 1,
    lastState: { terminated: { exitCode: 4 } },
  });
  await k.restart();
  await create("after");
  await k.ready("after");
  expect((await k.get("ends"))?.status).toEqual(again.status);
});

test("a log that fills it makes room again, and its agent goes on", async () => {
  const line = "x".repeat(1023);
  const write = (bytes: number) => `yes ${line} | head -c ${bytes}`;
  const script = `${write(BEFORE_BYTES)}; until test -e /go; do sleep 0.1; done;
    ${write(FLOOD_BYTES)}; touch /over; ${WAIT}`;
  await create("flood", script);
  const { metadata } = await k.ready("flood");
  const log = `${k.dataDir}/pods/${metadata.uid}/logs/main/0.log`;
  await eventually("the first part", () => Bun.file(log).size >= BEFORE_BYTES || undefined);
  await fillDisk(ROOM_BYTES);
  await k.exec("flood", "touch /go");
  const start = await eventually("the hole's note", () => {
    try {
      return Number(readFileSync(`${log}.start`, "utf8")) || undefined;
    } catch {
      return undefined;
    }
  });
  expect(start).toBeGreaterThan(0);
  rmSync(fill());
  await create("beside");
  await k.ready("beside");
  expect(await k.logs("flood", "tailLines=2&limitBytes=9")).toBe("xxxxxxxxx");
});
