/**
 * Preemption: which pods of less priority must go so that a pod fits, on the node where that hurts
 * least (kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption).
 */
import type { Stored } from "#resources/meta.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { Pod, PodDisruptionBudget } from "#resources/types.gen.ts";
import { Check, type Refused } from "#scheduler/check.ts";
import type { PodFacts } from "#scheduler/facts.ts";
import { type Refusal, refusal } from "#scheduler/filters.ts";
import type { NodeState } from "#scheduler/node.ts";
import type { ClusterState } from "#scheduler/state.ts";
import { noneAvailable, reasonsOf } from "#scheduler/wording.ts";

type Budget = Stored<PodDisruptionBudget>;

export interface Preemption {
  nodeName: string;
  /** The most important first. */
  victims: PodFacts[];
}

export interface NoPreemption {
  /** Follows the message of the filters. */
  message: string;
  /** A nomination of before is of no use any more. */
  clear: boolean;
}

export interface PreemptOptions {
  refused: ReadonlyMap<string, Refused>;
  budgets: readonly Budget[];
  /** In [0, 1): where to start where there are more nodes than are tried. */
  random: number;
}

interface Candidate extends Preemption {
  node: NodeState;
  violations: number;
}

/** Nodes tried in full: a tenth of them, at least this many. */
const CANDIDATES_MIN = 100;
const PRIORITY_OFFSET = 2 ** 31;

const NO_VICTIMS = refusal("No preemption victims found for incoming pod", true);
const NOT_HELPFUL = "Preemption is not helpful for scheduling";

const startOf = ({ pod }: PodFacts): string =>
  pod.status?.startTime ?? pod.metadata.creationTimestamp;

/** Higher priority first, then whoever has run longer. */
function byImportance(a: PodFacts, b: PodFacts): number {
  if (a.priority !== b.priority) return b.priority - a.priority;
  return startOf(a) < startOf(b) ? -1 : startOf(a) > startOf(b) ? 1 : 0;
}

/** Victims whose eviction a budget does not allow, apart from the others; both keep their order. */
function byBudget(
  pods: readonly PodFacts[],
  budgets: readonly Budget[],
): { violating: PodFacts[]; free: PodFacts[] } {
  const left = budgets.map((budget) => ({
    budget,
    matches: matchLabelSelector(budget.spec?.selector),
    allowed: budget.status?.disruptionsAllowed ?? 0,
  }));
  const violating: PodFacts[] = [];
  const free: PodFacts[] = [];
  for (const pod of pods) {
    let violates = false;
    for (const one of left) {
      const { metadata, spec, status } = one.budget;
      if (metadata.namespace !== pod.namespace || isEmpty(spec?.selector)) continue;
      if (Object.keys(pod.labels).length === 0 || !one.matches(pod.labels)) continue;
      // It is counted as disrupted already.
      if (status?.disruptedPods?.[pod.pod.metadata.name] !== undefined) continue;
      one.allowed -= 1;
      violates ||= one.allowed < 0;
    }
    (violates ? violating : free).push(pod);
  }
  return { violating, free };
}

const isEmpty = (selector: { matchLabels?: object; matchExpressions?: object } = {}): boolean =>
  Object.keys(selector.matchLabels ?? {}).length +
    Object.keys(selector.matchExpressions ?? {}).length ===
  0;

/** The fewest and least victims on one node. The state is as before afterwards. */
function victimsOn(
  check: Check,
  node: NodeState,
  cluster: ClusterState,
  budgets: readonly Budget[],
): Candidate | Refusal {
  const { pod } = check;
  const potential = [...node.pods.values()].filter(({ priority }) => priority < pod.priority);
  if (potential.length === 0) return NO_VICTIMS;
  const gone = new Set<PodFacts>();
  const take = (one: PodFacts): void => {
    cluster.withdraw(one.key);
    gone.add(one);
  };
  const giveBack = (one: PodFacts): void => {
    cluster.put(one, node.name);
    gone.delete(one);
  };
  for (const one of potential) take(one);
  try {
    const still = crowdedRefusal(check, node, cluster);
    if (still !== undefined) return still;
    const victims: PodFacts[] = [];
    const { violating, free } = byBudget(potential.sort(byImportance), budgets);
    let violations = 0;
    for (const [list, counts] of [
      [violating, 1],
      [free, 0],
    ] as const) {
      for (const one of list) {
        giveBack(one);
        if (crowdedRefusal(check, node, cluster) === undefined) continue;
        take(one);
        victims.push(one);
        violations += counts;
      }
    }
    return { node, nodeName: node.name, victims: victims.sort(byImportance), violations };
  } finally {
    for (const one of gone) cluster.put(one, node.name);
  }
}

/** As `Check.refusal`, on a state that was changed. */
function crowdedRefusal(check: Check, node: NodeState, cluster: ClusterState): Refusal | undefined {
  const guests: PodFacts[] = [];
  for (const other of cluster.nominatedOn(node.name)) {
    const stronger = other.priority >= check.pod.priority && other.key !== check.pod.key;
    if (stronger && cluster.nodeOf(other.key) === undefined) guests.push(other);
  }
  for (const guest of guests) cluster.put(guest, node.name);
  const crowded = check.again(node);
  for (const guest of guests) cluster.withdraw(guest.key);
  return crowded ?? (guests.length > 0 ? check.again(node) : undefined);
}

/** Smallest first: violated budgets, highest victim, sum of priorities, number, latest start. */
function rank({ violations, victims }: Candidate): Array<number | string> {
  const highest = victims[0]?.priority ?? 0;
  const sum = victims.reduce((total, { priority }) => total + priority + PRIORITY_OFFSET, 0);
  return [violations, highest, sum, victims.length];
}

function earliestStart({ victims }: Candidate): string {
  const highest = victims[0]?.priority;
  const starts = victims.filter(({ priority }) => priority === highest).map(startOf);
  return starts.sort()[0] ?? "";
}

function lessHarm(a: Candidate, b: Candidate): boolean {
  const left = rank(a);
  const right = rank(b);
  for (let i = 0; i < left.length; i++) {
    const [x, y] = [left[i] ?? 0, right[i] ?? 0];
    if (x !== y) return x < y;
  }
  return earliestStart(a) > earliestStart(b);
}

/** Victims of an earlier preemption for this pod have not left yet. */
function victimsStillLeave(pod: PodFacts, cluster: ClusterState, options: PreemptOptions): boolean {
  const nodeName = cluster.nominationOf(pod.key);
  const node = cluster.nodes.get(nodeName ?? "");
  if (node === undefined || options.refused.get(node.name)?.final) return false;
  return [...node.pods.values()].some(
    (other) => other.priority < pod.priority && isPreempted(other.pod),
  );
}

function isPreempted({ metadata, status }: Stored<Pod>): boolean {
  if (metadata.deletionTimestamp === undefined) return false;
  const target = status?.conditions?.find(({ type }) => type === "DisruptionTarget");
  return target?.status === "True" && target.reason === "PreemptionByScheduler";
}

export function preempt(
  pod: PodFacts,
  cluster: ClusterState,
  options: PreemptOptions,
): Preemption | NoPreemption {
  const words = (text: string, clear = false): NoPreemption => ({
    message: `preemption: ${text}`,
    clear,
  });
  if (pod.pod.spec?.preemptionPolicy === "Never") {
    return words("not eligible due to preemptionPolicy=Never.");
  }
  if (victimsStillLeave(pod, cluster, options)) {
    return words("not eligible due to a terminating pod on the nominated node.");
  }
  const nodes = cluster.live();
  const open = nodes.filter(({ name }) => options.refused.get(name)?.final === false);
  const most = Math.max(CANDIDATES_MIN, Math.floor(open.length / 10));
  const check = new Check(pod, cluster);
  const refusals: Refusal[] = [];
  const found: Candidate[] = [];
  const from = Math.floor(options.random * open.length);
  for (let i = 0; i < open.length && found.length < most; i++) {
    const node = open[(from + i) % open.length];
    if (node === undefined) break;
    const result = victimsOn(check, node, cluster, options.budgets);
    if ("victims" in result) found.push(result);
    else refusals.push(result);
  }
  const [first, ...others] = found;
  if (first === undefined) {
    const reasons = reasonsOf(refusals);
    const rest = nodes.length - refusals.length;
    if (rest > 0) reasons.set(NOT_HELPFUL, rest);
    return words(noneAvailable(nodes.length, reasons), true);
  }
  const { nodeName, victims } = others.reduce(
    (best, one) => (lessHarm(one, best) ? one : best),
    first,
  );
  return { nodeName, victims };
}

/** Whether the pod could go to this node if every lesser pod left it. */
export function couldFit(pod: PodFacts, cluster: ClusterState, nodeName: string): boolean {
  const node = cluster.nodes.get(nodeName);
  if (node?.node === undefined) return false;
  const check = new Check(pod, cluster);
  if (check.stop !== undefined) return false;
  const refused = check.refusal(node);
  if (refused === undefined || refused.final) return refused === undefined;
  if (pod.pod.spec?.preemptionPolicy === "Never") return false;
  const lesser = [...node.pods.values()].filter(({ priority }) => priority < pod.priority);
  if (lesser.length === 0) return false;
  for (const one of lesser) cluster.withdraw(one.key);
  const still = crowdedRefusal(check, node, cluster);
  for (const one of lesser) cluster.put(one, node.name);
  return still === undefined;
}
