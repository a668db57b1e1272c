import { expect, test } from "bun:test";
import {
  type Deletion,
  deletionsOf,
  distinctFlows,
  type FlowsTo,
  presentFlows,
} from "#agents/network/flowplaces.ts";
import { createFlows } from "#agents/network/flows.ts";
import { limits } from "#base/limits.ts";
import { createLog } from "#base/log.ts";
import type { RunResult } from "#base/process.ts";
import { fakeClock } from "#test/support/clock.ts";

const all = (ip: string): FlowsTo => ({ ip, unanswered: false });
const waiting = (ip: string, port?: number): FlowsTo => ({
  ip,
  ...(port !== undefined && { port }),
  unanswered: true,
});

/** As `conntrack -L` has it; some kernels count packets and bytes, too. */
const entry = (state: string, answeredBy: string, port = 8080) =>
  `tcp      6 99 ${state} src=10.42.1.9 dst=10.43.0.7 sport=5555 dport=80 packets=1 bytes=60 ` +
  `[UNREPLIED] src=${answeredBy} dst=10.42.1.9 sport=${port} dport=5555 mark=0 use=1`;

test("of what is asked for each is one, the wider ones for the narrower", () => {
  const asked = [
    waiting("10.42.1.1", 80),
    waiting("10.42.1.1"),
    waiting("10.42.1.1", 81),
    waiting("10.42.1.2", 80),
    all("10.42.1.3"),
    waiting("10.42.1.3", 80),
    all("10.42.1.3"),
  ];
  expect(distinctFlows(asked)).toEqual([
    waiting("10.42.1.1"),
    waiting("10.42.1.2", 80),
    all("10.42.1.3"),
  ]);
});

test("only what the kernel has is deleted: what is under way is no unanswered first packet", () => {
  const listing = [
    entry("SYN_SENT", "10.42.1.1"),
    entry("ESTABLISHED", "10.42.1.2"),
    entry("SYN_SENT", "fd00:42::5"),
    entry("TIME_WAIT", "10.42.1.3"),
    entry("CLOSE", "10.42.1.4"),
    entry("CLOSE_WAIT", "10.42.1.5"),
    "",
  ].join("\n");
  const found = (...targets: FlowsTo[]): Deletion[] =>
    presentFlows(targets.flatMap(deletionsOf), listing);
  const state = "SYN_SENT";
  expect(found(waiting("10.42.1.1"), waiting("10.42.1.1", 8080), all("10.42.1.1"))).toEqual([
    { ip: "10.42.1.1", state },
    { ip: "10.42.1.1", port: 8080, state },
    { ip: "10.42.1.1", state },
  ]);
  expect(found(waiting("fd00:42:0::5", 8080))).toEqual([{ ip: "fd00:42:0::5", port: 8080, state }]);
  expect(found(all("10.42.1.2"))).toEqual([{ ip: "10.42.1.2", state: "ESTABLISHED" }]);
  // Whoever gets the port of one that was reset is led there for 10 s.
  expect(found(all("10.42.1.4"))).toEqual([{ ip: "10.42.1.4", state: "CLOSE" }]);
  expect(found(all("10.42.1.5"))).toEqual([{ ip: "10.42.1.5", state: "CLOSE_WAIT" }]);
  const others = [
    waiting("10.42.1.1", 8081),
    waiting("10.42.1.2"),
    all("10.42.1.3"),
    waiting("10.42.1.4"),
    waiting("10.42.1.5"),
    all("10.42.1.11"),
    all("10.43.0.7"),
  ];
  expect(found(...others)).toEqual([]);
});

function setUp(answer: (args: string, stdin: string) => Partial<RunResult> = () => ({})) {
  const clock = fakeClock();
  const ran: string[] = [];
  const told: string[] = [];
  const flows = createFlows({
    run: async ([, ...argv], options) => {
      const args = argv.join(" ");
      const stdin = String(options?.stdin ?? "");
      ran.push(...(stdin === "" ? [args] : [args, ...stdin.trim().split("\n")]));
      await null;
      return { exitCode: 0, stdout: "", stderr: "", ...answer(args, stdin) };
    },
    clock,
    log: createLog({
      level: "warn",
      format: "text",
      now: () => 0,
      write: (line) => told.push(line),
    }),
  });
  return { clock, ran, told, flows };
}

const LIST = "-L -f ipv4 -p tcp";
const LOOK_ONE = `${LIST} --reply-src 10.42.1.1`;
const deleteOne = (state: string) => `-D -f ipv4 -p tcp --state ${state} --reply-src 10.42.1.1`;
const LOOK_V6 = "-L -f ipv6 -p tcp --state SYN_SENT";
const DELETE_V6 = "-D -f ipv6 -p tcp --state SYN_SENT --reply-src fd00::1 --reply-port-src 80";
/** What the kernel has of both. */
const listingOf = (args: string) =>
  args.includes("ipv6")
    ? `${entry("SYN_SENT", "fd00::1", 80)}\n`
    : `${entry("ESTABLISHED", "10.42.1.1")}\n${entry("TIME_WAIT", "10.42.1.1")}\n`;

test("what comes together is one program's work, in both families", async () => {
  const { clock, ran, flows } = setUp((args) => ({ stdout: listingOf(args) }));
  let isOver = false;
  void flows.end([all("10.42.1.1")]);
  void flows.end([waiting("fd00::1", 80)]).then(() => {
    isOver = true;
  });
  await clock.advance(limits.flowsGatherMs - 1);
  expect([ran, isOver]).toEqual([[], false]);
  await clock.advance(1);
  expect(ran).toEqual([LOOK_ONE, LOOK_V6, "-R -", deleteOne("ESTABLISHED"), DELETE_V6]);
  expect(isOver).toBe(true);
  ran.length = 0;
  void flows.end([all("10.42.1.1")]);
  await clock.advance(limits.flowsGatherMs);
  expect(ran).toEqual([LOOK_ONE, deleteOne("ESTABLISHED")]);
  expect(clock.timers).toBe(0);
});

test("one place's first packets are deleted at once: a look would take as long", async () => {
  const { clock, ran, flows } = setUp();
  void flows.end([waiting("10.42.1.1")]);
  await clock.advance(limits.flowsGatherMs);
  expect(ran).toEqual([deleteOne("SYN_SENT")]);
});

test("of many the program reads once what there is, however many they are", async () => {
  const { clock, ran, flows } = setUp((args) => ({
    stdout: args.includes("SYN_SENT") ? entry("SYN_SENT", "10.42.1.1") : "",
  }));
  void flows.end(Array.from({ length: 30 }, (_, at) => all(`10.42.1.${at}`)));
  await clock.advance(limits.flowsGatherMs);
  const states = deletionsOf(all("10.42.1.1")).map(({ state }) => state);
  const looks = states.map((state) => `${LIST} --state ${state}`);
  expect(ran).toEqual([...looks, deleteOne("SYN_SENT")]);
  ran.length = 0;
  // Some are looked for each by itself: they are fewer than the states.
  void flows.end([all("10.42.1.1"), all("10.42.1.2")]);
  await clock.advance(limits.flowsGatherMs);
  expect(ran).toEqual([LOOK_ONE, `${LIST} --reply-src 10.42.1.2`]);
  ran.length = 0;
  void flows.end(Array.from({ length: 30 }, (_, at) => waiting(`10.42.2.${at}`)));
  await clock.advance(limits.flowsGatherMs);
  expect(ran).toEqual([looks[0] ?? ""]);
});

test("who gets an address again waits for its old connections to end, nobody else", async () => {
  const { clock, ran, flows } = setUp();
  const order: string[] = [];
  void flows.end([all("10.42.1.1")]);
  const again = flows.ended(["10.42.1.1", "fd00::1"]);
  void again.then(() => order.push(`again after ${ran.length}`));
  void flows.ended(["10.42.1.2"]).then(() => order.push("other"));
  await clock.settle();
  expect(order).toEqual(["other"]);
  await clock.advance(limits.flowsGatherMs);
  expect(order).toEqual(["other", "again after 1"]);
});

test("a program that reads no list is asked one by one", async () => {
  const { clock, ran, told, flows } = setUp((args) => {
    if (args.startsWith("-L")) return { stdout: listingOf(args) };
    return args.startsWith("-R")
      ? { exitCode: 2, stderr: "conntrack: invalid option -- 'R'" }
      : { exitCode: 1, stderr: "conntrack v1.4.6: 0 flow entries have been deleted." };
  });
  const lines = [deleteOne("ESTABLISHED"), DELETE_V6];
  for (const round of [0, 1]) {
    void flows.end([all("10.42.1.1"), waiting("fd00::1", 80)]);
    await clock.advance(limits.flowsGatherMs);
    expect(ran.splice(0, 2)).toEqual([LOOK_ONE, LOOK_V6]);
    if (round === 0) expect(ran.splice(0, 3)).toEqual(["-R -", ...lines]);
    expect(ran.splice(0)).toEqual(lines);
  }
  expect(told).toEqual([]);
});

test("a missing program is told once, keeps nobody waiting, and the bound holds", async () => {
  const { clock, told, flows } = setUp(() => {
    throw new Error("no such program");
  });
  const over: number[] = [];
  for (const round of [1, 2]) {
    const many = Array.from({ length: 2 * limits.flowsWaitingMax }, (_, at) => all(`x${at}`));
    void flows.end(many).then(() => over.push(round));
    // Full: what is on top is not kept.
    void flows.ended([`x${limits.flowsWaitingMax}`]).then(() => over.push(0));
    await clock.advance(limits.flowsGatherMs);
  }
  expect(over).toEqual([0, 1, 0, 2]);
  expect(told).toHaveLength(1);
  expect(told[0]).toContain("no such program");
});
