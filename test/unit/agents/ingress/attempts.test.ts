import { expect, test } from "bun:test";
import { Attempts } from "#agents/ingress/attempts.ts";
import { Balancer, type EndpointState } from "#agents/ingress/balancer.ts";
import type { Backend } from "#agents/ingress/plan.ts";
import { limits } from "#base/limits.ts";
import { fakeClock } from "#test/support/clock.ts";

function start(count: number) {
  const clock = fakeClock();
  const balancer = new Balancer();
  const endpoints = Array.from({ length: count }, (_, at) => ({
    address: `10.0.0.${at}`,
    port: 80,
  }));
  const backend: Backend = { name: "default/web:80", endpoints, others: [], sticky: false };
  return { clock, attempts: new Attempts({ balancer, clock }, backend, "192.0.2.9") };
}

/** All that are tried where each one is too slow, with how long each was waited for. */
async function tooSlow(count: number): Promise<[string, number][]> {
  const { clock, attempts } = start(count);
  const tried: [string, number][] = [];
  for (;;) {
    const state = attempts.next();
    if (state === undefined) return tried;
    const waitedMs = attempts.connectMsMax;
    tried.push([state.name, waitedMs]);
    await clock.advance(waitedMs);
    attempts.late(state);
  }
}

test("one that is too slow is asked again and waited for twice as long, to a bound", async () => {
  const tried = await tooSlow(1);
  expect(tried.map(([, ms]) => ms)).toEqual([500, 1_000, 2_000, 4_000, 2_500]);
});

test("all others come first", async () => {
  const tried = await tooSlow(3);
  expect(new Set(tried.slice(0, 3).map(([name]) => name)).size).toBe(3);
  expect(tried.slice(0, 6).map(([, ms]) => ms)).toEqual([500, 500, 500, 1_000, 1_000, 1_000]);
  const totalMs = tried.reduce((sum, [, ms]) => sum + ms, 0);
  expect(totalMs).toBe(limits.ingressReachMsMax);
});

test("one that refuses is not asked again; all others are, up to a bound", () => {
  const ask = (count: number): string[] => {
    const { attempts } = start(count);
    const names: string[] = [];
    for (let state = attempts.next(); state !== undefined; state = attempts.next()) {
      names.push(state.name);
      attempts.failed(state, "took no connection: ECONNREFUSED");
    }
    return names;
  };
  expect(new Set(ask(12)).size).toBe(12);
  expect(ask(100).length).toBe(limits.ingressAttemptsMax);
});

test("a request is sent a few times only, however many endpoints there are", () => {
  const { attempts } = start(20);
  let sent = 0;
  for (let state = attempts.next(); state !== undefined; state = attempts.next()) {
    attempts.sent();
    sent++;
    attempts.failed(state, "broke off");
  }
  expect(sent).toBe(limits.ingressSentMax);
});

test("it knows whether there is another one, and tells what became of each", async () => {
  const { clock, attempts } = start(2);
  const first = attempts.next() as EndpointState;
  expect(attempts.hasOther(first)).toBe(true);
  await clock.advance(500);
  attempts.late(first);
  const second = attempts.next() as EndpointState;
  // The slow one may have recovered.
  expect(attempts.hasOther(second)).toBe(true);
  attempts.failed(first, "is gone");
  expect(attempts.hasOther(second)).toBe(false);
  expect(attempts.story).toBe(`${first.name} took no connection in 500 ms, ${first.name} is gone`);
});

test("the time that an answer takes counts for nothing", async () => {
  const { clock, attempts } = start(2);
  const first = attempts.next() as EndpointState;
  attempts.sent();
  await clock.advance(2 * limits.ingressReachMsMax);
  expect(attempts.hasOther(first)).toBe(true);
  attempts.failed(first, "is gone");
  expect(attempts.next()?.name).not.toBe(first.name);
});
