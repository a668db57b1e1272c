import { expect, test } from "bun:test";
import type { FlowsTo } from "#agents/network/flowplaces.ts";
import type { PacketWriter, RuleSet } from "#agents/network/packets.ts";
import { createProxyAgent } from "#agents/proxy/agent.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { createCaches } from "#client/cache.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import { fakeClock } from "#test/support/clock.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { service, slice } from "#test/unit/agents/proxy/build.ts";

function setUp() {
  const api = new FakeApi();
  const clock = fakeClock();
  const caches = createCaches({ client: api.client, clock, log: silentLog });
  const applied: RuleSet[] = [];
  let fail = false;
  const writer: PacketWriter = {
    apply: async (_owner, rules) => {
      if (fail) throw new Error("busy");
      applied.push(rules);
    },
    verify: async () => {},
    clear: async () => {},
  };
  const ran: string[] = [];
  const letGo: FlowsTo[] = [];
  const ending = new AbortController();
  const health = new Map<number, () => Response>();
  const agent = createProxyAgent({
    serveHealth: (port, answer) => {
      health.set(port, answer);
      return { stop: () => health.delete(port) };
    },
    run: async (argv) => {
      ran.push(argv.slice(0, 2).join(" "));
      return { exitCode: 0, stdout: "", stderr: "" };
    },
    flows: {
      end: async (targets) => void letGo.push(...targets),
      ended: async () => {},
    },
    caches,
    writers: { IPv4: writer },
    nodeName: "n1",
    clusterCidr: "10.42.0.0/16",
    clock,
    log: silentLog,
  });
  const setFail = (now: boolean) => {
    fail = now;
  };
  return { api, clock, agent, applied, ran, letGo, ending, setFail, health };
}

const targets = (rules: RuleSet | undefined): string[] =>
  (rules?.chains ?? [])
    .flatMap((chain) => chain.rules)
    .flatMap((rule) => /--to-destination (\S+)/.exec(rule)?.[1] ?? []);

test("a change reaches the writer within 20 ms, and rewrites only its own chains", async () => {
  const { api, clock, agent, applied, ending } = setUp();
  api.put(nodes, { metadata: { name: "n1" } });
  for (const name of ["a", "b"]) {
    api.put(services, service(name, { clusterIP: name === "a" ? "10.43.0.1" : "10.43.0.2" }));
  }
  api.put(endpointSlices, slice("a", ["10.42.1.1@n1"]));
  api.put(endpointSlices, slice("b", ["10.42.1.2@n1"]));
  agent.start(ending.signal);
  await clock.advance(20);
  expect(targets(applied[0])).toEqual(["10.42.1.1:8080", "10.42.1.2:8080"]);
  api.put(endpointSlices, slice("a", ["10.42.2.1@n2"]));
  await clock.advance(20);
  expect(applied).toHaveLength(2);
  expect(targets(applied[1])).toEqual(["10.42.2.1:8080", "10.42.1.2:8080"]);
  const chain = (rules: RuleSet | undefined, name: string) =>
    rules?.chains.find((one) => one.name === name);
  expect(chain(applied[1], "SVC-default/b:80")).toBe(
    chain(applied[0], "SVC-default/b:80") as never,
  );
  api.remove("/api/v1/namespaces/default/services/b");
  await clock.advance(20);
  expect(targets(applied.at(-1))).toEqual(["10.42.2.1:8080"]);
  ending.abort();
});

test("what could not be applied is not forgotten", async () => {
  const { api, clock, agent, applied, ending, setFail } = setUp();
  api.put(services, service("a", { clusterIP: "10.43.0.1" }));
  agent.start(ending.signal);
  await clock.advance(20);
  setFail(true);
  api.put(endpointSlices, slice("a", ["10.42.1.1@n1"]));
  await clock.advance(20);
  setFail(false);
  await clock.advance(200);
  expect(targets(applied.at(-1))).toEqual(["10.42.1.1:8080"]);
  ending.abort();
});

test("a node that moves to another zone plans anew", async () => {
  const { api, clock, agent, applied, ending } = setUp();
  const node = (zone: string) => ({
    metadata: { name: "n1", labels: { "topology.kubernetes.io/zone": zone } },
  });
  api.put(nodes, node("a"));
  api.put(services, service("a", { clusterIP: "10.43.0.1" }));
  const base = slice("a", ["10.42.1.1@n1", "10.42.2.1@n2"]);
  const [one, two] = base.endpoints as [object, object];
  const hinted = (endpoint: object, name: string) => ({
    ...(endpoint as (typeof base.endpoints)[number]),
    hints: { forZones: [{ name }] },
  });
  api.put(endpointSlices, { ...base, endpoints: [hinted(one, "a"), hinted(two, "b")] });
  agent.start(ending.signal);
  await clock.advance(20);
  expect(targets(applied.at(-1))).toEqual(["10.42.1.1:8080"]);
  api.put(nodes, node("b"));
  await clock.advance(20);
  expect(targets(applied.at(-1))).toEqual(["10.42.2.1:8080"]);
  const count = applied.length;
  api.put(nodes, { ...node("b"), status: { phase: "heartbeat" } } as never);
  await clock.advance(20);
  expect(applied.length).toBe(count);
  ending.abort();
});

test("UDP backends that change are followed by a look at the flows", async () => {
  const { api, clock, agent, ran, ending } = setUp();
  const ports = [{ name: "u", port: 53, protocol: "UDP" }];
  api.put(services, service("a", { clusterIP: "10.43.0.1", ports }));
  api.put(services, service("t", { clusterIP: "10.43.0.2" }));
  api.put(endpointSlices, slice("a", ["10.42.1.1@n1"], [{ name: "u", port: 53 }]));
  agent.start(ending.signal);
  await clock.advance(20);
  expect(ran).toEqual(["conntrack -L"]);
  api.put(endpointSlices, slice("t", ["10.42.1.1@n1"]));
  await clock.advance(20);
  expect(ran).toHaveLength(1);
  ending.abort();
});

const unanswered = (ip: string) => ({ ip, port: 8080, unanswered: true });

test("clients that what has left does not answer are let go, answers under way first", async () => {
  const { api, clock, agent, letGo, ending, setFail } = setUp();
  api.put(services, service("a", { clusterIP: "10.43.0.1" }));
  api.put(services, service("b", { clusterIP: "10.43.0.2" }));
  const four = ["10.42.1.1@n1", "10.42.2.1@n2", "10.42.2.2@n2", "10.42.2.3@n2"];
  api.put(endpointSlices, slice("a", four));
  api.put(endpointSlices, slice("b", ["10.42.2.2@n2"]));
  agent.start(ending.signal);
  await clock.advance(20);
  // The first is on its way out, the second back in time, the third another Service's, too.
  api.put(endpointSlices, slice("a", ["~10.42.1.1@n1", "10.42.2.3@n2"]));
  await clock.advance(20);
  api.put(endpointSlices, slice("a", ["~10.42.1.1@n1", "10.42.2.1@n2", "10.42.2.3@n2"]));
  await clock.advance(limits.drainQuietMs - 20);
  expect(letGo).toEqual([]);
  await clock.advance(20);
  expect(letGo.splice(0)).toEqual([unanswered("10.42.1.1")]);
  // What could not be applied has not left.
  setFail(true);
  api.put(endpointSlices, slice("a", ["10.42.2.1@n2"]));
  await clock.advance(20);
  setFail(false);
  await clock.advance(200);
  api.remove("/api/v1/namespaces/default/services/b");
  await clock.advance(2 * limits.drainQuietMs);
  expect(letGo).toEqual([unanswered("10.42.2.3"), unanswered("10.42.2.2")]);
  ending.abort();
});

test("a load balancer is told which nodes have pods", async () => {
  const { api, clock, agent, health, ending } = setUp();
  const spec = {
    type: "LoadBalancer",
    clusterIP: "10.43.0.1",
    externalTrafficPolicy: "Local",
    healthCheckNodePort: 31000,
  };
  api.put(services, service("a", spec));
  api.put(endpointSlices, slice("a", ["10.42.1.1@n1", "10.42.1.2@n1", "10.42.2.1@n2"]));
  agent.start(ending.signal);
  await clock.advance(20);
  const answer = health.get(31000)?.();
  expect(answer?.status).toBe(200);
  expect(await answer?.json()).toEqual({
    service: { namespace: "default", name: "a" },
    localEndpoints: 2,
    serviceProxyHealthy: true,
  });
  api.put(endpointSlices, slice("a", ["10.42.2.1@n2"]));
  await clock.advance(20);
  expect(health.get(31000)?.().status).toBe(503);
  api.put(services, service("a", { ...spec, externalTrafficPolicy: "Cluster" }));
  await clock.advance(20);
  expect(health.size).toBe(0);
  ending.abort();
});
