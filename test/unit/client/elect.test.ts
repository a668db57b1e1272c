import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { type Client, StatusError } from "#client/client.ts";
import { type ElectOptions, standForElection } from "#client/elect.ts";
import { fenced } from "#client/fence.ts";
import { createClient } from "#client/http.ts";
import { leases } from "#resources/kinds/lease.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";
import { FakeApi } from "#test/support/fakeapi.ts";

const REF = { namespace: "kube-system", name: "controllers" };
let api: FakeApi;
let clock: FakeClock;
const stops: Array<() => void> = [];
beforeEach(() => {
  api = new FakeApi();
  clock = fakeClock();
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

const fresh = { renew: () => Promise.resolve() };
type Enter = ElectOptions["enter"];

function candidate(identity: string, caches = fresh, enter?: Enter) {
  const stop = new AbortController();
  stops.push(() => stop.abort());
  const terms: AbortSignal[] = [];
  let fetch = api.fetch;
  const own = createClient((request) => fetch(request));
  let writer = own;
  let stoodMs = 0;
  const over = standForElection({
    client: own,
    caches,
    clock: { ...clock, monotonic: () => clock.monotonic() + stoodMs },
    random: { next: () => 0.5, uuid: () => "", bytes: (n) => new Uint8Array(n) },
    log: silentLog,
    ...REF,
    identity,
    signal: stop.signal,
    enter: enter ?? (async () => own),
    lead(term, holds, client) {
      terms.push(term);
      writer = fenced(client, holds);
    },
  });
  const leads = () => terms.at(-1)?.aborted === false;
  const cut = () => {
    fetch = async () => Response.json({ kind: "Status", code: 503 }, { status: 503 });
  };
  const mend = () => {
    fetch = api.fetch;
  };
  /** Its process stands still for so long: no timer of its own ran when it goes on. */
  const stand = (ms: number) => {
    stoodMs += ms;
  };
  const write = () =>
    writer.create(leases, { metadata: { namespace: "default", generateName: "written-" } }).then(
      () => "written",
      (error: unknown) => (error instanceof StatusError ? error.code : error),
    );
  const hang = () => {
    fetch = () => new Promise(() => {});
  };
  const begun = () => terms.length;
  return { stop: () => stop.abort(), over, leads, cut, mend, hang, stand, write, begun };
}

const lease = async () => (await api.client.get(leases, REF))?.spec;

describe("of several", () => {
  test("one leads, and renews", async () => {
    const [a, b] = [candidate("a"), candidate("b")];
    await clock.advance(100);
    expect([a.leads(), b.leads()]).toEqual([true, false]);
    await clock.advance(60_000);
    expect([a.leads(), b.leads()]).toEqual([true, false]);
    expect(await lease()).toMatchObject({ holderIdentity: "a", leaseTransitions: 0 });
  });

  test("another takes over when the leader is silent for the length of its lease", async () => {
    const a = candidate("a");
    await clock.advance(100);
    const b = candidate("b");
    await clock.advance(5000);
    a.cut();
    await clock.advance(limits.leaderRenewMsMax);
    // What it had under way has some time to arrive before another one begins.
    expect([a.leads(), b.leads()]).toEqual([false, false]);
    await clock.advance(limits.leaderLeaseMs - limits.leaderRenewMsMax - limits.leaderRetryMs);
    expect([a.leads(), b.leads()]).toEqual([false, false]);
    await clock.advance(3 * limits.leaderRetryMs);
    expect([a.leads(), b.leads()]).toEqual([false, true]);
    expect(await lease()).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
  });

  test("never two lead at once, whatever fails", async () => {
    const all = ["a", "b", "c"].map((name) => candidate(name));
    let seed = 7;
    api.fault = (method) => {
      seed = (seed * 16_807) % 2_147_483_647;
      if (method === "GET" || seed % 3 !== 0) return undefined;
      return Response.json({ kind: "Status", code: 500 }, { status: 500 });
    };
    for (let i = 0; i < 200; i++) {
      await clock.advance(1000);
      expect(all.filter((one) => one.leads()).length).toBeLessThanOrEqual(1);
    }
  });

  test("a leader that ends gives its lease back, and the next need not wait", async () => {
    const a = candidate("a");
    await clock.advance(100);
    const b = candidate("b");
    await clock.advance(3000);
    a.stop();
    await clock.settle();
    await a.over;
    expect(a.leads()).toBe(false);
    await clock.advance(2500);
    expect(b.leads()).toBe(true);
    expect(await lease()).toMatchObject({ holderIdentity: "b" });
  });

  test("a leader that stood still writes nothing before it knows whether it leads", async () => {
    const a = candidate("a");
    await clock.advance(100);
    expect(await a.write()).toBe("written");
    a.stand(limits.leaderRenewMsMax);
    // No timer has run: it still believes that it leads.
    expect([a.leads(), await a.write()]).toEqual([true, 503]);
    await clock.advance(limits.leaderRetryMs + 100);
    expect([a.leads(), await a.write()]).toEqual([true, "written"]);
  });

  test("clocks that differ do not matter", async () => {
    const a = candidate("a");
    await clock.advance(100);
    clock.jump(-365 * 86_400_000);
    const b = candidate("b");
    await clock.advance(60_000);
    clock.jump(730 * 86_400_000);
    await clock.advance(60_000);
    expect([a.leads(), b.leads()]).toEqual([true, false]);
  });

  test("nothing is begun before the caches show what the last leader did", async () => {
    const renewed = Promise.withResolvers<void>();
    const a = candidate("a", { renew: () => renewed.promise });
    await clock.advance(3000);
    expect([a.leads(), (await lease())?.holderIdentity]).toEqual([false, "a"]);
    renewed.resolve();
    await clock.settle();
    expect(a.leads()).toBe(true);
  });

  test("nobody leads before its term has begun, with the client of that term", async () => {
    const asked: unknown[] = [];
    let answer: Client | undefined;
    const a = candidate("a", fresh, async ({ spec, metadata }) => {
      asked.push(spec?.holderIdentity, metadata.resourceVersion);
      return answer;
    });
    await clock.advance(100);
    const { resourceVersion } = (await api.client.get(leases, REF))?.metadata ?? {};
    expect([asked, a.begun()]).toEqual([["a", resourceVersion], 0]);
    answer = { ...fenced(api.client, () => true), create: () => Promise.reject("of the term") };
    await clock.advance(2 * limits.leaderRetryMs);
    expect([a.leads(), a.begun(), await a.write()]).toEqual([true, 1, "of the term"]);
    const { length } = asked;
    await clock.advance(5 * limits.leaderRetryMs);
    expect([a.begun(), asked.length]).toEqual([1, length]);
  });

  test("a term that does not begin in time is not waited for", async () => {
    const a = candidate("a", fresh, () => new Promise(() => {}));
    await clock.advance(100);
    const b = candidate("b");
    await clock.advance(60_000);
    expect([a.leads(), b.leads()]).toEqual([false, false]);
    expect((await lease())?.holderIdentity).toBe("a");
    a.stop();
    await clock.advance(limits.leaderLeaseMs + 2 * limits.leaderRetryMs);
    expect(b.leads()).toBe(true);
  });

  test("one that takes its own lease again waits as any other would", async () => {
    const a = candidate("a");
    await clock.advance(100);
    a.cut();
    await clock.advance(limits.leaderRenewMsMax);
    expect(a.leads()).toBe(false);
    a.mend();
    await clock.advance(limits.leaderRetryMs);
    expect([a.leads(), (await lease())?.holderIdentity]).toEqual([false, "a"]);
    await clock.advance(limits.leaderLeaseMs - limits.leaderRenewMsMax);
    expect([a.leads(), a.begun()]).toEqual([true, 2]);
  });

  test("a term that ended while the caches were renewed is not begun", async () => {
    const renewed = Promise.withResolvers<void>();
    const a = candidate("a", { renew: () => renewed.promise });
    await clock.advance(100);
    a.stop();
    renewed.resolve();
    await clock.settle();
    expect(a.begun()).toBe(0);
  });

  test("a call that hangs ends the term in time", async () => {
    const a = candidate("a");
    await clock.advance(100);
    a.hang();
    await clock.advance(25_000);
    expect(a.leads()).toBe(false);
  });
});
