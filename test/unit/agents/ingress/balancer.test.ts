import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Balancer, type EndpointState } from "#agents/ingress/balancer.ts";
import type { Backend, Table } from "#agents/ingress/plan.ts";

const backendOf = (count: number, sticky = false): Backend => ({
  name: "default/web:80",
  endpoints: Array.from({ length: count }, (_, at) => ({ address: `10.0.0.${at}`, port: 80 })),
  others: [],
  sticky,
});

const tableOf = (...backends: Backend[]): Table => ({
  hosts: new Map(),
  wildcards: new Map(),
  any: undefined,
  fallback: undefined,
  certificates: new Map(),
  backends,
  count: 1,
  problems: [],
});

const choice = (more: object = {}) => ({
  nowMs: 1_000,
  client: "192.0.2.9",
  tried: new Set<EndpointState>(),
  ...more,
});

test("the one with the fewest requests, never one that was tried, lame ones last", () => {
  const states = fc.array(
    fc.record({ pending: fc.nat(3), lame: fc.boolean(), tried: fc.boolean() }),
  );
  fc.assert(
    fc.property(states, fc.nat(5), (given, turns) => {
      const balancer = new Balancer();
      const backend = backendOf(given.length);
      balancer.follow(tableOf(backend));
      const all = [...balancer.states];
      const tried = new Set<EndpointState>();
      for (const [at, { pending, lame, tried: isTried }] of given.entries()) {
        const state = all[at];
        if (state === undefined) return false;
        state.pending = pending;
        state.lameUntilMs = lame ? 2_000 : 500;
        if (isTried) tried.add(state);
      }
      for (let turn = 0; turn < turns; turn++) balancer.choose(backend, choice());
      const found = balancer.choose(backend, choice({ tried }));
      const left = all.filter((state) => !tried.has(state));
      if (left.length === 0) return found === undefined;
      const rank = (state: EndpointState) => state.pending + (state.lameUntilMs > 1_000 ? 100 : 0);
      return (
        found !== undefined && !tried.has(found) && rank(found) === Math.min(...left.map(rank))
      );
    }),
  );
});

test("equals take turns", () => {
  const balancer = new Balancer();
  const backend = backendOf(3);
  const names = Array.from({ length: 6 }, () => balancer.choose(backend, choice())?.name);
  expect(new Set(names).size).toBe(3);
  expect(names.slice(0, 3)).toEqual(names.slice(3));
});

describe("affinity", () => {
  test("a client stays, and moves only where its endpoint goes", () => {
    const balancer = new Balancer();
    const [four, three] = [backendOf(4, true), backendOf(3, true)];
    for (let at = 0; at < 200; at++) {
      const client = `192.0.2.${at}`;
      const before = balancer.choose(four, choice({ client }))?.name;
      expect(balancer.choose(four, choice({ client }))?.name).toBe(before);
      const after = balancer.choose(three, choice({ client }))?.name;
      if (before !== "10.0.0.3:80") expect(after).toBe(before);
    }
  });
  test("clients are spread", () => {
    const balancer = new Balancer();
    const backend = backendOf(4, true);
    const counts = new Map<string, number>();
    for (let at = 0; at < 2_000; at++) {
      const name = balancer.choose(
        backend,
        choice({ client: `10.1.${at >> 8}.${at & 255}` }),
      )?.name;
      counts.set(name ?? "", (counts.get(name ?? "") ?? 0) + 1);
    }
    for (const count of counts.values()) expect(count).toBeGreaterThan(300);
  });
});

test("a request that tries again is given endpoints of now", () => {
  const balancer = new Balancer();
  const [before, now] = [
    backendOf(1),
    { ...backendOf(2), endpoints: [{ address: "b", port: 80 }] },
  ];
  balancer.follow(tableOf(before));
  balancer.follow(tableOf(now));
  expect(balancer.choose(before, choice())?.name).toBe("b:80");
});

test("what is in no table any more is not kept open; requests under way are left alone", () => {
  const balancer = new Balancer();
  const [two, one] = [backendOf(2), backendOf(1)];
  balancer.follow(tableOf(two));
  const [kept, gone] = [...balancer.states];
  if (kept === undefined || gone === undefined) throw new Error("no endpoints");
  const closed: string[] = [];
  const spare = (name: string) => ({ usedMs: 0, close: () => closed.push(name) });
  kept.spares.push(spare("kept"));
  gone.spares.push(spare("gone"));
  gone.pending = 1;
  balancer.follow(tableOf(one));
  expect(closed).toEqual(["gone"]);
  expect([kept.gone, gone.gone, gone.pending]).toEqual([false, true, 1]);
  expect([...balancer.states]).toEqual([kept]);
  balancer.sweep(5_000, 4_000);
  expect(closed).toEqual(["gone", "kept"]);
  expect(balancer.hasSpares).toBe(false);
});

test("who waits for what is in the slices no more is told, and nobody else", () => {
  const balancer = new Balancer();
  const [two, one] = [backendOf(2), backendOf(1)];
  const other = { ...one, name: "default/other:80" };
  balancer.follow(tableOf(two, other));
  const [kept, gone] = [...balancer.states];
  if (kept === undefined || gone === undefined) throw new Error("no endpoints");
  const told: string[] = [];
  const ask = (state: EndpointState, name: string, backend = two) => {
    state.pending++;
    state.asked.add({ backend, endpointLeft: () => told.push(name) });
  };
  ask(kept, "kept");
  ask(gone, "gone");
  ask(gone, "of a Service that went", { ...two, name: "default/went:80" });
  // On its way out: it may still answer.
  balancer.follow(tableOf({ ...one, others: two.endpoints.slice(1) }, other));
  expect(told).toEqual([]);
  balancer.follow(tableOf(other));
  expect(told).toEqual([]);
  balancer.follow(tableOf(two, other));
  expect(told).toEqual([]);
  balancer.follow(tableOf(one, other));
  expect(told).toEqual(["gone"]);
});

test("requests to an address are counted after it is in no table any more", () => {
  const balancer = new Balancer();
  const [two, one] = [backendOf(2), backendOf(1)];
  balancer.follow(tableOf(two));
  const gone = [...balancer.states][1];
  if (gone === undefined) throw new Error("no endpoint");
  gone.pending = 2;
  balancer.follow(tableOf(one));
  expect([balancer.pendingAt("10.0.0.1"), balancer.pendingAt("10.0.0.0")]).toEqual([2, 0]);
  gone.pending = 0;
  balancer.sweep(0, 0);
  expect(balancer.pendingAt("10.0.0.1")).toBe(0);
});
