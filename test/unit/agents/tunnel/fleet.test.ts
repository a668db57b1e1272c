/** A node's tunnels to several servers, with dialling as a script. */
import { expect, test } from "bun:test";
import type { DialOptions } from "#agents/tunnel/dial.ts";
import { openFleet } from "#agents/tunnel/fleet.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";

function stage(first: readonly string[]) {
  const state = { targets: first, doubted: [] as string[] };
  const dialled: DialOptions[] = [];
  const stop = new AbortController();
  const fleet = openFleet({
    credentials: { current: () => Promise.reject(new Error("not asked")) },
    handler: { fetch: () => Promise.reject(), open: () => Promise.reject() },
    clock: fakeClock(),
    log: silentLog,
    signal: stop.signal,
    targets: () => state.targets,
    onDoubt: (url) => state.doubted.push(url),
    async dial(options) {
      dialled.push(options);
    },
  });
  const open = () => dialled.filter(({ signal }) => !signal.aborted).map(({ server }) => server);
  return { state, dialled, stop, fleet, open };
}

test("new servers are dialled, gone ones let go, the others left alone", () => {
  const { state, dialled, stop, fleet, open } = stage(["a"]);
  expect(open()).toEqual(["a"]);
  expect(dialled[0]?.pingMs()).toBe(limits.tunnelPingMs);
  state.targets = ["a", "b"];
  fleet.look();
  fleet.look();
  expect(open()).toEqual(["a", "b"]);
  expect(dialled[0]?.pingMs()).toBe(limits.tunnelPingSharedMs);
  state.targets = ["b", "c"];
  fleet.look();
  expect(open()).toEqual(["b", "c"]);
  expect(dialled).toHaveLength(3);
  stop.abort();
  expect(open()).toEqual([]);
  fleet.look();
  expect(open()).toEqual([]);
});

test("the tunnel to a lost server is dialled anew, and a doubt tells which server it is", () => {
  const { state, dialled, fleet, open } = stage(["a", "b"]);
  fleet.lost("b");
  expect(dialled.map(({ server }) => server)).toEqual(["a", "b", "b"]);
  expect(open()).toEqual(["a", "b"]);
  dialled[2]?.onDoubt();
  expect(state.doubted).toEqual(["b"]);
});

test("their number has a bound", () => {
  const many = Array.from({ length: 100 }, (_, i) => `s${i}`);
  expect(stage(many).open()).toEqual(many.slice(0, limits.serversMax));
});
