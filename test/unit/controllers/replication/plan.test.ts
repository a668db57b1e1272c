import { expect, test } from "bun:test";
import { replicationController as controller } from "#controllers/replication/controller.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicationControllers } from "#resources/kinds/replicationcontroller.ts";
import { controllerOf, keyOf } from "#resources/meta.ts";
import { runPod, template } from "#test/support/build.ts";
import { World } from "#test/support/world.ts";

test("pods are made, counted and taken away as of a ReplicaSet", () => {
  const world = new World();
  const selector = { app: "web" };
  world.put(replicationControllers, {
    metadata: { namespace: "x", name: "rc" },
    spec: { replicas: 3, selector, template: template() },
  });
  world.settle([controller]);
  expect(world.list(pods)).toHaveLength(3);
  expect(controllerOf(world.list(pods)[0] ?? {})?.kind).toBe("ReplicationController");
  for (const pod of world.list(pods)) runPod(world, keyOf(pod));
  world.change(replicationControllers, "x/rc", { spec: { replicas: 1 } });
  world.settle([controller]);
  expect(world.list(pods)).toHaveLength(1);
  expect(world.get(replicationControllers, "x/rc")?.status).toMatchObject({
    replicas: 1,
    readyReplicas: 1,
    availableReplicas: 1,
  });
});

test("an empty selector takes nothing", () => {
  const world = new World();
  world.put(pods, { metadata: { namespace: "x", name: "bare" } });
  world.put(replicationControllers, {
    metadata: { namespace: "x", name: "rc" },
    spec: { replicas: 0, selector: { app: "web" }, template: template() },
  });
  world.settle([controller]);
  expect(controllerOf(world.get(pods, "x/bare") ?? {})).toBeUndefined();
});
