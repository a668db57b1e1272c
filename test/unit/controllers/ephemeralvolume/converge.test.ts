import { expect } from "bun:test";
import fc from "fast-check";
import { isTerminal } from "#controllers/common/pods.ts";
import { ephemeralController } from "#controllers/ephemeralvolume/controller.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { controllerOf } from "#resources/meta.ts";
import { anyPod, putPod } from "#test/support/anypod.ts";
import { converges } from "#test/support/converge.ts";

const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };

converges("each pod gets the claims of its volumes once, and nothing of others is touched", {
  any: fc.record({
    pods: fc.array(fc.record({ pod: anyPod, volumes: fc.integer({ min: 0, max: 3 }) }), {
      maxLength: 4,
    }),
    foreign: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
  }),
  build(world, value) {
    for (const [i, { pod, volumes }] of value.pods.entries()) {
      const made = Array.from({ length: volumes }, (_, j) => ({
        name: `v${j}`,
        ephemeral: { volumeClaimTemplate: { spec } },
      }));
      putPod(world, `p${i}`, pod, { spec: { containers: [], volumes: made } });
    }
    for (const i of value.foreign)
      world.put(persistentVolumeClaims, { metadata: { namespace: "x", name: `p${i}-v0` }, spec });
    return [ephemeralController];
  },
  always: (_, __, action) => expect(["create", "event"]).toContain(action.do),
  rest(world, { foreign }) {
    for (const pod of world.list(pods)) {
      if (isTerminal(pod) || pod.metadata.deletionTimestamp) continue;
      for (const { name } of pod.spec?.volumes ?? []) {
        const claim = world.get(persistentVolumeClaims, `x/${pod.metadata.name}-${name}`);
        const mine = claim && controllerOf(claim)?.uid === pod.metadata.uid;
        const taken = name === "v0" && foreign.includes(Number(pod.metadata.name.slice(1)));
        expect([pod.metadata.name, name, mine]).toEqual([pod.metadata.name, name, !taken]);
      }
    }
  },
  roundsMax: 1,
});
