import { expect, test } from "bun:test";
import { serviceAccountController as controller } from "#controllers/serviceaccount/controller.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { serviceAccounts } from "#resources/kinds/serviceaccount.ts";
import { World } from "#test/support/world.ts";

test("each namespace gets one default account, again after it was deleted", () => {
  const world = new World();
  world.put(namespaces, { metadata: { name: "x" } });
  world.settle([controller]);
  expect(world.writes).toBe(1);
  world.remove(serviceAccounts, "x/default");
  world.settle([controller]);
  expect(world.get(serviceAccounts, "x/default")).toBeDefined();
});

test("a namespace that goes gets none", () => {
  const world = new World();
  world.put(namespaces, { metadata: { name: "x", deletionTimestamp: world.time() } });
  world.settle([controller]);
  expect(world.writes).toBe(0);
});
