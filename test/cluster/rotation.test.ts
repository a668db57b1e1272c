/**
 * A node's certificate comes near its end while server and agent run: the agent asks for another
 * one and goes on with it, also after a restart. (The server's has no end; `renumber.test.ts` shows
 * how it is made anew for another address.)
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  type ClockSite,
  type Entry,
  HOUR_MS,
  ROTATED_MS_MAX,
  SETTLED_MS_MAX,
  shownIn,
  startClockSite,
} from "#test/support/clocksite.ts";
import { until } from "#test/support/lab.ts";

let site: ClockSite;

beforeAll(async () => {
  site = await startClockSite();
}, 240_000);

afterAll(() => site?.close(), 180_000);

test("a certificate near its end is replaced, and the agent goes on with it", async () => {
  const { cluster, ahead, asked, certificate, containers, heartbeats } = site;
  const first = await until("n2 has a certificate", SETTLED_MS_MAX, certificate);
  await site.shows(first.id);
  const running = await containers();
  ahead(17 * HOUR_MS);
  const from = asked().length;
  const second = await until("n2 has another one", ROTATED_MS_MAX, async () => {
    const now = await certificate();
    return now.id !== first.id && now;
  });
  // By the connection that the old one has opened, and good for another day.
  const csr = asked(from).find(({ requestURI }) =>
    requestURI.includes("/certificatesigningrequests"),
  );
  expect(shownIn(csr as Entry)).toBe(first.id);
  const laterMs = second.endMs - first.endMs;
  expect(laterMs).toBeGreaterThan(17 * HOUR_MS);
  expect(laterMs).toBeLessThan(18 * HOUR_MS);
  await site.shows(second.id);
  // The first one is over.
  ahead(25 * HOUR_MS);
  const beats = await heartbeats(asked().length);
  expect(new Set(beats.map(shownIn))).toEqual(new Set([second.id]));
  await site.allWell();
  expect(await containers()).toBe(running);
  expect(site.tunnelsOpened()).toBe(1);
  expect(asked(from).filter(({ verb }) => verb === "watch")).toEqual([]);
  await cluster.stop("n2");
  const stopped = asked().length;
  await cluster.startAgent("n2");
  expect(new Set((await heartbeats(stopped)).map(shownIn))).toEqual(new Set([second.id]));
  expect(await containers()).toBe(running);
}, 420_000);
