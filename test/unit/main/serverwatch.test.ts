/** When a node asks its server whether it is there, told from a clock that stands still. */
import { expect, test } from "bun:test";
import { sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";
import { watchServer } from "../../../src/main/serverwatch.ts";

const HOME = "https://192.0.2.1:6443";

/** A server that answers while `there`, after `answerMs`, and is found at `elsewhere`. */
function stage() {
  const clock = fakeClock();
  const stop = new AbortController();
  const seen = { asked: 0, searched: 0, lost: 0, moved: [] as string[] };
  const elsewhere = undefined as string | undefined;
  const state = { there: true, answerMs: 0, elsewhere, heardMs: 0, url: HOME };
  const server = {
    url: () => state.url,
    heardMs: () => state.heardMs,
    async answers() {
      seen.asked++;
      if (state.answerMs > 0) await sleep(clock, state.answerMs, stop.signal);
      return state.there;
    },
    async search() {
      seen.searched++;
      // Who is found there answers from then on.
      if (state.elsewhere === state.url) state.there = true;
      return state.elsewhere;
    },
    lost: () => void seen.lost++,
    pause: (ms: number) => sleep(clock, ms, stop.signal),
    moved(url: string) {
      seen.moved.push(url);
      Object.assign(state, { url, there: true });
    },
  };
  const over = watchServer(server, { clock, log: silentLog, signal: stop.signal });
  const end = async () => {
    stop.abort();
    await clock.settle();
    await over;
  };
  return { clock, seen, state, end };
}

/** Time goes by with a heartbeat of the node answered each `everyMs`. */
async function hear(scene: ReturnType<typeof stage>, everyMs: number, forMs: number) {
  for (let ms = 0; ms < forMs; ms += everyMs) {
    scene.state.heardMs = scene.clock.monotonic();
    await scene.clock.advance(everyMs);
  }
}

test("a server that is heard is asked for its time alone, once a minute", async () => {
  const scene = stage();
  await hear(scene, limits.nodeLeaseRenewMs, 10 * limits.serverTimeMs);
  expect(scene.seen.asked).toBeGreaterThanOrEqual(9);
  expect(scene.seen.asked).toBeLessThanOrEqual(11);
  expect(scene.seen).toMatchObject({ searched: 0, lost: 0, moved: [] });
  await scene.end();
});

test("a server that falls silent is asked at once, looked for, and told as lost", async () => {
  const scene = stage();
  await hear(scene, limits.nodeLeaseRenewMs, 30_000);
  scene.state.there = false;
  await scene.clock.advance(limits.serverHeardMs + limits.serverCheckMs);
  expect(scene.seen.lost).toBeGreaterThan(0);
  scene.state.elsewhere = "https://192.0.2.9:6443";
  await scene.clock.advance(limits.serverCheckMs);
  expect(scene.seen.moved).toEqual(["https://192.0.2.9:6443"]);
  await scene.end();
});

test("a busy server that answers the second question is not lost", async () => {
  const scene = stage();
  await hear(scene, limits.nodeLeaseRenewMs, 30_000);
  scene.state.there = false;
  scene.state.elsewhere = HOME;
  await scene.clock.advance(limits.serverHeardMs + limits.serverCheckMs);
  expect(scene.seen).toMatchObject({ searched: 1, lost: 0, moved: [] });
  await scene.end();
});

/** It takes the questions and says nothing, as one that has another address now. */
function fallSilent({ state }: ReturnType<typeof stage>): void {
  state.there = false;
  state.answerMs = limits.serverAnswerMsMax;
}

test("a server that moved without a word is found while the question waits", async () => {
  for (const offsetMs of [0, 1_000, 2_000]) {
    const scene = stage();
    await hear(scene, limits.nodeLeaseRenewMs, 30_000);
    await scene.clock.advance(offsetMs);
    scene.state.heardMs = scene.clock.monotonic();
    fallSilent(scene);
    scene.state.elsewhere = "https://192.0.2.9:6443";
    const noticedMs = limits.serverHeardMs + limits.serverSlowMs + limits.serverSpareMsMax;
    await scene.clock.advance(noticedMs);
    expect(scene.seen.moved).toEqual(["https://192.0.2.9:6443"]);
    await scene.end();
  }
});

test("a slow server keeps its nodes, though another one is found meanwhile", async () => {
  const scene = stage();
  await hear(scene, limits.nodeLeaseRenewMs, 30_000);
  scene.state.answerMs = limits.serverSlowMs + limits.serverSpareMsMax - 1;
  scene.state.elsewhere = "https://192.0.2.9:6443";
  await scene.clock.advance(10 * limits.serverCheckMs);
  expect(scene.seen.searched).toBeGreaterThan(1);
  expect(scene.seen).toMatchObject({ lost: 0, moved: [] });
  await scene.end();
});

test("one that let the first question pass and is found nowhere is asked again", async () => {
  const scene = stage();
  await hear(scene, limits.nodeLeaseRenewMs, 30_000);
  scene.state.heardMs = scene.clock.monotonic();
  fallSilent(scene);
  await scene.clock.advance(limits.serverHeardMs + limits.serverSlowMs);
  expect(scene.seen).toMatchObject({ searched: 1, lost: 0 });
  scene.state.elsewhere = HOME;
  await scene.clock.advance(limits.serverAnswerMsMax);
  expect(scene.seen).toMatchObject({ searched: 2, lost: 0, moved: [] });
  await scene.end();
});
