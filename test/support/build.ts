/** Test objects with what a test does not care about filled in. */

import { pods } from "#resources/kinds/pod.ts";
import type { Deployment, Pod, PodTemplateSpec, ReplicaSet } from "#resources/types.gen.ts";
import type { World } from "#test/support/world.ts";

export function template(
  image = "web:1",
  labels: Record<string, string> = { app: "web" },
): PodTemplateSpec {
  return { metadata: { labels }, spec: { containers: [{ name: "main", image }] } };
}

export function deployment(spec: Partial<Deployment["spec"]> = {}, name = "web"): Deployment {
  return {
    metadata: { namespace: "x", name },
    spec: { replicas: 3, selector: { matchLabels: { app: "web" } }, template: template(), ...spec },
  };
}

export function replicaSet(replicas: number, more: Partial<ReplicaSet["spec"]> = {}): ReplicaSet {
  return {
    metadata: { namespace: "x", name: "web-1" },
    spec: { replicas, selector: { matchLabels: { app: "web" } }, template: template(), ...more },
  };
}

export interface PodState {
  ready?: boolean;
  phase?: string;
  node?: string;
  readyAt?: string;
  restarts?: number;
}

/** The status of a pod as its node reports it. */
export function podStatus(world: World, state: PodState): Pod["status"] {
  const { ready = false, phase = "Running", readyAt, restarts } = state;
  return {
    phase,
    conditions: [
      {
        type: "Ready",
        status: ready ? "True" : "False",
        lastTransitionTime: readyAt ?? world.time(),
      },
    ],
    ...(restarts !== undefined && {
      containerStatuses: [{ name: "main", image: "", imageID: "", ready, restartCount: restarts }],
    }),
  };
}

/** Lets a pod run (and be ready) as a node would. */
export function runPod(world: World, key: string, state: PodState = { ready: true }): void {
  const node = state.node === undefined ? {} : { spec: { nodeName: state.node } };
  world.change(pods, key, { ...node, status: podStatus(world, state) });
}
