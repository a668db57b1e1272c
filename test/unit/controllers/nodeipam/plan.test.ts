import { expect, test } from "bun:test";
import fc from "fast-check";
import { nodeIpamController } from "#controllers/nodeipam/controller.ts";
import { nodes } from "#resources/kinds/node.ts";
import { tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

const cidrs = (world: World) => world.list(nodes).map((node) => node.spec?.podCIDR);
const settle = (world: World, cidr = "10.42.0.0/16") => world.run(nodeIpamController(cidr), "all");

test("nodes get the first free ranges, in both fields", () => {
  const world = new World();
  world.put(nodes, { metadata: { name: "a" }, spec: { podCIDR: "10.42.1.0/24" } });
  for (const name of ["b", "c"]) world.put(nodes, { metadata: { name } });
  settle(world);
  expect(cidrs(world)).toEqual(["10.42.1.0/24", "10.42.0.0/24", "10.42.2.0/24"]);
  expect(world.get(nodes, "c")?.spec?.podCIDRs).toEqual(["10.42.2.0/24"]);
  expect(settle(world)).toBe(0);
});

test("a range of another size is kept clear of", () => {
  const world = new World();
  world.put(nodes, { metadata: { name: "a" }, spec: { podCIDR: "10.42.0.0/22" } });
  world.put(nodes, { metadata: { name: "b" } });
  settle(world);
  expect(world.get(nodes, "b")?.spec?.podCIDR).toBe("10.42.4.0/24");
});

test("with two ranges each node gets one of each family", () => {
  const world = new World();
  world.put(nodes, {
    metadata: { name: "a" },
    spec: { podCIDR: "10.42.0.0/24", podCIDRs: ["10.42.0.0/24", "fd00:42::/64"] },
  });
  for (const name of ["b", "c"]) world.put(nodes, { metadata: { name } });
  settle(world, "10.42.0.0/16,fd00:42::/56");
  expect(world.get(nodes, "b")?.spec?.podCIDRs).toEqual(["10.42.1.0/24", "fd00:42:0:1::/64"]);
  expect(world.get(nodes, "c")?.spec).toMatchObject({
    podCIDR: "10.42.2.0/24",
    podCIDRs: ["10.42.2.0/24", "fd00:42:0:2::/64"],
  });
});

test("when none is left the node is told so", () => {
  const world = new World();
  for (const name of ["a", "b", "c"]) world.put(nodes, { metadata: { name } });
  settle(world, "10.42.0.0/23");
  expect(cidrs(world)).toEqual(["10.42.0.0/24", "10.42.1.0/24", undefined]);
  expect(world.events[0]).toContain("CIDRNotAvailable");
});

test("property: whatever joins and leaves, no range is given twice", () => {
  const step = fc.record({ name: fc.integer({ min: 0, max: 30 }), joins: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const world = new World();
      for (const { name, joins } of steps) {
        if (!joins) world.remove(nodes, `n${name}`);
        else if (!world.get(nodes, `n${name}`))
          world.put(nodes, { metadata: { name: `n${name}` } });
        settle(world, "10.42.0.0/19");
        const given = cidrs(world);
        expect(new Set(given).size).toBe(given.length);
      }
    }),
    tries(50),
  );
});
