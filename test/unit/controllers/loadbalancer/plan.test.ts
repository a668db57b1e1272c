import { beforeEach, expect, test } from "bun:test";
import { loadBalancerController as controller } from "#controllers/loadbalancer/controller.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import type { Service } from "#resources/types.gen.ts";
import { World } from "#test/support/world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});

function node(name: string, address: string, more: { ready?: string; outer?: string } = {}): void {
  const { ready = "True", outer } = more;
  world.put(nodes, {
    metadata: { name },
    status: {
      conditions: [{ type: "Ready", status: ready }],
      addresses: [
        { type: "InternalIP", address },
        ...(outer === undefined ? [] : [{ type: "ExternalIP", address: outer }]),
      ],
    },
  });
}

const service = (spec: Partial<Service["spec"]> = {}) =>
  world.put(services, {
    metadata: { namespace: "x", name: "web" },
    spec: { type: "LoadBalancer", ipFamilies: ["IPv4"], ports: [{ port: 80 }], ...spec },
  });

function shown(): string[] {
  world.settle([controller]);
  const { ingress = [] } = world.get(services, "x/web")?.status?.loadBalancer ?? {};
  return ingress.map(({ ip }) => ip ?? "");
}

test("nodes that are well lend their addresses, the outer one where they have it", () => {
  node("a", "192.0.2.1");
  node("b", "192.0.2.2", { outer: "203.0.113.2" });
  node("c", "192.0.2.3", { ready: "Unknown" });
  node("d", "2001:db8::1");
  service();
  expect(shown()).toEqual(["192.0.2.1", "203.0.113.2"]);
});

test("an address stays in its place while its node is well", () => {
  node("b", "192.0.2.2");
  service();
  expect(shown()).toEqual(["192.0.2.2"]);
  node("a", "192.0.2.1");
  expect(shown()).toEqual(["192.0.2.2", "192.0.2.1"]);
  node("b", "192.0.2.2", { ready: "False" });
  expect(shown()).toEqual(["192.0.2.1"]);
});

test("a Service of another class is its owner's, one of another type has none", () => {
  node("a", "192.0.2.1");
  service({ loadBalancerClass: "example.com/lb" });
  expect(shown()).toEqual([]);
  service();
  expect(shown()).toHaveLength(1);
  world.change(services, "x/web", { spec: { type: "ClusterIP" } });
  expect(shown()).toEqual([]);
});
