/**
 * The clock of a running server and its agent jumps forty years ahead, to 1970 and right again:
 * no node leaves, no pod is touched, tunnels and certificates work, a CronJob makes up for one run:
 * `bun run test:clocks`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  type ClockSite,
  HOUR_MS,
  ROTATED_MS_MAX,
  SETTLED_MS_MAX,
  startClockSite,
} from "#test/support/clocksite.ts";
import { addressOf, until } from "#test/support/lab.ts";

const YEARS_MS = 40 * 365 * 24 * HOUR_MS;
let site: ClockSite;

beforeAll(async () => {
  site = await startClockSite();
}, 240_000);

afterAll(() => site?.close(), 180_000);

/** What the server takes the time for. */
async function serverMs(): Promise<number> {
  const url = `https://${addressOf("n1")}:6443/bramble/v1/time`;
  const said = await site.cluster.lab.must("lan", "curl", "-sk", "--max-time", "5", url);
  return (JSON.parse(said) as { nowMs: number }).nowMs;
}

/** When n2 last showed itself, by its own clock. */
async function renewedMs(): Promise<number> {
  const path = "jsonpath={.spec.renewTime}";
  return Date.parse(
    await site.cluster.kubectl("get", "lease", "-n", "kube-node-lease", "n2", "-o", path),
  );
}

const jobs = async (): Promise<string[]> =>
  (await site.cluster.kubectl("get", "jobs", "-o", "name"))
    .split("\n")
    .filter((line) => line !== "");

/** n2 goes on, and the server's clock shows this moment or less than an hour more; so does n2's. */
async function atEase(sinceMs: number): Promise<void> {
  await site.heartbeats(site.asked().length);
  await until(`the server is at ${new Date(sinceMs).toISOString()}`, SETTLED_MS_MAX, async () => {
    const laterMs = (await serverMs()) - sinceMs;
    return laterMs >= 0 && laterMs < HOUR_MS;
  });
  await until("n2 follows the server's clock", SETTLED_MS_MAX, async () => {
    return Math.abs((await renewedMs()) - (await serverMs())) < 15_000;
  });
  await site.allWell();
}

test("a clock that jumps by years, to 1970 and back unsettles nothing", async () => {
  const { cluster, ahead, certificate, containers } = site;
  const running = await containers();
  const ready = async () => {
    const path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].lastTransitionTime}";
    return cluster.kubectl("get", "nodes", "-o", path);
  };
  const since = await ready();
  const before = (await jobs()).length;
  const startedMs = site.rightMs();
  ahead(YEARS_MS);
  await atEase(startedMs + YEARS_MS);
  // A day's certificate of long ago is over: a token stands in for it until there is another one.
  const late = await until("n2 has a certificate of then", ROTATED_MS_MAX, async () => {
    const now = await certificate();
    return now.endMs > startedMs + YEARS_MS && now;
  });
  await site.shows(late.id);
  // However many runs were missed, the last one alone is made up for.
  await until("one Job", ROTATED_MS_MAX, async () => (await jobs()).length === before + 1);
  // In 1970 nothing of this existed: time goes on as it was.
  ahead(-site.rightMs());
  await atEase(startedMs + YEARS_MS);
  ahead(0);
  await atEase(startedMs);
  await until("n2 has a certificate that ends tomorrow", ROTATED_MS_MAX, async () => {
    return (await certificate()).endMs < site.rightMs() + 25 * HOUR_MS;
  });
  expect(await jobs()).toHaveLength(before + 1);
  // The schedule goes on, too: shortly before the next full hour.
  ahead(HOUR_MS - (site.rightMs() % HOUR_MS) - 5_000);
  await until("the next hour's Job", ROTATED_MS_MAX, async () => {
    return (await jobs()).length === before + 2;
  });
  await site.allWell();
  expect(await ready()).toBe(since);
  expect(await containers()).toBe(running);
}, 600_000);
