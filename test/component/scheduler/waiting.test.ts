/** Pods that wait for a node cost nothing: the scheduler looks at them when something helps. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { realRandom } from "#base/random.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { PodSpec } from "#resources/types.gen.ts";
import { until } from "#test/component/controllers/plane.ts";
import { type SchedulerPlane, startSchedulerPlane } from "#test/component/scheduler/plane.ts";
import { type ShiftClock, shiftClock } from "#test/support/shiftclock.ts";

/** More than any back-off, less than the time after which all are looked at again. */
const LONG_MS = 60_000;
const AGAIN_MS = 301_000;

let plane: SchedulerPlane;
let clock: ShiftClock;
/** A decision draws once, and once more where the pod fits nowhere: who could make room. */
let draws = 0;
/** Delays of the timers that it set. */
const delays: number[] = [];

beforeAll(async () => {
  clock = shiftClock();
  const random = {
    ...realRandom,
    next: () => {
      draws++;
      return Math.random();
    },
  };
  const after: ShiftClock["after"] = (delayMs, run) => {
    delays.push(delayMs);
    return clock.after(delayMs, run);
  };
  plane = await startSchedulerPlane(["n1", "n2"], { clock: { ...clock, after }, random });
});
afterAll(() => plane.close());

const onDisk = (disk: string): Partial<PodSpec> => ({ nodeSelector: { disk } });
const asking = (cpu: string): Partial<PodSpec> => ({
  containers: [{ name: "c", image: "i", resources: { requests: { cpu } } }],
});
let marks = 0;
/** Between now and the end of `change`, without that of the pod which marks its end. */
async function drawsOf(change: () => Promise<unknown>): Promise<number> {
  const before = draws;
  await change();
  const name = `mark-${++marks}`;
  await plane.pod(name);
  await plane.nodeOf(name);
  return draws - before - 1;
}
const patchNode = (metadata: object) =>
  plane.client.patch(nodes, { name: "n2" }, "merge", { metadata });

test("fifty pods are tried once each, and wait", async () => {
  const made = await drawsOf(async () => {
    for (let i = 0; i < 49; i++) await plane.pod(`disk-${i}`, onDisk("ssd"));
    await plane.pod("large", asking("1000"));
    await plane.waits("disk-48", "node affinity");
    await plane.waits("large", "Insufficient cpu");
  });
  expect(made).toBe(2 * 50);
});

test("time alone tries none of them, nor does a change that cannot help", async () => {
  expect(await drawsOf(async () => clock.shift(LONG_MS))).toBe(0);
  const heartbeat = async () => {
    const time = "2026-01-01T00:00:00Z";
    const conditions = [{ type: "Ready", status: "True", lastHeartbeatTime: time }];
    const ref = { name: "n1" };
    const body = { status: { conditions } };
    await plane.client.patch(nodes, ref, "strategic", body, { subresource: "status" });
    await plane.client.patch(nodes, ref, "merge", { metadata: { labels: { color: "red" } } });
  };
  expect(await drawsOf(heartbeat)).toBe(0);
  await plane.pod("bystander");
  await plane.nodeOf("bystander");
  const leaves = async () => {
    await plane.client.delete(pods, { namespace: "default", name: "bystander" });
    await until("it is gone", () => plane.caches.of(pods).get("default/bystander") === undefined);
    clock.shift(LONG_MS);
  };
  expect(await drawsOf(leaves)).toBe(0);
  // It sleeps until all are looked at again, minutes from now.
  expect(delays.at(-1)).toBeGreaterThan(LONG_MS);
});

test("a change that helps tries those that it helps, at once", async () => {
  const labelled = async () => {
    await patchNode({ labels: { disk: "ssd" } });
    for (let i = 0; i < 49; i++) expect(await plane.nodeOf(`disk-${i}`)).toBe("n2");
  };
  expect(await drawsOf(labelled)).toBe(49);
});

test("what no change has helped is looked at again after five minutes, once", async () => {
  const again = async () => {
    const before = draws;
    clock.shift(AGAIN_MS);
    await until("it is looked at", () => draws > before);
  };
  expect(await drawsOf(again)).toBe(2);
});
