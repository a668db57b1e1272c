import { beforeEach, expect, test } from "bun:test";
import { endpointsController as controller } from "#controllers/endpoints/controller.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { pods } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import type { Service } from "#resources/types.gen.ts";
import { podStatus } from "#test/support/build.ts";
import { World } from "#test/support/world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});

const service = (spec: Partial<Service["spec"]> = {}) =>
  world.put(services, {
    metadata: { namespace: "x", name: "web", labels: { team: "a" } },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }], ...spec },
  });

const pod = (name: string, ip: string, ready = true) =>
  world.put(pods, {
    metadata: { namespace: "x", name, labels: { app: "web" } },
    spec: { nodeName: "n1", containers: [] },
    status: { ...podStatus(world, { ready }), podIP: ip },
  });

const found = () => world.get(endpoints, "x/web");

test("ready and unready addresses are told apart, leaving pods left out", () => {
  service();
  pod("b", "10.42.0.2");
  pod("a", "10.42.0.1");
  pod("c", "10.42.0.3", false);
  pod("leaving", "10.42.0.4");
  world.change(pods, "x/leaving", { metadata: { deletionTimestamp: world.time() } });
  world.settle([controller]);
  expect(found()?.subsets).toMatchObject([
    {
      addresses: [{ ip: "10.42.0.1", nodeName: "n1" }, { ip: "10.42.0.2" }],
      notReadyAddresses: [{ ip: "10.42.0.3" }],
      ports: [{ port: 8080, protocol: "TCP" }],
    },
  ]);
  expect(found()?.metadata.labels).toMatchObject({
    team: "a",
    "endpointslice.kubernetes.io/skip-mirror": "true",
  });
});

test("an unchanged state writes nothing, a changed one once", () => {
  service();
  pod("a", "10.42.0.1");
  world.settle([controller]);
  const { writes } = world;
  expect(world.settle([controller])).toBe(0);
  pod("a", "10.42.0.1", false);
  world.settle([controller]);
  expect(world.writes - writes).toBe(1);
  world.remove(pods, "x/a");
  world.settle([controller]);
  expect(found()?.subsets ?? []).toEqual([]);
});

test("past a thousand addresses it is cut, and says so", () => {
  service();
  for (let i = 0; i < 1010; i++) pod(`p${i}`, `10.${i >> 8}.0.${i & 255}`, i % 2 === 0);
  world.settle([controller]);
  const [subset] = found()?.subsets ?? [];
  expect(subset?.addresses).toHaveLength(505);
  expect(subset?.notReadyAddresses).toHaveLength(495);
  expect(found()?.metadata.annotations?.["endpoints.kubernetes.io/over-capacity"]).toBe(
    "truncated",
  );
  for (let i = 0; i < 20; i++) world.remove(pods, `x/p${i}`);
  world.settle([controller]);
  expect(found()?.metadata.annotations?.["endpoints.kubernetes.io/over-capacity"]).toBeUndefined();
});

test("they go with their Service, but those made by hand stay", () => {
  service();
  world.settle([controller]);
  world.put(endpoints, { metadata: { namespace: "x", name: "by-hand" } });
  world.remove(services, "x/web");
  for (const key of ["x/web", "x/by-hand"]) world.run(controller, key);
  expect(found()).toBeUndefined();
  expect(world.get(endpoints, "x/by-hand")).toBeDefined();
});
