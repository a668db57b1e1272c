/** Nodes, pods and clusters for tests of the scheduler. */
import type { Stored } from "#resources/meta.ts";
import type { Node, Pod, PodSpec } from "#resources/types.gen.ts";
import { schedule } from "#scheduler/plan.ts";
import { ClusterState } from "#scheduler/state.ts";

export interface NodeInput {
  cpu?: string;
  pods?: string;
  labels?: Record<string, string>;
  taints?: Array<{ key: string; effect: string; value?: string }>;
  unschedulable?: boolean;
  /** More resources. */
  more?: Record<string, string>;
  images?: Array<{ names: string[]; sizeBytes: number }>;
}

const CREATED = "2026-01-01T00:00:00Z";

export function node(name: string, input: NodeInput = {}): Stored<Node> {
  const labels = { "kubernetes.io/hostname": name, ...input.labels };
  const { cpu = "2", pods = "110", more, images = [] } = input;
  return {
    metadata: { name, uid: name, resourceVersion: "1", creationTimestamp: CREATED, labels },
    spec: { unschedulable: input.unschedulable ?? false, taints: input.taints ?? [] },
    status: { allocatable: { cpu, memory: "2Gi", pods, ...more }, images },
  };
}

export interface PodMore {
  labels?: Record<string, string>;
  namespace?: string;
  meta?: Partial<Pod["metadata"]>;
  status?: Pod["status"];
}

export function pod(name: string, spec: Partial<PodSpec> = {}, more: PodMore = {}): Stored<Pod> {
  const { labels = {}, namespace = "default", meta, status } = more;
  const fixed = { uid: name, resourceVersion: "1", creationTimestamp: CREATED };
  return {
    metadata: { name, namespace, ...fixed, labels, ...meta },
    spec: { containers: [{ name: "c", image: "i" }], ...spec },
    ...(status && { status }),
  };
}

export const asking = (cpu: string, more: Record<string, string> = {}): Partial<PodSpec> => ({
  containers: [{ name: "c", image: "i", resources: { requests: { cpu, ...more } } }],
});

export function cluster(
  nodes: readonly Stored<Node>[],
  pods: ReadonlyArray<readonly [Stored<Pod>, string]> = [],
): ClusterState {
  const state = new ClusterState();
  for (const one of nodes) state.setNode(one.metadata.name, one);
  for (const [one, nodeName] of pods) state.assume(one, nodeName);
  return state;
}

/** The node's name, or why there is none. */
export function placed(one: Stored<Pod>, state: ClusterState, random = 0): string {
  const decision = schedule(one, state, { random });
  return decision.fits ? decision.nodeName : decision.message;
}

/** Everything that the state counts, to see that nothing was left behind. */
export function snapshot(state: ClusterState): unknown {
  const sorted = (map: ReadonlyMap<string, unknown>) =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    nodes: sorted(state.nodes).map(([name]) => {
      const one = state.nodes.get(name);
      return {
        name,
        requested: Object.entries(one?.requested ?? {}).filter(([, amount]) => amount !== 0),
        nonzero: { ...one?.nonzero },
        pods: [...(one?.pods.keys() ?? [])].sort(),
        ports: sorted(one?.ports ?? new Map()),
      };
    }),
    kins: [...state.kins.all]
      .map((kin) =>
        JSON.stringify([kin.namespace, kin.labels, sorted(kin.staying), sorted(kin.leaving)]),
      )
      .sort(),
    siblings: sorted(state.siblings).map(([uid, counts]) => [
      uid,
      sorted(counts as Map<string, number>),
    ]),
    claims: sorted(state.claimUsers).map(([key, users]) => [
      key,
      [...(users as Set<string>)].sort(),
    ]),
  };
}
