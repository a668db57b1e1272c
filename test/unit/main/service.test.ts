/** What the service manager is told, and how the end of the machine is told from a restart. */
import { expect, test } from "bun:test";
import { silentLog } from "#base/log.ts";
import type { RunResult } from "#base/process.ts";
import { fakeClock } from "#test/support/clock.ts";
import { Service, socketAddress } from "../../../src/main/service.ts";

function make(env: Record<string, string | undefined>, state = "running") {
  const clock = fakeClock();
  const sent: string[] = [];
  const asked: string[][] = [];
  const service = new Service({
    env,
    clock,
    log: silentLog,
    send: (path, text) => sent.push(`${path} ${text}`),
    run: async (argv): Promise<RunResult> => {
      asked.push([...argv]);
      return { exitCode: 1, stdout: `${state}\n`, stderr: "" };
    },
  });
  return { clock, sent, asked, service };
}

test("a socket of the abstract namespace begins with a zero, a path ends with one", () => {
  expect([...socketAddress("@a")]).toEqual([1, 0, 0, 97]);
  expect([...socketAddress("/a")]).toEqual([1, 0, 47, 97, 0]);
});

test("without systemd nothing is told or asked", async () => {
  const { service, sent, asked } = make({ PATH: "/bin" });
  service.ready("serving");
  service.stopping();
  expect(await service.machineStops()).toBe(false);
  expect([sent, asked]).toEqual([[], []]);
});

test("it is ready once, and containers do not inherit the socket", () => {
  const env = { NOTIFY_SOCKET: "/run/n", WATCHDOG_USEC: "0", PATH: "/bin" };
  const { service, sent } = make(env);
  service.ready("waiting");
  service.ready("serving");
  service.stopping();
  expect(sent).toEqual([
    "/run/n READY=1\nSTATUS=waiting",
    "/run/n STATUS=serving",
    "/run/n STOPPING=1",
  ]);
  expect(Object.keys(env)).toEqual(["PATH"]);
});

test("the watchdog hears of it twice in its time", async () => {
  const { clock, sent } = make({ NOTIFY_SOCKET: "@n", WATCHDOG_USEC: "10000000" });
  await clock.advance(20_000);
  expect(sent).toEqual(Array.from({ length: 5 }, () => "@n WATCHDOG=1"));
});

test("the machine stops when systemd says so, or when it is told by a signal", async () => {
  const env = () => ({ NOTIFY_SOCKET: "/run/n" });
  expect(await make(env()).service.machineStops()).toBe(false);
  expect(await make(env(), "stopping").service.machineStops()).toBe(true);
  const { service } = make({});
  service.machineGoesDown();
  expect(await service.machineStops()).toBe(true);
});
