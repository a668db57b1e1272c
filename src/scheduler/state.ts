/**
 * What the scheduler knows of the cluster, kept up to date one change at a time: a changed pod
 * costs work for its own node and kin alone, however many there are.
 */
import { sameValue } from "#resources/equal.ts";
import { controllerOf, keyOf, type Stored } from "#resources/meta.ts";
import type { Node, Pod } from "#resources/types.gen.ts";
import { factsOf, isOver, type PodFacts } from "#scheduler/facts.ts";
import { Kins } from "#scheduler/kin.ts";
import { NodeState } from "#scheduler/node.ts";
import { NO_STORAGE, type StorageView } from "#scheduler/storage.ts";

export class ClusterState {
  readonly nodes = new Map<string, NodeState>();
  readonly kins = new Kins();
  /** Namespace to labels, for terms that choose namespaces. */
  readonly namespaces = new Map<string, Readonly<Record<string, string>>>();
  /** Pods that use a claim, by its key. */
  readonly claimUsers = new Map<string, Set<string>>();
  /** Pods of one controller by node: uid -> node -> count. */
  readonly siblings = new Map<string, Map<string, number>>();
  /** Nodes that hold an image. */
  readonly imageNodes = new Map<string, number>();
  /** Claims, volumes and classes, as the caches show them. */
  storage: StorageView = NO_STORAGE;
  /** Node of each placed pod, assumed ones too. */
  readonly #placed = new Map<string, string>();
  /** Pods that wait for victims to leave a node, by node. */
  readonly #nominated = new Map<string, Map<string, PodFacts>>();
  readonly #nominations = new Map<string, string>();
  #live: NodeState[] | undefined;

  #node(name: string): NodeState {
    let state = this.nodes.get(name);
    if (state === undefined) {
      state = new NodeState(name);
      this.nodes.set(name, state);
    }
    return state;
  }

  setNode(name: string, node: Stored<Node> | undefined): void {
    const state = this.#node(name);
    if ((state.node === undefined) !== (node === undefined)) this.#live = undefined;
    for (const image of state.images.keys()) count(this.imageNodes, image, -1);
    state.setNode(node);
    for (const image of state.images.keys()) count(this.imageNodes, image, 1);
    if (node === undefined && state.pods.size === 0) this.nodes.delete(name);
  }

  /** Nodes that exist as objects; others only hold pods whose node is gone. */
  live(): readonly NodeState[] {
    this.#live ??= [...this.nodes.values()].filter((node) => node.node !== undefined);
    return this.#live;
  }

  nodeOf(key: string): string | undefined {
    return this.#placed.get(key);
  }

  /**
   * Takes a pod as it is now; undefined: it is gone. Answers whether anything changed that counts.
   */
  setPod(key: string, pod: Stored<Pod> | undefined): boolean {
    const before = this.#placed.get(key);
    const nodeName = pod === undefined || isOver(pod) ? undefined : pod.spec?.nodeName;
    const known = before === undefined ? undefined : this.nodes.get(before)?.pods.get(key);
    if (pod !== undefined && known !== undefined && before === nodeName && alike(known.pod, pod)) {
      this.nodes.get(nodeName ?? "")?.pods.set(key, { ...known, pod });
      return false;
    }
    if (known !== undefined) this.withdraw(key);
    if (pod === undefined || !nodeName) return known !== undefined;
    this.nominate(key, undefined);
    this.put(factsOf(pod), nodeName);
    return true;
  }

  /** Counts a pod on a node. With `withdraw` the way to ask "what if". */
  put(facts: PodFacts, nodeName: string): void {
    this.#placed.set(facts.key, nodeName);
    this.#node(nodeName).add(facts);
    this.kins.add(facts, nodeName);
    this.#related(facts, nodeName, 1);
  }

  withdraw(key: string): PodFacts | undefined {
    const nodeName = this.#placed.get(key);
    if (nodeName === undefined) return undefined;
    this.#placed.delete(key);
    const state = this.nodes.get(nodeName);
    const facts = state?.pods.get(key);
    if (state === undefined || facts === undefined) return undefined;
    state.remove(key);
    this.kins.remove(facts, nodeName);
    this.#related(facts, nodeName, -1);
    if (state.node === undefined && state.pods.size === 0) this.nodes.delete(nodeName);
    return facts;
  }

  #related(facts: PodFacts, nodeName: string, sign: 1 | -1): void {
    const owner = controllerOf(facts.pod)?.uid;
    if (owner !== undefined) {
      const onNodes = this.siblings.get(owner) ?? new Map<string, number>();
      count(onNodes, nodeName, sign);
      if (onNodes.size > 0) this.siblings.set(owner, onNodes);
      else this.siblings.delete(owner);
    }
    for (const claim of facts.claims) {
      const users = this.claimUsers.get(claim) ?? new Set<string>();
      if (sign > 0) users.add(facts.key);
      else users.delete(facts.key);
      if (users.size > 0) this.claimUsers.set(claim, users);
      else this.claimUsers.delete(claim);
    }
  }

  /** Counts a pod on a node before the API confirms it; the cache's own word replaces it later. */
  assume(pod: Stored<Pod>, nodeName: string): void {
    const spec = { ...pod.spec, containers: pod.spec?.containers ?? [], nodeName };
    this.setPod(keyOf(pod), { ...pod, spec });
  }

  /** Takes an assumption back whose binding failed. */
  unassume(key: string): void {
    this.setPod(key, undefined);
  }

  /** The pod waits for room on this node; undefined: no more. */
  nominate(key: string, nomination: { facts: PodFacts; nodeName: string } | undefined): void {
    const before = this.#nominations.get(key);
    if (before !== undefined) {
      const there = this.#nominated.get(before);
      there?.delete(key);
      if (there?.size === 0) this.#nominated.delete(before);
      this.#nominations.delete(key);
    }
    if (nomination === undefined) return;
    const { facts, nodeName } = nomination;
    this.#nominations.set(key, nodeName);
    const there = this.#nominated.get(nodeName) ?? new Map<string, PodFacts>();
    there.set(key, facts);
    this.#nominated.set(nodeName, there);
  }

  nominationOf(key: string): string | undefined {
    return this.#nominations.get(key);
  }

  nominatedOn(nodeName: string): Iterable<PodFacts> {
    if (this.#nominated.size === 0) return NOBODY;
    return this.#nominated.get(nodeName)?.values() ?? NOBODY;
  }
}

const NOBODY: readonly PodFacts[] = [];

function count(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const left = (counts.get(key) ?? 0) + by;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}

/** Nothing that scheduling counts differs: a status alone was written. */
function alike(before: Stored<Pod>, after: Stored<Pod>): boolean {
  return (
    before.metadata.uid === after.metadata.uid &&
    before.metadata.generation !== undefined &&
    before.metadata.generation === after.metadata.generation &&
    before.metadata.deletionTimestamp === after.metadata.deletionTimestamp &&
    sameValue(before.metadata.labels, after.metadata.labels) &&
    sameValue(before.metadata.ownerReferences, after.metadata.ownerReferences)
  );
}
