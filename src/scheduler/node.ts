/** One node as the scheduler counts it. */
import type { Stored } from "#resources/meta.ts";
import { type Amounts, amounts } from "#resources/podrequests.ts";
import type { Node, Taint } from "#resources/types.gen.ts";
import type { PodFacts } from "#scheduler/facts.ts";

const NO_LABELS: Readonly<Record<string, string>> = {};
const NO_TAINTS: readonly Taint[] = [];

export class NodeState {
  readonly name: string;
  node: Stored<Node> | undefined;
  labels: Readonly<Record<string, string>> = NO_LABELS;
  taints: readonly Taint[] = NO_TAINTS;
  allocatable: Amounts = {};
  /** Images that are there already: name to bytes. */
  images: ReadonlyMap<string, number> = new Map();
  readonly requested: Amounts = {};
  readonly nonzero = { cpu: 0, memory: 0 };
  readonly pods = new Map<string, PodFacts>();
  readonly ports = new Map<string, number>();

  constructor(name: string) {
    this.name = name;
  }

  setNode(node: Stored<Node> | undefined): void {
    const before = this.node;
    this.node = node;
    this.labels = node?.metadata.labels ?? NO_LABELS;
    this.taints = node?.spec?.taints ?? NO_TAINTS;
    this.allocatable = amounts(node?.status?.allocatable ?? node?.status?.capacity);
    if (before?.status?.images !== node?.status?.images) this.images = imagesOf(node);
  }

  add(facts: PodFacts): void {
    this.remove(facts.key);
    this.pods.set(facts.key, facts);
    this.#count(facts, 1);
  }

  remove(key: string): void {
    const facts = this.pods.get(key);
    if (facts === undefined) return;
    this.pods.delete(key);
    this.#count(facts, -1);
  }

  #count(facts: PodFacts, sign: 1 | -1): void {
    for (const name in facts.requests) {
      this.requested[name] = (this.requested[name] ?? 0) + sign * (facts.requests[name] ?? 0);
    }
    this.nonzero.cpu += sign * facts.nonzero.cpu;
    this.nonzero.memory += sign * facts.nonzero.memory;
    for (const port of facts.ports) {
      const uses = (this.ports.get(port) ?? 0) + sign;
      if (uses > 0) this.ports.set(port, uses);
      else this.ports.delete(port);
    }
  }
}

function imagesOf(node: Stored<Node> | undefined): Map<string, number> {
  const out = new Map<string, number>();
  for (const { names, sizeBytes = 0 } of node?.status?.images ?? []) {
    for (const name of names ?? []) out.set(name, sizeBytes);
  }
  return out;
}
