import { beforeEach, describe, expect, test } from "bun:test";
import { Probes } from "#agents/kubelet/probes.ts";
import type { PodWorker } from "#agents/kubelet/worker.ts";
import type { Container, Probe } from "#resources/types.gen.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";
import { box } from "#test/support/podstate.ts";

let clock: FakeClock;
let probes: Probes;
/** Kinds of questions with the second in which they came. */
let asked: string[];
let answers: (probe: Probe) => boolean;
let wakes: number;
let events: string[];

const worker = {
  uid: "u1",
  record: { sandbox: { ips: ["10.0.0.1"] } },
  terminatingSinceMs: undefined,
  wake: () => wakes++,
  event: (_type: string, reason: string, message: string) => events.push(`${reason} ${message}`),
} as unknown as PodWorker;

const probe = (word: string, rest: Partial<Probe> = {}): Probe => ({
  exec: { command: [word] },
  periodSeconds: 10,
  ...rest,
});

beforeEach(() => {
  clock = fakeClock(0);
  asked = [];
  events = [];
  wakes = 0;
  answers = () => true;
  probes = new Probes(clock, async (_, one) => {
    const second = Math.round(clock.monotonic() / 100) / 10;
    asked.push(`${one.exec?.command?.[0]}@${second}`);
    return { ok: answers(one), message: "why" };
  });
});

const add = (container: Partial<Container>) =>
  probes.add(worker, { role: "main", spec: box("main", container) }, "c1");

const view = () => probes.view("u1", "main");

test("without probes a container is started and ready at once", () => {
  expect(view()).toEqual({ started: false, ready: false });
  add({});
  expect(view()).toEqual({ started: true, ready: true });
});

describe("readiness", () => {
  test("is asked after its delay, then each period", async () => {
    add({ readinessProbe: probe("r", { initialDelaySeconds: 3 }) });
    expect(view().ready).toBe(false);
    await clock.advance(2_900);
    expect(asked).toEqual([]);
    await clock.advance(20_200);
    expect(asked).toEqual(["r@3", "r@13", "r@23"]);
    expect(view().ready).toBe(true);
  });

  test("is asked sooner than its period until the first success", async () => {
    answers = () => clock.monotonic() > 1_000;
    add({ readinessProbe: probe("r") });
    await clock.advance(2_000);
    expect(view().ready).toBe(true);
    expect(asked.length).toBeLessThan(8);
    expect(events).toEqual([]);
  });

  test("needs its thresholds both ways", async () => {
    add({ readinessProbe: probe("r", { successThreshold: 2, failureThreshold: 3 }) });
    await clock.advance(9_000);
    expect(view().ready).toBe(false);
    await clock.advance(2_000);
    expect(view().ready).toBe(true);
    answers = () => false;
    await clock.advance(28_000);
    expect(view().ready).toBe(true);
    await clock.advance(12_000);
    expect(view().ready).toBe(false);
    expect(events[0]).toBe("Unhealthy Readiness probe failed: why");
  });
});

describe("liveness", () => {
  test("gives up after its failures, once", async () => {
    const livenessProbe = probe("l", { failureThreshold: 2, terminationGracePeriodSeconds: 4 });
    answers = () => false;
    add({ livenessProbe });
    await clock.advance(60_000);
    expect(asked).toEqual(["l@0", "l@10"]);
    expect(view().unhealthy).toEqual({
      message: "Container main failed liveness probe, will be restarted",
      graceSeconds: 4,
    });
    expect(wakes).toBe(1);
  });

  test("a success in between counts anew", async () => {
    let turn = 0;
    answers = () => ++turn % 2 === 0;
    add({ livenessProbe: probe("l", { failureThreshold: 2 }) });
    await clock.advance(100_000);
    expect(view().unhealthy).toBeUndefined();
  });
});

describe("startup", () => {
  const container = {
    startupProbe: probe("s", { periodSeconds: 1, failureThreshold: 5 }),
    livenessProbe: probe("l"),
    readinessProbe: probe("r"),
  };

  test("holds back the others", async () => {
    answers = (one) => one.exec?.command?.[0] !== "s" || clock.monotonic() >= 3_000;
    add(container);
    await clock.advance(2_900);
    expect(view()).toEqual({ started: false, ready: false });
    expect(asked.every((each) => each.startsWith("s"))).toBe(true);
    await clock.advance(1_000);
    expect(view()).toEqual({ started: true, ready: true });
    expect(asked.filter((each) => each.startsWith("l")).length).toBe(1);
  });

  test("gives up too", async () => {
    answers = () => false;
    add(container);
    await clock.advance(10_000);
    expect(asked.length).toBe(5);
    expect(view().unhealthy?.message).toBe(
      "Container main failed startup probe, will be restarted",
    );
  });
});

test("a removed container is not asked any more", async () => {
  add({ readinessProbe: probe("r", { periodSeconds: 1 }) });
  await clock.advance(1_500);
  probes.remove("u1", "main");
  const before = asked.length;
  await clock.advance(10_000);
  expect(asked.length).toBe(before);
  expect(clock.timers).toBe(0);
});

test("an adopted container keeps what was known of it", async () => {
  const before = { started: true, ready: true, startedMs: -60_000 };
  const member = { role: "main" as const, spec: box("main", { readinessProbe: probe("r") }) };
  probes.add(worker, member, "c1", before);
  expect(view()).toEqual({ started: true, ready: true });
});
