/** Pods in any state that an API can show, for property tests. */
import fc from "fast-check";
import { pods } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";
import { podStatus, template } from "#test/support/build.ts";
import type { World } from "#test/support/world.ts";

export interface AnyPod {
  phase: string;
  ready: boolean;
  /** Told to go. */
  goes: boolean;
  node: string | undefined;
  /** Of a ReplicaSet, so that it may run twice while nobody knows of it. */
  owned: boolean;
}

export const NODES = ["n1", "n2", "n3"] as const;

export const anyPod: fc.Arbitrary<AnyPod> = fc.record({
  phase: fc.constantFrom("Pending", "Running", "Running", "Failed", "Succeeded"),
  ready: fc.boolean(),
  goes: fc.boolean(),
  node: fc.constantFrom(undefined, ...NODES),
  owned: fc.boolean(),
});

const OWNER = { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "uid-web" };

export function putPod(world: World, name: string, state: AnyPod, more: Pod = {}): Stored<Pod> {
  const { goes, node, owned, phase, ready } = state;
  const number = Number(name.replace(/\D/g, "")) + 1;
  const podIP = `10.0.0.${number}`;
  return world.put(pods, {
    ...more,
    metadata: {
      namespace: "x",
      name,
      labels: { app: "web" },
      ...(goes && { deletionTimestamp: world.time() }),
      ...(owned && { ownerReferences: [{ ...OWNER, controller: true }] }),
      ...more.metadata,
    },
    spec: { containers: [], ...template().spec, ...(node && { nodeName: node }), ...more.spec },
    status: { ...podStatus(world, { phase, ready }), podIP, podIPs: [{ ip: podIP }] },
  });
}
