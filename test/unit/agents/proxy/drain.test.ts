import { expect, test } from "bun:test";
import type { Owed } from "#agents/network/answers.ts";
import { drained } from "#agents/proxy/drain.ts";
import { sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { createCaches } from "#client/cache.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import type { EndpointSlice } from "#resources/types.gen.ts";
import { fakeClock } from "#test/support/clock.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { slice } from "#test/unit/agents/proxy/build.ts";

const NOTHING: Owed = { going: 0, unanswered: 0 };

/** A slice whose only endpoint is the pod `uid`. */
function sliceOf(uid: string, endpoint: string): EndpointSlice {
  const made = slice("web", [endpoint]);
  const targetRef = { kind: "Pod", uid };
  return { ...made, endpoints: (made.endpoints ?? []).map((each) => ({ ...each, targetRef })) };
}

async function setUp(
  settled: () => Promise<void> = async () => {},
  owed: () => Promise<Owed> = async () => NOTHING,
) {
  const released: string[] = [];
  const letGo = async (ips: readonly string[]) => void released.push(...ips);
  const api = new FakeApi();
  const clock = fakeClock();
  api.put(endpointSlices, sliceOf("a", "10.42.0.2@n1"));
  const slices = createCaches({ client: api.client, clock, log: silentLog }).of(endpointSlices);
  await slices.whenSynced();
  const wait = (uid: string) => {
    const state = { over: false };
    void drained({ slices, clock, log: silentLog, settled, owed, letGo }, uid).then(() => {
      state.over = true;
    });
    return state;
  };
  return { api, clock, wait, released };
}

test("a pod of no Service is not waited for", async () => {
  const { clock, wait } = await setUp();
  const other = wait("other");
  await clock.settle();
  expect(other.over).toBe(true);
  expect(clock.timers).toBe(0);
});

test("a pod is let go a moment after the rules left it, not before", async () => {
  const rules = Promise.withResolvers<void>();
  const { api, clock, wait } = await setUp(() => rules.promise);
  const pod = wait("a");
  await clock.advance(500);
  expect(pod.over).toBe(false);
  api.put(endpointSlices, sliceOf("a", "~10.42.0.2@n1"));
  await clock.advance(500);
  expect(pod.over).toBe(false);
  rules.resolve();
  await clock.advance(limits.drainQuietMs - 1);
  expect(pod.over).toBe(false);
  await clock.advance(1);
  expect(pod.over).toBe(true);
});

test("rules that never follow do not hold a pod for ever", async () => {
  const { clock, wait } = await setUp(() => new Promise(() => {}));
  const pod = wait("a");
  await clock.advance(limits.drainMsMax + limits.drainQuietMs - 1);
  expect(pod.over).toBe(false);
  await clock.advance(1);
  expect(pod.over).toBe(true);
});

test("requests under way are answered first, those without an end are not waited for", async () => {
  let now: Owed = { going: 1, unanswered: 0 };
  const { api, clock, wait, released } = await setUp(undefined, async () => now);
  const pod = wait("a");
  api.put(endpointSlices, sliceOf("a", "~10.42.0.2@n1"));
  await clock.advance(limits.drainQuietMs + 5 * limits.drainLookMs);
  expect(pod.over).toBe(false);
  // Whose first packet got no answer so far is sent elsewhere, and not waited for.
  expect(released).toEqual(["10.42.0.2"]);
  now = NOTHING;
  await clock.advance(limits.drainLookMs);
  expect(pod.over).toBe(true);
  now = { going: 1, unanswered: 0 };
  const endless = wait("a");
  await clock.advance(limits.drainQuietMs + limits.drainAnswersMsMax);
  expect(endless.over).toBe(true);
});

test("clients of a pod that ends before the rules left it are sent elsewhere, too", async () => {
  const rules = Promise.withResolvers<void>();
  const { api, clock, wait, released } = await setUp(() => rules.promise);
  const pod = wait("a");
  api.put(endpointSlices, sliceOf("b", "10.42.0.3@n1"));
  await clock.advance(limits.drainQuietMs);
  expect(released).toEqual([]);
  rules.resolve();
  await clock.advance(limits.drainQuietMs);
  expect(pod.over).toBe(true);
  expect(released).toEqual(["10.42.0.2"]);
});

test("who has heard nothing yet is waited for longer, and not for ever", async () => {
  let now: Owed = { going: 1, unanswered: 1 };
  const { api, clock, wait } = await setUp(undefined, async () => now);
  api.put(endpointSlices, sliceOf("a", "~10.42.0.2@n1"));
  const [slow, silent] = [wait("a"), wait("a")];
  await clock.advance(limits.drainQuietMs + limits.drainAnswersMsMax + limits.drainLookMs);
  expect([slow.over, silent.over]).toEqual([false, false]);
  await clock.advance(limits.drainUnansweredMsMax - limits.drainAnswersMsMax);
  expect([slow.over, silent.over]).toEqual([true, true]);
  const answered = wait("a");
  await clock.advance(limits.drainQuietMs + limits.drainAnswersMsMax + limits.drainLookMs);
  expect(answered.over).toBe(false);
  // Answered: what is left is a stream.
  now = { going: 1, unanswered: 0 };
  await clock.advance(limits.drainLookMs);
  expect(answered.over).toBe(true);
});

test("where a look takes long there are few", async () => {
  const LOOK_MS = 500;
  let looks = 0;
  let look = async () => NOTHING;
  const { api, clock, wait } = await setUp(undefined, () => look());
  look = async () => {
    looks++;
    await sleep(clock, LOOK_MS);
    return { going: 1, unanswered: 1 };
  };
  api.put(endpointSlices, sliceOf("a", "~10.42.0.2@n1"));
  const pod = wait("a");
  await clock.advance(limits.drainQuietMs + 2 * limits.drainUnansweredMsMax);
  expect(pod.over).toBe(true);
  expect(looks).toBeGreaterThan(1);
  expect(looks).toBeLessThanOrEqual(1 + limits.drainUnansweredMsMax / LOOK_MS / limits.drainRest);
});
