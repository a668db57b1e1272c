import { beforeEach, expect, test } from "bun:test";
import { mirroringController as controller } from "#controllers/mirroring/controller.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { services } from "#resources/kinds/service.ts";
import type { Endpoints } from "#resources/types.gen.ts";
import { World } from "#test/support/world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});

const service = (selector: Record<string, string> = {}) =>
  world.put(services, {
    metadata: { namespace: "x", name: "db" },
    spec: { selector, ports: [{ port: 5432 }] },
  });

const put = (more: Partial<Endpoints> = {}) =>
  world.put(endpoints, {
    metadata: { namespace: "x", name: "db", labels: { team: "a" } },
    subsets: [
      {
        addresses: [{ ip: "192.0.2.1" }, { ip: "2001:db8::1" }],
        notReadyAddresses: [{ ip: "192.0.2.2" }],
        ports: [{ name: "sql", port: 5432, protocol: "TCP" }],
      },
    ],
    ...more,
  });

const slices = () => world.list(endpointSlices);

test("addresses by hand are shown by family, ready or not", () => {
  service();
  put();
  world.settle([controller]);
  const [four, six] = slices();
  expect(four).toMatchObject({
    addressType: "IPv4",
    ports: [{ name: "sql", port: 5432 }],
    endpoints: [
      { addresses: ["192.0.2.1"], conditions: { ready: true } },
      { addresses: ["192.0.2.2"], conditions: { ready: false } },
    ],
    metadata: {
      labels: {
        team: "a",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
      },
      ownerReferences: [{ kind: "Endpoints", name: "db" }],
    },
  });
  expect(six).toMatchObject({ addressType: "IPv6", endpoints: [{ addresses: ["2001:db8::1"] }] });
  expect(world.settle([controller])).toBe(0);
});

test("a change is one write, and what is mirrored goes with its source", () => {
  service();
  put();
  world.settle([controller]);
  const { writes } = world;
  put({
    subsets: [
      {
        addresses: [{ ip: "192.0.2.9" }, { ip: "2001:db8::1" }],
        ports: [{ name: "sql", port: 5432, protocol: "TCP" }],
      },
    ],
  });
  world.settle([controller]);
  expect(world.writes - writes).toBe(1);
  world.remove(endpoints, "x/db");
  world.run(controller, "x/db");
  expect(slices()).toEqual([]);
});

test("what others look after is left to them", () => {
  service({ app: "db" });
  put();
  world.settle([controller]);
  service();
  const skip = { "endpointslice.kubernetes.io/skip-mirror": "true" };
  put({ metadata: { namespace: "x", name: "db", labels: skip } });
  world.settle([controller]);
  world.remove(services, "x/db");
  put();
  world.settle([controller]);
  expect(slices()).toEqual([]);
});
