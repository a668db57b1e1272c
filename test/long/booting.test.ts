/**
 * From an agent's start until all pods are ready: after a power cut, beside the same pods on a node
 * that never had them. Medians of some rounds each; the machine should have little else to do.
 *
 *   bun test --timeout 600000 ./test/long/booting.test.ts
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { median } from "#test/bench/statistics.ts";
import { type HostKubelet, shell, startHostKubelet, WAIT } from "#test/support/hostkubelet.ts";

setDefaultTimeout(600_000);

const PODS = Number(process.env["LONG_BOOT_PODS"] ?? 20);
const ROUNDS = 5;
const OVER_FRESH_MAX = 1.5;

let k: HostKubelet;

beforeAll(async () => {
  k = await startHostKubelet("kubelet-booting");
});

afterAll(async () => {
  await k.close();
});

const names = Array.from({ length: PODS }, (_, at) => `pod-${at}`);

/** Since an agent's start, until each pod is ready in a container that was started so often again. */
async function allReady(startedMs: number, restarts: number): Promise<number> {
  for (const name of names) {
    await k.until(name, ({ status }) => {
      const [main] = status?.containerStatuses ?? [];
      return main?.restartCount === restarts && main.ready;
    });
  }
  return Math.round(performance.now() - startedMs);
}

async function round(): Promise<{ freshMs: number; backMs: number }> {
  const create = async () => {
    for (const name of names) await k.create(name, { containers: [shell("main", WAIT)] });
  };
  const freshMs = await allReady(await k.restart({ meanwhile: create }), 0);
  const backMs = await allReady(await k.restart({ reboot: true }), 1);
  await Promise.all(names.map((name) => k.remove(name)));
  return { freshMs, backMs };
}

test(`${PODS} pods are back soon after a power cut`, async () => {
  const rounds: Array<{ freshMs: number; backMs: number }> = [];
  for (let at = 0; at < ROUNDS; at++) rounds.push(await round());
  const freshMs = median(rounds.map((each) => each.freshMs));
  const backMs = median(rounds.map((each) => each.backMs));
  console.log(JSON.stringify({ pods: PODS, freshMs, backMs, over: backMs / freshMs, rounds }));
  expect(backMs / freshMs).toBeLessThanOrEqual(OVER_FRESH_MAX);
});
