/**
 * Pods counted by kin (namespace, labels, pod affinity) and node. A selector is matched once a kin
 * instead of once a pod: the thousands of pods of a few sets cost as much as a few pods.
 */
import type { Affinity } from "#resources/types.gen.ts";
import { type PodFacts, podAffinityOf } from "#scheduler/facts.ts";

export interface Kin {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly affinity: Affinity | undefined;
  /** Pods by node; those being deleted apart, for spreading counts without them. */
  readonly staying: Map<string, number>;
  readonly leaving: Map<string, number>;
}

export class Kins {
  readonly #all = new Map<string, Kin>();
  /** Those with terms about other pods: asked for every new pod. */
  readonly withAffinity = new Set<Kin>();

  get all(): Iterable<Kin> {
    return this.#all.values();
  }

  add(facts: PodFacts, nodeName: string): void {
    let kin = this.#all.get(facts.kin);
    if (kin === undefined) {
      kin = {
        namespace: facts.namespace,
        labels: facts.labels,
        affinity: podAffinityOf(facts.pod),
        staying: new Map(),
        leaving: new Map(),
      };
      this.#all.set(facts.kin, kin);
      if (kin.affinity !== undefined) this.withAffinity.add(kin);
    }
    const counts = isLeaving(facts) ? kin.leaving : kin.staying;
    counts.set(nodeName, (counts.get(nodeName) ?? 0) + 1);
  }

  remove(facts: PodFacts, nodeName: string): void {
    const kin = this.#all.get(facts.kin);
    if (kin === undefined) return;
    const counts = isLeaving(facts) ? kin.leaving : kin.staying;
    const left = (counts.get(nodeName) ?? 0) - 1;
    if (left > 0) counts.set(nodeName, left);
    else counts.delete(nodeName);
    if (kin.staying.size + kin.leaving.size > 0) return;
    this.#all.delete(facts.kin);
    this.withAffinity.delete(kin);
  }
}

const isLeaving = ({ pod }: PodFacts): boolean => pod.metadata.deletionTimestamp !== undefined;
