/** What is written of a pod that goes, and how often. */
import { beforeEach, describe, expect, test } from "bun:test";
import type { PodWork } from "#agents/kubelet/context.ts";
import { podStatus } from "#agents/kubelet/status.ts";
import { StatusWriter } from "#agents/kubelet/statuswriter.ts";
import type { PodRecord } from "#agents/kubelet/types.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod, PodStatus } from "#resources/types.gen.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";
import { ended, podOf, run, stateOf } from "#test/support/podstate.ts";

let clock: FakeClock;
let pod: Stored<Pod>;
let record: Partial<PodRecord>;
/** Patches that the API took. */
let patches: Array<{ status: PodStatus }>;
let answer: Promise<void>;

const state = () => stateOf(pod, { record, now: clock.now() });

beforeEach(() => {
  clock = fakeClock();
  const metadata = { generation: 1 };
  pod = podOf({ restartPolicy: "Never" }, metadata);
  const current = run(pod, "main");
  record = { initialized: true, containers: { main: { restarts: 0, current } } };
  pod = { ...pod, status: podStatus(state(), undefined) };
  patches = [];
  answer = Promise.resolve();
});

function writerOf(): StatusWriter {
  const patch = async (_kind: unknown, _ref: unknown, _type: unknown, body: never) => {
    await answer;
    patches.push(body);
    const resourceVersion = String(Number(pod.metadata.resourceVersion) + 1);
    pod = { ...pod, metadata: { ...pod.metadata, resourceVersion } };
    pod.status = podStatus(state(), pod.status);
    return pod;
  };
  const work: Partial<PodWork> = {
    context: { clock, log: silentLog, client: { patch } } as never,
    get shown() {
      return pod;
    },
    exists: true,
    record: stateOf(pod, { record }).record,
    state,
  };
  return new StatusWriter(work as PodWork);
}

function asked(): void {
  const deletionTimestamp = "2026-01-01T00:00:30Z";
  const { metadata } = pod;
  pod = {
    ...pod,
    metadata: { ...metadata, generation: 2, deletionTimestamp, resourceVersion: "5" },
  };
}
function itEnds(): void {
  record = { ...record, containers: { main: { restarts: 0, current: ended(pod, "main", 0) } } };
}

describe("a pod that goes", () => {
  test("is told of once, when it has ended", async () => {
    const writer = writerOf();
    asked();
    writer.report();
    await clock.advance(500);
    expect(patches).toEqual([]);
    itEnds();
    writer.report();
    await clock.settle();
    expect(patches.map(({ status }) => status.phase)).toEqual(["Succeeded"]);
    record = { ...record, cleaned: true };
    writer.report();
    await writer.flush();
    expect(patches).toHaveLength(1);
  });

  test("is told that its deletion was seen, where its end takes longer", async () => {
    const writer = writerOf();
    asked();
    writer.report();
    await clock.advance(limits.podStatusGoingMs);
    expect(patches.map(({ status }) => status.observedGeneration)).toEqual([2]);
  });

  test("has its end written once, though two ask for it at a time", async () => {
    const writer = writerOf();
    asked();
    itEnds();
    const held = Promise.withResolvers<void>();
    answer = held.promise;
    const both = [writer.flush(), writer.flush()];
    writer.report();
    held.resolve();
    await Promise.all(both);
    await clock.settle();
    expect(patches).toHaveLength(1);
  });
});

test("a pod that stays is told of its generation at once", async () => {
  const writer = writerOf();
  pod = { ...pod, metadata: { ...pod.metadata, generation: 2, resourceVersion: "5" } };
  writer.report();
  await clock.settle();
  expect(patches.map(({ status }) => status.observedGeneration)).toEqual([2]);
});
