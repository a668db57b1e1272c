/** Several tunnels of one node at one server. */
import { expect, test } from "bun:test";
import { createTunnelHub } from "#agents/tunnel/hub.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";

const PING = new Uint8Array([0, 0, 0, 0, 7]);

function stage() {
  const clock = fakeClock();
  const hub = createTunnelHub({ log: silentLog, clock });
  const dial = () => {
    const seen = { sent: 0, closed: false };
    const session = hub.accept("n2", {
      send: () => void seen.sent++,
      close: () => {
        seen.closed = true;
      },
    });
    return { seen, session };
  };
  /** Which of these a request to the node goes out by. */
  const used = async (...tunnels: Array<ReturnType<typeof dial>>): Promise<number> => {
    const before = tunnels.map(({ seen }) => seen.sent);
    hub
      .link("n2")
      ?.open("/x")
      .catch(() => {});
    await clock.settle();
    return tunnels.findIndex(({ seen }, i) => seen.sent > (before[i] ?? 0));
  };
  return { clock, hub, dial, used };
}

test("a second tunnel of a node closes none that lives; the one heard last is used", async () => {
  const { clock, hub, dial, used } = stage();
  const first = dial();
  const second = dial();
  expect(await used(first, second)).toBe(1);
  await clock.advance(1_000);
  first.session.receive(PING);
  expect(await used(first, second)).toBe(0);
  expect([first.seen.closed, second.seen.closed]).toEqual([false, false]);
  first.session.closed("gone");
  expect(await used(first, second)).toBe(1);
  second.session.closed("gone");
  expect(hub.link("n2")).toBeUndefined();
  expect(hub.connected()).toEqual([]);
});

test("one that fell silent is closed while another one is heard", async () => {
  const { clock, dial } = stage();
  const dead = dial();
  await clock.advance(limits.tunnelSilentMsMax);
  const alive = dial();
  expect(dead.seen.closed).toBe(false);
  await clock.advance(1);
  alive.session.receive(PING);
  expect([dead.seen.closed, alive.seen.closed]).toEqual([true, false]);
});

test("a node that dials again and again keeps a few", () => {
  const { dial } = stage();
  const all = Array.from({ length: 10 }, dial);
  expect(all.filter(({ seen }) => !seen.closed)).toHaveLength(limits.tunnelsPerNodeMax);
  expect(all.at(-1)?.seen.closed).toBe(false);
});

test("what comes late from a closed one does not bring it back", () => {
  const { hub, dial } = stage();
  const { session } = dial();
  session.closed("gone");
  session.receive(PING);
  expect(hub.link("n2")).toBeUndefined();
});

test("who waits for a node has its link as soon as it dials", async () => {
  const { clock, hub, dial } = stage();
  const waiting = Array.from({ length: 3 }, () => hub.appears("n2", 1_000));
  const other = hub.appears("n3", 1_000);
  await clock.advance(999);
  dial();
  const links = await Promise.all(waiting);
  expect(links).toEqual(links.map(() => hub.link("n2")));
  expect(links[0]).toBeDefined();
  await clock.advance(1);
  expect(await other).toBeUndefined();
  expect(clock.timers).toBe(0);
});

test("who waits for the agent in this process has its link too", async () => {
  const { hub } = stage();
  const waiting = hub.appears("n1", 1_000);
  const link = { fetch: () => Promise.reject(), open: () => Promise.reject() };
  hub.addLocal("n1", link);
  expect(await waiting).toBe(link);
});
