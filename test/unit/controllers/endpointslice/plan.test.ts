import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { addressChanged } from "#controllers/common/service.ts";
import { endpointSliceController as controller } from "#controllers/endpointslice/controller.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod, Service } from "#resources/types.gen.ts";
import { podStatus } from "#test/support/build.ts";
import { tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

const KEY = "x/web";
let world: World;

beforeEach(() => {
  world = new World();
  for (const name of ["n1", "n2"]) {
    const labels = { "topology.kubernetes.io/zone": `zone-${name}` };
    world.put(nodes, { metadata: { name, labels } });
  }
});

function service(spec: Partial<Service["spec"]> = {}, labels?: Record<string, string>): void {
  world.put(services, {
    metadata: { namespace: "x", name: "web", ...(labels && { labels }) },
    spec: {
      selector: { app: "web" },
      clusterIP: "10.43.0.5",
      ipFamilies: ["IPv4"],
      ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
      ...spec,
    },
  });
}

function pod(name: string, ip: string, ready = true, more: Partial<Pod["spec"]> = {}): void {
  world.put(pods, {
    metadata: { namespace: "x", name, labels: { app: "web" } },
    spec: { nodeName: "n1", containers: [], ...more },
    status: { ...podStatus(world, { ready }), podIP: ip, podIPs: [{ ip }] },
  });
}

const slices = () => world.list(endpointSlices);
const addresses = () =>
  slices()
    .flatMap((slice) => slice.endpoints.flatMap((endpoint) => endpoint.addresses))
    .sort();

describe("a slice", () => {
  test("shows each pod of the Service, with its conditions", () => {
    service({}, { team: "a" });
    pod("ready", "10.42.0.1");
    pod("starting", "10.42.0.2", false);
    pod("leaving", "10.42.0.3");
    world.change(pods, "x/leaving", { metadata: { deletionTimestamp: world.time() } });
    pod("ended", "10.42.0.4");
    world.change(pods, "x/ended", { status: { phase: "Failed" } });
    world.put(pods, {
      metadata: { namespace: "x", name: "no-address", labels: { app: "web" } },
      spec: { nodeName: "n1", containers: [] },
    });
    world.settle([controller]);
    const [slice] = slices();
    expect(slice).toMatchObject({
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      metadata: {
        generateName: "web-",
        labels: {
          team: "a",
          "kubernetes.io/service-name": "web",
          "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        },
        ownerReferences: [{ kind: "Service", name: "web", controller: true }],
      },
    });
    expect(slice?.endpoints.map((one) => [one.addresses[0], one.conditions])).toEqual([
      ["10.42.0.1", { ready: true, serving: true, terminating: false }],
      ["10.42.0.2", { ready: false, serving: false, terminating: false }],
      ["10.42.0.3", { ready: false, serving: true, terminating: true }],
    ]);
    expect(slice?.endpoints[0]).toMatchObject({
      nodeName: "n1",
      zone: "zone-n1",
      targetRef: { kind: "Pod", namespace: "x", name: "ready" },
    });
  });

  test("shows unready pods as ready where the Service asks for it", () => {
    service({ publishNotReadyAddresses: true, clusterIP: "None" });
    pod("starting", "10.42.0.2", false, { hostname: "db-0", subdomain: "web" });
    world.settle([controller]);
    const [slice] = slices();
    expect(slice?.endpoints[0]).toMatchObject({ conditions: { ready: true }, hostname: "db-0" });
    expect(slice?.metadata.labels?.["service.kubernetes.io/headless"]).toBe("");
  });

  test("resolves named ports a pod, sidecars included", () => {
    service({ ports: [{ name: "http", port: 80, targetPort: "web", protocol: "TCP" }] });
    const named = (containerPort: number) => ({
      name: "c",
      ports: [{ name: "web", containerPort }],
    });
    pod("old", "10.42.0.1", true, { containers: [named(80)] });
    pod("new", "10.42.0.2", true, {
      containers: [],
      initContainers: [{ ...named(8080), restartPolicy: "Always" }],
    });
    pod("without", "10.42.0.3");
    world.settle([controller]);
    const found = slices().map((slice) => [
      slice.endpoints[0]?.addresses[0],
      slice.ports?.[0]?.port,
    ]);
    expect(found.sort()).toEqual([
      ["10.42.0.1", 80],
      ["10.42.0.2", 8080],
      ["10.42.0.3", undefined],
    ]);
  });

  test("is there and empty for a Service without pods, and goes on with it", () => {
    service();
    world.settle([controller]);
    expect(slices().map((slice) => slice.endpoints)).toEqual([[]]);
    pod("a", "10.42.0.1");
    world.settle([controller]);
    expect(addresses()).toEqual(["10.42.0.1"]);
    world.remove(pods, "x/a");
    world.settle([controller]);
    expect(slices().map((slice) => slice.endpoints)).toEqual([[]]);
  });

  test("is made for each family", () => {
    service({ ipFamilies: ["IPv4", "IPv6"] });
    pod("a", "10.42.0.1");
    world.change(pods, "x/a", { status: { podIPs: [{ ip: "10.42.0.1" }, { ip: "fd00::1" }] } });
    world.settle([controller]);
    expect(slices().map((slice) => [slice.addressType, slice.endpoints[0]?.addresses])).toEqual([
      ["IPv4", ["10.42.0.1"]],
      ["IPv6", ["fd00::1"]],
    ]);
  });

  test("carries hints where the Service wants its traffic close", () => {
    service({ trafficDistribution: "PreferSameNode" });
    pod("a", "10.42.0.1");
    world.settle([controller]);
    expect(slices()[0]?.endpoints[0]?.hints).toEqual({
      forNodes: [{ name: "n1" }],
      forZones: [{ name: "zone-n1" }],
    });
    world.change(services, KEY, { spec: { trafficDistribution: null } });
    world.settle([controller]);
    expect(slices()[0]?.endpoints[0]?.hints).toBeUndefined();
  });

  test("leaves out pods of nodes that are gone", () => {
    service();
    pod("a", "10.42.0.1");
    pod("b", "10.42.1.1", true, { nodeName: "n2" });
    world.remove(nodes, "n1");
    world.settle([controller]);
    expect(addresses()).toEqual(["10.42.1.1"]);
  });

  test("is not made without a selector or for an external name", () => {
    service({ selector: {} });
    world.settle([controller]);
    service({ type: "ExternalName" });
    world.settle([controller]);
    expect(slices()).toEqual([]);
  });

  test("of another manager is left alone", () => {
    service();
    world.put(endpointSlices, {
      metadata: {
        namespace: "x",
        name: "by-hand",
        labels: { "kubernetes.io/service-name": "web" },
      },
      addressType: "IPv4",
      endpoints: [],
    });
    world.settle([controller]);
    expect(world.get(endpointSlices, "x/by-hand")).toBeDefined();
    expect(slices()).toHaveLength(2);
  });
});

describe("writes", () => {
  test("one a change, however many pods there are", () => {
    service();
    for (let i = 0; i < 250; i++) pod(`p${i}`, `10.42.${i >> 8}.${i & 255}`);
    world.settle([controller]);
    expect(slices().map((slice) => slice.endpoints.length)).toEqual([100, 100, 50]);
    const { writes } = world;
    pod("p7", "10.42.0.7", false);
    world.settle([controller]);
    expect(world.writes - writes).toBe(1);
    // One replaced by another: the slice that loses it takes the new one.
    world.remove(pods, "x/p8");
    pod("p300", "10.42.9.9");
    world.settle([controller]);
    expect(world.writes - writes).toBe(2);
    expect(addresses()).toHaveLength(250);
  });

  test("one of a pod that is ready soon after its start; of another after three seconds", () => {
    service();
    pod("old", "10.42.0.9");
    world.settle([controller]);
    const { writes } = world;
    const startTime = world.time();
    for (const [name, ip] of [
      ["quick", "10.42.0.1"],
      ["slow", "10.42.0.2"],
    ] as const) {
      pod(name, ip, false);
      world.change(pods, `x/${name}`, { status: { startTime } });
    }
    // One that was ready before is shown as what it is now.
    world.change(pods, "x/old", { status: { startTime, ...podStatus(world, { ready: false }) } });
    world.settle([controller]);
    expect([world.writes - writes, addresses()]).toEqual([1, ["10.42.0.9"]]);
    world.now += 1_000;
    world.change(pods, "x/quick", { status: podStatus(world, { ready: true }) });
    world.settle([controller]);
    expect([world.writes - writes, addresses()]).toEqual([2, ["10.42.0.1", "10.42.0.9"]]);
    world.now += 2_000;
    world.settle([controller]);
    expect([world.writes - writes, addresses().length]).toEqual([3, 3]);
    // A node's clock that is ahead holds nothing back.
    pod("ahead", "10.42.0.3", false);
    world.change(pods, "x/ahead", { status: { startTime: "2030-01-01T00:00:00Z" } });
    world.settle([controller]);
    expect(addresses()).toHaveLength(4);
  });

  test("one when the first pod comes, or all get another port: slices are used again", () => {
    service();
    world.settle([controller]);
    const { writes } = world;
    const [first] = slices();
    pod("a", "10.42.0.1");
    world.settle([controller]);
    expect(world.writes - writes).toBe(1);
    const ports = [{ name: "web", port: 80, targetPort: 9090, protocol: "TCP" as const }];
    service({ ports });
    world.settle([controller]);
    expect(world.writes - writes).toBe(2);
    const [last] = slices();
    expect(last?.metadata.uid).toBe(first?.metadata.uid ?? "");
    expect(last?.ports).toEqual([{ name: "web", port: 9090, protocol: "TCP" }]);
    expect(addresses()).toEqual(["10.42.0.1"]);
  });

  test("none when nothing that endpoints show has changed", () => {
    service();
    pod("a", "10.42.0.1");
    world.settle([controller]);
    const { writes } = world;
    world.change(pods, "x/a", { status: { containerStatuses: [] } });
    expect(world.settle([controller])).toBe(0);
    expect(world.writes).toBe(writes);
  });
});

test("a pod wakes its Services only for what endpoints show of it", () => {
  const changes = (before: object | undefined, after: object | undefined) => {
    const made = (status: object): Stored<Pod> => ({
      ...{ apiVersion: "v1", kind: "Pod", spec: { containers: [] }, status },
      metadata: {
        name: "a",
        namespace: "x",
        uid: "1",
        resourceVersion: "1",
        creationTimestamp: "",
      },
    });
    return addressChanged({
      key: "x/a",
      before: before && made(before),
      after: after && made(after),
    });
  };
  const ip = { podIP: "10.42.0.1" };
  expect(changes(undefined, {})).toBe(false);
  expect(changes({}, { phase: "Pending" })).toBe(false);
  expect(changes({}, undefined)).toBe(false);
  expect(changes({}, ip)).toBe(true);
  expect(changes(ip, { ...ip, startTime: "2026-01-01T00:00:00Z" })).toBe(false);
  expect(changes(ip, { ...ip, phase: "Failed" })).toBe(true);
  expect(changes(ip, undefined)).toBe(true);
});

test("property: changes lead to exactly the addresses of the pods, in full slices", () => {
  const change = fc.record({
    name: fc.integer({ min: 0, max: 140 }),
    what: fc.constantFrom("add", "add", "add", "remove", "unready"),
  });
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 90 }), { maxLength: 5 }), (rounds) => {
      world = new World();
      world.put(nodes, { metadata: { name: "n1" } });
      service();
      for (const changes of rounds) {
        for (const { name, what } of changes) {
          if (what === "remove") world.remove(pods, `x/p${name}`);
          else pod(`p${name}`, `10.42.0.${name}`, what === "add");
        }
        expect(world.settle([controller])).toBeLessThanOrEqual(2);
        const wanted = world.list(pods).map((one) => one.status?.podIP ?? "");
        expect(addresses()).toEqual(wanted.sort());
        expect(slices().every((slice) => slice.endpoints.length <= 100)).toBe(true);
      }
    }),
    tries(50),
  );
});
