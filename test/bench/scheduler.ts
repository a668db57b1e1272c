/**
 * How fast the scheduler decides, without any API: pods placed one after the other on an empty
 * cluster, and what one changed pod costs, however many others there are.
 *
 *   bun test/bench/scheduler.ts [NODES] [PODS]        default 200 nodes, 6000 pods
 */
import type { Stored } from "#resources/meta.ts";
import type { Pod, PodSpec } from "#resources/types.gen.ts";
import { factsOf } from "#scheduler/facts.ts";
import { schedule } from "#scheduler/plan.ts";
import { preempt } from "#scheduler/preempt.ts";
import type { ClusterState } from "#scheduler/state.ts";
import { asking, cluster, node, pod } from "#test/support/scheduling.ts";

const [NODES, PODS] = [Number(process.argv[2] ?? 200), Number(process.argv[3] ?? 6000)];
const SETS = 10;

const labelSelector = { matchLabels: { app: "a0" } };
const spread = (topologyKey: string, whenUnsatisfiable: string): Partial<PodSpec> => ({
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey, whenUnsatisfiable, labelSelector }],
});
const podAffinityTerm = { topologyKey: "kubernetes.io/hostname", labelSelector };
const shapes: Record<string, Partial<PodSpec>> = {
  plain: {},
  "zones, as a wish": spread("zone", "ScheduleAnyway"),
  "nodes, as a must": spread("kubernetes.io/hostname", "DoNotSchedule"),
  "apart, as a wish": {
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm }],
      },
    },
  },
};

function emptyCluster(nodes: number): ClusterState {
  const more = { memory: "256Gi" };
  return cluster(
    Array.from({ length: nodes }, (_, i) =>
      node(`n${i}`, { cpu: "64", pods: "500", more, labels: { zone: `z${i % 3}` } }),
    ),
  );
}

function member(i: number, shape: Partial<PodSpec>): Stored<Pod> {
  const set = `s${i % SETS}`;
  const owner = { apiVersion: "apps/v1", kind: "ReplicaSet", name: set, uid: set };
  return pod(
    `p${i}`,
    { ...asking("100m"), ...shape },
    {
      labels: { app: `a${i % SETS}`, "pod-template-hash": set },
      meta: { ownerReferences: [{ ...owner, controller: true }], generation: 1 },
    },
  );
}

function place(state: ClusterState, pods: readonly Stored<Pod>[]): void {
  let from = 0;
  for (const one of pods) {
    const decision = schedule(one, state, { random: Math.random(), from });
    if (!decision.fits) throw new Error(decision.message);
    from = (from + decision.looked) % NODES;
    state.assume(one, decision.nodeName);
  }
}

const row = (what: string, text: string) => console.log(`${what.padEnd(28)} ${text}`);

for (const [name, shape] of Object.entries(shapes)) {
  const state = emptyCluster(NODES);
  const pods = Array.from({ length: PODS }, (_, i) => member(i, shape));
  const started = performance.now();
  place(state, pods);
  const seconds = (performance.now() - started) / 1000;
  const counts = state.live().map(({ pods: there }) => there.size);
  const range = `${Math.min(...counts)} to ${Math.max(...counts)} a node`;
  row(name, `${Math.round(PODS / seconds)} pods/s, ${range}`);
  if (name !== "plain") continue;
  const big = pod("big", { ...asking("64"), priority: 5 });
  const before = performance.now();
  const decision = schedule(big, state, { random: 0 });
  if (decision.fits) continue;
  const { refused } = decision;
  const result = preempt(factsOf(big), state, { refused, budgets: [], random: 0 });
  const victims = "victims" in result ? result.victims.length : 0;
  row("preemption", `${(performance.now() - before).toFixed(0)} ms, ${victims} victims`);
}

for (const count of [100, 10_000]) {
  const state = emptyCluster(NODES);
  const pods = Array.from({ length: count }, (_, i) => member(i, {}));
  for (const [i, one] of pods.entries()) state.assume(one, `n${i % NODES}`);
  const rounds = 20_000;
  const started = performance.now();
  for (let i = 0; i < rounds; i++) {
    const at = i % count;
    const one = pods[at] as Stored<Pod>;
    const metadata = { ...one.metadata, generation: i + 2 };
    state.setPod(`default/p${at}`, {
      ...one,
      metadata,
      spec: { ...one.spec, containers: one.spec?.containers ?? [], nodeName: `n${at % NODES}` },
    });
  }
  const micros = ((performance.now() - started) * 1000) / rounds;
  row(`one changed pod of ${count}`, `${micros.toFixed(1)} us`);
}
