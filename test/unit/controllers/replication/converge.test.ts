import { expect } from "bun:test";
import fc from "fast-check";
import { isActive } from "#controllers/common/pods.ts";
import { replicationController } from "#controllers/replication/controller.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicationControllers } from "#resources/kinds/replicationcontroller.ts";
import { controllerOf } from "#resources/meta.ts";
import { anyPod, putPod } from "#test/support/anypod.ts";
import { template } from "#test/support/build.ts";
import { converges } from "#test/support/converge.ts";

converges("there are as many pods as asked for, and none of others is taken", {
  any: fc.record({
    pods: fc.array(fc.record({ pod: anyPod, fits: fc.boolean() }), { maxLength: 10 }),
    replicas: fc.integer({ min: 0, max: 6 }),
  }),
  build(world, { pods: all, replicas }) {
    const { metadata } = world.put(replicationControllers, {
      metadata: { namespace: "x", name: "rc" },
      spec: { replicas, selector: { app: "web" }, template: template() },
    });
    for (const [i, { pod, fits }] of all.entries()) {
      const owner = { apiVersion: "v1", kind: "ReplicationController", controller: true };
      const mine = { ...owner, name: "rc", uid: metadata.uid };
      const more = { labels: { app: fits ? "web" : "other" } };
      putPod(
        world,
        `p${i}`,
        { ...pod, owned: false },
        {
          metadata: { ...more, ...(pod.owned && { ownerReferences: [mine] }) },
        },
      );
    }
    return [replicationController];
  },
  rest(world, { pods: all, replicas }) {
    const uid = world.get(replicationControllers, "x/rc")?.metadata.uid;
    const mine = world.list(pods).filter((one) => controllerOf(one)?.uid === uid);
    expect(mine.filter(isActive)).toHaveLength(replicas);
    expect(world.get(replicationControllers, "x/rc")?.status?.replicas).toBe(replicas);
    for (const [i, { fits, pod }] of all.entries()) {
      if (fits || pod.goes) continue;
      const other = world.get(pods, `x/p${i}`);
      // A pod whose labels were changed is let go of, and never deleted.
      expect(other && controllerOf(other)).toBeUndefined();
      expect(other).toBeDefined();
    }
  },
  roundsMax: 4,
});
