/**
 * Binds pods to nodes: watches pods and nodes, asks `plan.ts`, binds through the API. One decision
 * at a time, on the state that counts every earlier one; the writes themselves go out side by side.
 */
import type { Cancel } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";
import type { Cache, CacheChange } from "#client/cache.types.ts";
import { isConflict, isNotFound } from "#client/client.ts";
import { sameValue } from "#resources/equal.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { type ApiObject, keyOf, type Stored } from "#resources/meta.ts";
import type { Namespace, Node, Pod } from "#resources/types.gen.ts";
import { factsOf, type PodFacts } from "#scheduler/facts.ts";
import type { Wake } from "#scheduler/filters.ts";
import { fitsOn, schedule, type Unplaced } from "#scheduler/plan.ts";
import { couldFit, preempt } from "#scheduler/preempt.ts";
import { type Profile, profiles } from "#scheduler/profiles.ts";
import { type Entry, type Help, SchedulingQueue } from "#scheduler/queue.ts";
import { ClusterState } from "#scheduler/state.ts";
import type { VolumeWork } from "#scheduler/storage.ts";
import { LiveStorage, storageKinds } from "#scheduler/view.ts";
import {
  hopeOf,
  nodeMatters,
  sameToScheduler,
  schedulerOf,
  signatureOf,
  waits,
} from "#scheduler/waiting.ts";
import { Writer, type WriterOptions } from "#scheduler/writer.ts";

export interface SchedulerOptions extends WriterOptions {
  random: Random;
  /** Default: those of `profiles.ts`. Pods of other schedulers are left alone. */
  profiles?: readonly Profile[];
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #profiles: ReadonlyMap<string, Profile>;
  readonly #state = new ClusterState();
  readonly #queue = new SchedulingQueue();
  readonly #storage: LiveStorage;
  readonly #writer: Writer;
  /** What is known of the pods that wait. */
  readonly #waiting = new Map<string, PodFacts>();
  /** Nodes with room or features since the last decision, each looked at once. */
  readonly #touched: Record<"node" | "room", Set<string>> = { node: new Set(), room: new Set() };
  #cancel: Cancel | undefined;
  #running = false;
  #binding = 0;
  #from = 0;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const named = (options.profiles ?? profiles).map((one) => [one.schedulerName, one] as const);
    this.#profiles = new Map(named);
    this.#storage = new LiveStorage(options.caches);
    this.#state.storage = this.#storage;
    this.#writer = new Writer(options);
  }

  /** Starts once all caches are in; ends with the signal. */
  async run(): Promise<void> {
    const { caches, signal } = this.#options;
    const [podCache, nodeCache, spaces] = [
      caches.of(pods),
      caches.of(nodes),
      caches.of(namespaces),
    ];
    const claims = caches.of(persistentVolumeClaims);
    const storage = storageKinds.map((kind) => caches.of(kind));
    const all: Array<Pick<Cache<ApiObject>, "whenSynced">> = [podCache, nodeCache, spaces, claims];
    all.push(...storage, caches.of(podDisruptionBudgets));
    await Promise.all(all.map((cache) => cache.whenSynced()));
    for (const after of spaces.list())
      this.#namespace({ key: keyOf(after), before: undefined, after });
    for (const node of nodeCache.list()) this.#node(undefined, node);
    for (const pod of podCache.list()) this.#pod(keyOf(pod), undefined, pod);
    const ends = [
      spaces.onChange((change) => this.#namespace(change)),
      nodeCache.onChange(({ before, after }) => this.#node(before, after)),
      podCache.onChange(({ key, before, after }) => this.#pod(key, before, after)),
      claims.onChange(({ key }) =>
        this.#wake("claim", (pod) =>
          this.#waiting.get(pod)?.claims.includes(key) ? "maybe" : "no",
        ),
      ),
      ...storage.map((cache) => cache.onChange(() => this.#wake("storage"))),
    ];
    signal.addEventListener("abort", () => {
      for (const end of ends) end();
      this.#cancel?.();
    });
    this.#wakeUp();
  }

  #namespace({ key, before, after }: CacheChange<Namespace>): void {
    const labels = after?.metadata.labels ?? {};
    if (after === undefined) this.#state.namespaces.delete(key);
    else this.#state.namespaces.set(key, labels);
    if (!sameValue(before?.metadata.labels ?? {}, labels)) this.#wake("namespace");
  }

  #node(before: Stored<Node> | undefined, after: Stored<Node> | undefined): void {
    const name = (after ?? before)?.metadata.name ?? "";
    this.#state.setNode(name, after);
    if (!nodeMatters(before, after)) return;
    this.#touched.node.add(name);
    this.#wakeUp();
  }

  #pod(key: string, before: Stored<Pod> | undefined, after: Stored<Pod> | undefined): void {
    if (after !== undefined && waits(after, this.#profiles)) {
      const same = this.#waiting.get(key)?.pod.metadata.uid === after.metadata.uid;
      if (!same || before === undefined || !sameToScheduler(before, after)) this.#add(key, after);
      const nominated = after.status?.nominatedNodeName;
      if (nominated !== before?.status?.nominatedNodeName) this.#nominated(key, nominated);
      return;
    }
    this.#queue.remove(key);
    if (this.#waiting.delete(key)) this.#state.nominate(key, undefined);
    const from = this.#state.nodeOf(key);
    if (!this.#state.setPod(key, after)) return;
    const left = from !== undefined && this.#state.nodeOf(key) !== from;
    const changed =
      from !== undefined && before?.metadata.generation !== after?.metadata.generation;
    if (left || changed) this.#touched.room.add(from);
    this.#wake("pod");
  }

  #add(key: string, pod: Stored<Pod>): void {
    const facts = factsOf(pod);
    this.#waiting.set(key, facts);
    const { priority } = facts;
    this.#queue.add({ key, priority, signature: signatureOf(facts) }, this.#now());
    this.#wakeUp();
  }

  #nominated(key: string, nodeName: string | undefined): void {
    const facts = this.#waiting.get(key);
    const nomination = facts && nodeName ? { facts, nodeName } : undefined;
    const before = this.#state.nominationOf(key);
    this.#state.nominate(key, nomination);
    if (before !== undefined && before !== nodeName) this.#touched.room.add(before);
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }

  #wake(wake: Wake, helps?: (key: string) => Help): void {
    this.#queue.wake(wake, this.#now(), helps);
    this.#wakeUp();
  }

  /** Calls the pods that a touched node has a place for now. */
  #wakeTouched(): void {
    for (const wake of ["node", "room"] as const) {
      const names = [...this.#touched[wake]];
      if (names.length === 0) continue;
      this.#touched[wake].clear();
      this.#queue.wake(wake, this.#now(), (key, local) => {
        const facts = this.#waiting.get(key);
        if (facts === undefined) return "no";
        if (!local) return "maybe";
        return names.some((name) => this.#hopesFor(facts, name)) ? "surely" : "no";
      });
    }
  }

  /** Whether a pod could be on a touched node: as it is, or with lesser pods driven out. */
  #hopesFor(facts: PodFacts, nodeName: string): boolean {
    const nominated = this.#state.nominationOf(facts.key);
    if (nominated === undefined) return couldFit(facts, this.#state, nodeName);
    const isGone = this.#state.nodes.get(nominated)?.node === undefined;
    return isGone || fitsOn(facts, this.#state, nodeName);
  }

  /** Decides in a later turn, so that changes that come together are seen together. */
  #wakeUp(): void {
    if (this.#running || this.#options.signal.aborted) return;
    const touched = this.#touched.node.size + this.#touched.room.size > 0;
    const waitMs = touched ? 0 : this.#queue.waitMs(this.#now());
    this.#cancel?.();
    if (waitMs === undefined) return;
    this.#cancel = this.#options.clock.after(waitMs, () => this.#drain());
  }

  #drain(): void {
    this.#running = true;
    try {
      this.#wakeTouched();
      while (this.#binding < limits.bindingsMax) {
        const entry = this.#queue.next(this.#now());
        if (entry === undefined) break;
        this.#place(entry);
      }
    } finally {
      this.#running = false;
    }
    if (this.#binding < limits.bindingsMax) this.#wakeUp();
  }

  #place(entry: Entry): void {
    const facts = this.#waiting.get(entry.key);
    const pod = this.#options.caches.of(pods).get(entry.key);
    if (facts === undefined || pod === undefined || !waits(pod, this.#profiles)) return;
    const profile = this.#profiles.get(schedulerOf(pod));
    const random = this.#options.random.next();
    const from = this.#from;
    const decision = schedule(facts, this.#state, { random, from, ...(profile && { profile }) });
    if (!decision.fits) {
      this.#refused(entry, facts, pod, decision);
      return;
    }
    this.#from = (from + decision.looked) % Math.max(1, this.#state.live().length);
    this.#state.assume(pod, decision.nodeName);
    if (decision.volumes) this.#storage.assume(decision.volumes, decision.nodeName);
    this.#queue.placed(entry.signature, this.#now());
    this.#queue.wake("pod", this.#now());
    void this.#bind(entry, pod, decision.nodeName, decision.volumes);
  }

  #refused(entry: Entry, facts: PodFacts, pod: Stored<Pod>, decision: Unplaced): void {
    this.#queue.setAside(entry, hopeOf(decision.filters), this.#now());
    if (this.#state.live().length === 0) {
      void this.#writer.explain(pod, decision.message);
      return;
    }
    const result = preempt(facts, this.#state, {
      refused: decision.refused,
      budgets: this.#options.caches.of(podDisruptionBudgets).list(),
      random: this.#options.random.next(),
    });
    if ("victims" in result) {
      const { nodeName, victims } = result;
      this.#state.nominate(entry.key, { facts, nodeName });
      void this.#writer.explain(pod, decision.message, nodeName);
      void this.#evict(entry, pod, nodeName, victims);
      return;
    }
    if (result.clear) this.#nominated(entry.key, undefined);
    const message = `${decision.message} ${result.message}`;
    void this.#writer.explain(pod, message, result.clear ? "" : undefined);
  }

  async #evict(
    entry: Entry,
    preemptor: Stored<Pod>,
    nodeName: string,
    victims: readonly PodFacts[],
  ): Promise<void> {
    const cache = this.#options.caches.of(pods);
    for (const lower of [...this.#state.nominatedOn(nodeName)]) {
      if (lower.priority >= entry.priority) continue;
      const current = cache.get(lower.key);
      if (current !== undefined) void this.#writer.unnominate(current);
    }
    try {
      const current = victims.map(({ key, pod }) => cache.get(key) ?? pod);
      await Promise.all(current.map((pod) => this.#writer.evict(pod, preemptor, nodeName)));
    } catch (error) {
      this.#options.log.warn("preemption failed", { pod: entry.key, error: messageOf(error) });
      this.#nominated(entry.key, undefined);
      const facts = this.#waiting.get(entry.key);
      if (facts !== undefined) this.#queue.retry({ ...entry }, this.#now());
      this.#wakeUp();
    }
  }

  async #bind(
    entry: Entry,
    pod: Stored<Pod>,
    nodeName: string,
    volumes: VolumeWork | undefined,
  ): Promise<void> {
    const { log, caches } = this.#options;
    let bindsNow = false;
    try {
      if (volumes !== undefined) await this.#prepare(pod, volumes, nodeName);
      this.#binding += 1;
      bindsNow = true;
      await this.#writer.bind(pod, nodeName);
    } catch (error) {
      const current = caches.of(pods).get(entry.key);
      if (!current?.spec?.nodeName) {
        this.#state.unassume(entry.key);
        this.#touched.room.add(nodeName);
      }
      if (current && waits(current, this.#profiles)) this.#queue.retry(entry, this.#now());
      if (!isConflict(error) && !isNotFound(error)) {
        log.warn("binding failed", { pod: entry.key, node: nodeName, error: messageOf(error) });
      }
    } finally {
      if (bindsNow) this.#binding -= 1;
      this.#wakeUp();
    }
  }

  async #prepare(pod: Stored<Pod>, volumes: VolumeWork, nodeName: string): Promise<void> {
    try {
      await this.#writer.prepareVolumes(volumes, nodeName);
    } catch (error) {
      const message = `running PreBind plugin "VolumeBinding": ${messageOf(error)}`;
      this.#writer.event(pod, "Warning", "FailedScheduling", message);
      throw error;
    } finally {
      this.#storage.release(volumes);
    }
  }
}
