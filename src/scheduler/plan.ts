/** Where a pod goes, or why it can't: filters, then scores, then one of the best. */
import type { Stored } from "#resources/meta.ts";
import type { NodeSelectorTerm, Pod } from "#resources/types.gen.ts";
import { Check, type Refused } from "#scheduler/check.ts";
import { factsOf, type PodFacts } from "#scheduler/facts.ts";
import type { Filter } from "#scheduler/filters.ts";
import type { NodeState } from "#scheduler/node.ts";
import { defaultProfile, type Profile } from "#scheduler/profiles.ts";
import type { NodeScore, Score } from "#scheduler/scores.ts";
import type { ClusterState } from "#scheduler/state.ts";
import { podClaims, type VolumeWork, volumeWork } from "#scheduler/storage.ts";
import { noneAvailable, outsideReason, reasonsOf } from "#scheduler/wording.ts";

export interface Placed {
  fits: true;
  nodeName: string;
  /** To be done for the pod's volumes before it is bound. */
  volumes: VolumeWork | undefined;
  /** Nodes looked at: the next pod starts behind them. */
  looked: number;
}

export interface Unplaced {
  fits: false;
  /** In upstream's words: `0/3 nodes are available: 3 Insufficient cpu.` */
  message: string;
  /** Filters that refused: what they are woken by can change the answer. */
  filters: ReadonlySet<Filter>;
  /** Node to refusal, for preemption. */
  refused: ReadonlyMap<string, Refused>;
}

export interface ScheduleOptions {
  /** In [0, 1): chooses among equals. */
  random: number;
  /** Index of the first node to look at. */
  from?: number;
  profile?: Profile;
}

/** With fewer nodes than this that fit, all are looked at (upstream's minFeasibleNodesToFind). */
const FEASIBLE_MIN = 100;

/**
 * How many fitting nodes are enough to choose from: a tenth. Upstream begins with half of them and
 * falls to 5 %; each pod starts where the last one ended, so pods spread as well, and at 1,000
 * nodes a pod costs a third.
 */
const enough = (total: number): number =>
  Math.min(total, Math.max(FEASIBLE_MIN, Math.floor(total / 10)));

const namedBy = (term: NodeSelectorTerm): readonly string[] | undefined =>
  term.matchFields?.find(({ key, operator }) => key === "metadata.name" && operator === "In")
    ?.values;

/** The nodes that the pod's own affinity names (a daemon's does): no other needs a look. */
function namedNodes({ pod }: PodFacts, cluster: ClusterState): NodeState[] | undefined {
  const needed = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const terms = needed?.nodeSelectorTerms ?? [];
  if (terms.length === 0) return undefined;
  const names = new Set<string>();
  for (const term of terms) {
    const named = namedBy(term);
    if (named === undefined) return undefined;
    for (const name of named) names.add(name);
  }
  const nodes = [...names].map((name) => cluster.nodes.get(name));
  return nodes.filter((node): node is NodeState => node?.node !== undefined);
}

interface Search {
  fitting: NodeState[];
  refused: Map<string, Refused>;
}

function search(check: Check, nodes: readonly NodeState[], from: number): Search {
  const fitting: NodeState[] = [];
  const refused = new Map<string, Refused>();
  const most = enough(nodes.length);
  for (let i = 0; i < nodes.length && fitting.length < most; i++) {
    const node = nodes[(from + i) % nodes.length];
    if (node === undefined) break;
    const why = check.refusal(node);
    if (why === undefined) fitting.push(node);
    else refused.set(node.name, why);
  }
  return { fitting, refused };
}

function scaled(scale: Score["scale"], raw: readonly number[]): readonly number[] {
  if (scale === "none") return raw;
  const high = Math.max(...raw);
  if (scale === "share") return high <= 0 ? raw : raw.map((value) => (100 * value) / high);
  if (scale === "reverse") {
    return raw.map((value) => (high <= 0 ? 100 : 100 - (100 * value) / high));
  }
  const low = Math.min(...raw);
  return raw.map((value) => (high === low ? 0 : (100 * (value - low)) / (high - low)));
}

/** The best node; `random` chooses among equals. */
function best(
  pod: PodFacts,
  nodes: readonly NodeState[],
  cluster: ClusterState,
  options: Required<Pick<ScheduleOptions, "random" | "profile">>,
): NodeState | undefined {
  if (nodes.length <= 1) return nodes[0];
  const sums = new Float64Array(nodes.length);
  for (const score of options.profile.scores) {
    const value: NodeScore | undefined = score.prepare(pod, cluster, nodes);
    if (value === undefined) continue;
    const points = scaled(score.scale, nodes.map(value));
    for (let i = 0; i < points.length; i++) {
      sums[i] = (sums[i] ?? 0) + score.weight * (points[i] ?? 0);
    }
  }
  const top = Math.max(...sums);
  const equals = nodes.filter((_, i) => (sums[i] ?? 0) >= top - 1e-9);
  return equals[Math.floor(options.random * equals.length)];
}

function workOn(pod: PodFacts, node: NodeState, cluster: ClusterState): VolumeWork | undefined {
  if (pod.claims.length === 0) return undefined;
  const claims = podClaims(pod.pod, cluster.storage);
  if (typeof claims === "string") return undefined;
  const work = volumeWork(claims, node, cluster.storage);
  const nothing = typeof work === "string" || work.bind.length + work.provision.length === 0;
  return nothing ? undefined : work;
}

function unplaced(check: Check, cluster: ClusterState, refused: Map<string, Refused>): Unplaced {
  const total = cluster.live().length;
  const by = new Set([...refused.values()].map(({ filter }) => filter));
  const { stop } = check;
  if (stop !== undefined) {
    const message = noneAvailable(total, stop.stop);
    return { fits: false, message, filters: new Set([stop.filter]), refused };
  }
  const outside = total - refused.size;
  const reasons = reasonsOf(refused.values());
  if (outside > 0) reasons.set(outsideReason("NodeAffinity"), outside);
  return { fits: false, message: noneAvailable(total, reasons), filters: by, refused };
}

/** Decides for one pod on the state as it is. Leaves the state as it was. */
export function schedule(
  pod: Stored<Pod> | PodFacts,
  cluster: ClusterState,
  options: ScheduleOptions,
): Placed | Unplaced {
  const facts = "kin" in pod ? pod : factsOf(pod);
  const { random, from = 0, profile = defaultProfile } = options;
  const check = new Check(facts, cluster);
  if (check.stop !== undefined) return unplaced(check, cluster, new Map());
  const place = (node: NodeState, looked: number): Placed => {
    const volumes = workOn(facts, node, cluster);
    return { fits: true, nodeName: node.name, volumes, looked };
  };
  const nominated = cluster.nodes.get(cluster.nominationOf(facts.key) ?? "");
  if (nominated?.node !== undefined && check.refusal(nominated) === undefined) {
    return place(nominated, 0);
  }
  const named = namedNodes(facts, cluster);
  const { fitting, refused } = search(check, named ?? cluster.live(), named ? 0 : from);
  const node = best(facts, fitting, cluster, { random, profile });
  if (node === undefined) return unplaced(check, cluster, refused);
  return place(node, fitting.length + refused.size);
}

/** Whether the pod could go to this one node now. */
export function fitsOn(pod: PodFacts, cluster: ClusterState, nodeName: string): boolean {
  const node = cluster.nodes.get(nodeName);
  if (node?.node === undefined) return false;
  const check = new Check(pod, cluster);
  return check.stop === undefined && check.refusal(node) === undefined;
}
