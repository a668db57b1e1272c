/** All filters for one pod, prepared once: does it fit a node, and if not, why. */
import type { PodFacts } from "#scheduler/facts.ts";
import {
  type Filter,
  filters,
  type NodeTest,
  type Refusal,
  type Stop,
} from "#scheduler/filters.ts";
import type { NodeState } from "#scheduler/node.ts";
import type { ClusterState } from "#scheduler/state.ts";

export interface Refused extends Refusal {
  readonly filter: Filter;
}

const NOBODY: readonly PodFacts[] = [];

type Prepared = { filter: Filter; test: NodeTest };

export class Check {
  readonly pod: PodFacts;
  /** Why no node at all is a choice. */
  readonly stop: (Stop & { filter: Filter }) | undefined;
  readonly #cluster: ClusterState;
  readonly #tests: Prepared[] = [];
  readonly #local: Prepared[];

  constructor(pod: PodFacts, cluster: ClusterState) {
    this.pod = pod;
    this.#cluster = cluster;
    let stop: (Stop & { filter: Filter }) | undefined;
    for (const filter of filters) {
      const made = filter.prepare(pod, cluster);
      if (made === undefined) continue;
      if (typeof made === "function") this.#tests.push({ filter, test: made });
      else stop ??= { ...made, filter };
    }
    this.stop = stop;
    this.#local = this.#tests.filter(({ filter }) => !filter.global);
  }

  /**
   * Why the pod cannot be on the node, counting who waits for room there with the same right or
   * more.
   */
  refusal(node: NodeState): Refused | undefined {
    const cluster = this.#cluster;
    let guests: readonly PodFacts[] = NOBODY;
    for (const other of cluster.nominatedOn(node.name)) {
      const stronger = other.priority >= this.pod.priority && other.key !== this.pod.key;
      if (stronger && cluster.nodeOf(other.key) === undefined) guests = [...guests, other];
    }
    if (guests.length === 0) return run(this.#tests, node);
    for (const guest of guests) cluster.put(guest, node.name);
    const crowded = this.again(node);
    for (const guest of guests) cluster.withdraw(guest.key);
    return crowded ?? run(this.#tests, node);
  }

  /**
   * As `refusal`, after pods were put to or taken from the cluster: what looks at others looks
   * again.
   */
  again(node: NodeState): Refused | undefined {
    const near = run(this.#local, node);
    if (near !== undefined) return near;
    for (const filter of filters) {
      if (!filter.global) continue;
      const test = filter.prepare(this.pod, this.#cluster);
      if (typeof test !== "function") continue;
      const refused = test(node);
      if (refused !== undefined) return { ...refused, filter };
    }
    return undefined;
  }
}

function run(tests: readonly Prepared[], node: NodeState): Refused | undefined {
  for (const { filter, test } of tests) {
    const refused = test(node);
    if (refused !== undefined) return { ...refused, filter };
  }
  return undefined;
}
