import { expect, test } from "bun:test";
import { distinctFlows, type FlowsTo, presentFlows } from "#agents/network/flowplaces.ts";
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
    "",
  ].join("\n");
  const there = [
    waiting("10.42.1.1"),
    waiting("10.42.1.1", 8080),
    all("10.42.1.1"),
    all("10.42.1.2"),
    waiting("fd00:42:0::5", 8080),
  ];
  const others = [
    waiting("10.42.1.1", 8081),
    waiting("10.42.1.2"),
    all("10.42.1.3"),
    all("10.42.1.11"),
    all("10.43.0.7"),
  ];
  expect(presentFlows([...there, ...others], listing)).toEqual(there);
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

const DELETE_ONE = "-D -f ipv4 -p tcp --reply-src 10.42.1.1";
const DELETE_V6 = "-D -f ipv6 -p tcp --state SYN_SENT --reply-src fd00::1 --reply-port-src 80";

test("what comes together is one program's work, in both families", async () => {
  const { clock, ran, flows } = setUp();
  let isOver = false;
  void flows.end([all("10.42.1.1")]);
  void flows.end([waiting("fd00::1", 80)]).then(() => {
    isOver = true;
  });
  await clock.advance(limits.flowsGatherMs - 1);
  expect([ran, isOver]).toEqual([[], false]);
  await clock.advance(1);
  expect(ran).toEqual(["-R -", DELETE_ONE, DELETE_V6]);
  expect(isOver).toBe(true);
  void flows.end([all("10.42.1.1")]);
  await clock.advance(limits.flowsGatherMs);
  expect(ran.slice(3)).toEqual([DELETE_ONE]);
  expect(clock.timers).toBe(0);
});

test("of many the program reads once what there is, however many they are", async () => {
  const { clock, ran, flows } = setUp((args) => ({
    stdout: args.includes("SYN_SENT") ? entry("SYN_SENT", "10.42.1.1") : "",
  }));
  void flows.end(Array.from({ length: 30 }, (_, at) => all(`10.42.1.${at}`)));
  await clock.advance(limits.flowsGatherMs);
  const looks = ["SYN_SENT", "ESTABLISHED"].map((state) => `-L -f ipv4 -p tcp --state ${state}`);
  expect(ran).toEqual([...looks, DELETE_ONE]);
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
  const { clock, ran, told, flows } = setUp((args) =>
    args.startsWith("-R")
      ? { exitCode: 2, stderr: "conntrack: invalid option -- 'R'" }
      : { exitCode: 1, stderr: "conntrack v1.4.6: 0 flow entries have been deleted." },
  );
  for (const round of [0, 1]) {
    void flows.end([all("10.42.1.1"), waiting("fd00::1", 80)]);
    await clock.advance(limits.flowsGatherMs);
    if (round === 0) expect(ran.splice(0, 3)).toEqual(["-R -", DELETE_ONE, DELETE_V6]);
    expect(ran.splice(0)).toEqual([DELETE_ONE, DELETE_V6]);
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
