import { expect, test } from "bun:test";
import { rootCaController } from "#controllers/rootca/controller.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { World } from "#test/support/world.ts";

test("each namespace holds the CA, put right when it is changed or renewed", () => {
  const world = new World();
  const key = "x/kube-root-ca.crt";
  world.put(namespaces, { metadata: { name: "x" } });
  world.settle([rootCaController("one")]);
  expect(world.get(configMaps, key)?.data).toEqual({ "ca.crt": "one" });
  world.change(configMaps, key, { data: { "ca.crt": "forged", more: "x" } });
  world.settle([rootCaController("one")]);
  expect(world.get(configMaps, key)?.data).toEqual({ "ca.crt": "one" });
  const { writes } = world;
  world.settle([rootCaController("one")]);
  expect(world.writes).toBe(writes);
  world.settle([rootCaController("two")]);
  expect(world.get(configMaps, key)?.data).toEqual({ "ca.crt": "two" });
});

test("a namespace that goes is left alone", () => {
  const world = new World();
  world.put(namespaces, { metadata: { name: "x", deletionTimestamp: world.time() } });
  world.settle([rootCaController("one")]);
  expect(world.writes).toBe(0);
});
