/**
 * The kubelet: runs the pods that are bound to this node. It watches pods and containers and wakes
 * the worker of the pod concerned; what to do is `plan.ts`, how is `steps.ts`. Network, volumes and
 * the runtime come as interfaces.
 */

import { adopt } from "#agents/kubelet/adopt.ts";
import { Containers } from "#agents/kubelet/containers.ts";
import type { Context } from "#agents/kubelet/context.ts";
import { Fleet } from "#agents/kubelet/fleet.ts";
import { Gate } from "#agents/kubelet/gate.ts";
import { Hooks } from "#agents/kubelet/hooks.ts";
import { Housekeeper } from "#agents/kubelet/housekeeper.ts";
import { Images } from "#agents/kubelet/images.ts";
import { Logs } from "#agents/kubelet/logs.ts";
import { NodeKeeper } from "#agents/kubelet/node.ts";
import type { KubeletDeps, KubeletOptions } from "#agents/kubelet/options.ts";
import { Plugins } from "#agents/kubelet/plugins.ts";
import { createProber, type Prober } from "#agents/kubelet/prober.ts";
import { Probes } from "#agents/kubelet/probes.ts";
import { Records } from "#agents/kubelet/records.ts";
import { Room } from "#agents/kubelet/room.ts";
import { isMirror, StaticPods } from "#agents/kubelet/static.ts";
import type { PodWorker } from "#agents/kubelet/worker.ts";
import type { ControlGroups } from "#agents/runtime/stats.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { CacheChange } from "#client/cache.types.ts";
import { createRecorder } from "#client/events.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

export interface Kubelet {
  /** Resolves when what ran before is adopted and pods are being worked on. */
  start(): Promise<void>;
  /** Lets everything run on and does nothing more. */
  stop(): Promise<void>;
  /**
   * The machine goes down: every program gets its signal and this many milliseconds. Pods stay as
   * they are in the API, and are started again after the boot.
   */
  shutdown(graceMs: number): Promise<void>;
  /** By pod uid. */
  readonly workers: ReadonlyMap<string, PodWorker>;
  readonly node: NodeKeeper;
  readonly options: KubeletOptions;
  readonly groups: ControlGroups;
  /** Something is under way that needs no time to pass: a test waits for its end. */
  readonly busy: boolean;
  /** What it was set to do, in the words of a KubeletConfiguration. */
  config(): object;
}

/**
 * The node's address, and that of the other family where it has one: what pods and the API are
 * told.
 */
function oneOfEachFamily(ips: readonly string[]): string[] {
  const v6 = (ip: string) => ip.includes(":");
  const other = ips.find((ip) => ips[0] !== undefined && v6(ip) !== v6(ips[0]));
  return [...ips.slice(0, 1), ...(other === undefined ? [] : [other])];
}

/** Asking the kernel for its addresses takes milliseconds on a node with many pods. */
function remembered(clock: Clock, ask: () => string[]): () => string[] {
  let known: { ips: string[]; atMs: number } | undefined;
  return () => {
    const nowMs = clock.monotonic();
    if (known === undefined || nowMs - known.atMs > limits.nodeAddressMs) {
      known = { ips: ask(), atMs: nowMs };
    }
    return known.ips;
  };
}

class NodeKubelet implements Kubelet {
  readonly #context: Context;
  readonly #fleet = new Fleet();
  readonly workers: ReadonlyMap<string, PodWorker> = this.#fleet.workers;
  readonly node: NodeKeeper;
  readonly options: KubeletOptions;
  readonly groups: ControlGroups;
  readonly #containers: Containers;
  readonly #room: Room;
  readonly #housekeeper: Housekeeper;
  readonly #stop = new AbortController();
  readonly #statics: StaticPods;
  #mirroring = false;
  #mirrorAgain = false;

  constructor(given: KubeletDeps, prober: Prober) {
    const nodeIps = remembered(given.clock, () => oneOfEachFamily(given.options.nodeIps()));
    const deps = { ...given, options: { ...given.options, nodeIps } };
    const { client, clock, log, options } = deps;
    this.node = new NodeKeeper(deps, () => {
      for (const worker of this.workers.values()) worker.status.retry();
    });
    const problem = (text: string | undefined) => this.node.runtimeProblem(text);
    this.#containers = new Containers(deps, this.#stop.signal, problem);
    this.options = options;
    this.groups = deps.groups;
    const { groups, workers } = this;
    const changed = () => this.#room.lookForDevices();
    const plugins = new Plugins({ dir: options.devicePluginDir ?? "", log, changed });
    const pressure = () => this.#housekeeper.pressure;
    this.#room = new Room({ workers, node: this.node, groups, plugins, options, log, pressure });
    const directory = options.manifestDir ?? `${options.dataDir}/manifests`;
    const node = () => this.node.object();
    const { nodeName } = options;
    this.#statics = new StaticPods({ directory, nodeName, clock, log, client, node });
    this.#context = {
      ...deps,
      events: createRecorder({ client, clock, log, component: "kubelet", host: options.nodeName }),
      images: new Images(deps),
      records: new Records(options.dataDir, clock, log),
      probes: new Probes(clock, prober),
      hooks: new Hooks(),
      logs: new Logs(clock, log),
      plugins,
      roomChanged: () => this.#room.changed(),
      gate: new Gate(limits.podStartsMax),
      cleanups: new Gate(limits.podCleanupsMax),
      podCidr: () => this.node.podCidr(),
      allocatable: () => this.node.allocatable(),
      own: (id, worker, name) => this.#containers.own(id, worker, name),
      discard: (ids) => this.#containers.discard(ids),
      resync: () => this.#containers.resync(),
      forget: (worker) => this.#fleet.forget(worker, this.#context),
    };
    this.#housekeeper = this.#keeper(given.supply);
  }

  #keeper(supply: KubeletDeps["supply"]): Housekeeper {
    const { runtime, clock, log, images } = this.#context;
    const { dataDir, cgroupRoot } = this.options;
    return new Housekeeper({
      workers: this.workers,
      node: this.node,
      room: this.#room,
      runtime,
      groups: this.groups,
      images,
      clock,
      log,
      dataDir,
      cgroupRoot,
      ...(supply && { supply }),
    });
  }

  async start(): Promise<void> {
    const { options, log } = this.#context;
    const cache = this.#cache();
    await this.#recovered();
    this.#room.lookForDevices();
    this.node.start();
    const { images } = this.#context;
    await Promise.all([images.preload(), cache.whenSynced(), this.node.whenRegistered()]);
    if (this.#stop.signal.aborted) return;
    // What changes while pods are adopted counts afterwards: one that goes has a worker by then.
    const meanwhile: Array<CacheChange<Pod>> = [];
    let heed = (change: CacheChange<Pod>): void => void meanwhile.push(change);
    cache.onChange((change) => heed(change));
    const listed = [...cache.list()];
    const all = [...listed.filter((pod) => !isMirror(pod)), ...this.#statics.read()];
    const found = await adopt(this.#context, this.#fleet.records, all);
    // From here to the hand-over nothing waits: workers look only at what was adopted.
    this.#readStatics();
    for (const pod of listed) this.#take(pod);
    found.handOver(this.workers);
    heed = (change) => this.#changed(change);
    for (const change of meanwhile) heed(change);
    this.#containers.watch((event) => {
      if (event.type !== "image") return;
      this.#context.images.forget();
      this.node.imagesChanged();
    });
    this.#statics.watch(() => this.#readStatics());
    if (options.devicePluginDir !== undefined) this.#context.plugins.start();
    this.#housekeeper.start();
    log.info("kubelet works", { node: options.nodeName, pods: this.workers.size });
  }

  /** The runtime may come up after us: nothing can be done before it answers. */
  async #recovered(): Promise<void> {
    const { records, runtime, clock, log } = this.#context;
    for (let failures = 0; !this.#stop.signal.aborted; failures++) {
      try {
        for (const record of await records.load()) this.#fleet.records.set(record.uid, record);
        await runtime.list();
        return;
      } catch (error) {
        if (failures === 0)
          log.warn("the container runtime is not there", { error: messageOf(error) });
        await sleep(clock, limits.runtimeRetryMs, this.#stop.signal);
      }
    }
  }

  #changed({ before, after }: CacheChange<Pod>): void {
    if (before !== undefined && before.metadata.uid !== after?.metadata.uid) {
      this.#fleet.gone(before.metadata.uid);
      if (isMirror(before)) this.#mirror();
    }
    if (after !== undefined) this.#take(after);
  }

  #take(pod: Stored<Pod>): void {
    if (!isMirror(pod)) {
      this.#fleet.take(pod, this.#context, this.#room);
      return;
    }
    const shown = this.#statics.shownBy(pod);
    if (shown !== undefined) this.workers.get(shown.metadata.uid)?.mirroredBy(pod);
    this.#mirror();
  }

  /** The folder of static pods changed. */
  #readStatics(): void {
    const before = [...this.workers.values()].filter(({ mirrored }) => mirrored);
    const now = new Set<string>();
    for (const pod of this.#statics.read()) {
      now.add(pod.metadata.uid);
      this.#fleet.take(pod, this.#context, this.#room, true);
    }
    for (const { uid } of before) if (!now.has(uid)) this.#fleet.gone(uid);
    this.#mirror();
  }

  /** Mirrors are put right one after the other; changes meanwhile are looked at afterwards. */
  #mirror(): void {
    this.#mirrorAgain = true;
    if (this.#mirroring) return;
    this.#mirroring = true;
    void this.#mirrorAll();
  }

  async #mirrorAll(): Promise<void> {
    try {
      while (this.#mirrorAgain && !this.#stop.signal.aborted) {
        this.#mirrorAgain = false;
        const mirrors = this.#cache().list().filter(isMirror);
        await this.#statics.reconcile(new Map(mirrors.map((pod) => [keyOf(pod), pod])));
      }
    } finally {
      // In the turn in which the last look was taken: who asks later must begin anew.
      this.#mirroring = false;
    }
  }

  #cache() {
    const fieldSelector = `spec.nodeName=${this.options.nodeName}`;
    return this.#context.caches.of(pods, { fieldSelector });
  }

  get busy(): boolean {
    const working = ({ operations }: PodWorker) =>
      [...operations.keys()].some((key) => !key.startsWith("stop:"));
    return this.#housekeeper.looking || [...this.workers.values()].some(working);
  }

  config(): object {
    const { options } = this;
    return {
      kind: "KubeletConfiguration",
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      clusterDNS: options.dns.servers,
      clusterDomain: options.dns.domain,
      maxPods: options.capacity.pods,
      podPidsLimit: options.pidsLimit ?? -1,
      cgroupRoot: options.cgroupRoot,
      containerLogMaxSize: `${limits.logBytesMax / 5 / 1024 / 1024}Mi`,
      containerLogMaxFiles: 5,
    };
  }

  async shutdown(graceMs: number): Promise<void> {
    await this.stop();
    const { runtime, clock } = this.#context;
    const running = async () => (await runtime.list()).filter(({ state }) => state === "running");
    const all = async (signal: string) => {
      // At once: one that hangs must not use up the grace of the others.
      const sent = (await running()).map(({ id }) => runtime.signal(id, signal).catch(() => {}));
      await Promise.all(sent);
    };
    const endMs = clock.monotonic() + graceMs;
    await all("SIGTERM");
    while (clock.monotonic() < endMs && (await running()).length > 0) {
      await sleep(clock, limits.shutdownLookMs);
    }
    await all("SIGKILL");
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.node.stop();
    this.#statics.stop();
    this.#housekeeper.stop();
    this.#containers.stop();
    for (const worker of this.workers.values()) worker.stop();
    this.#context.probes.stop();
    this.#context.logs.stop();
    this.#context.plugins.stop();
    this.#context.volumes.close();
    await Promise.all([this.#context.records.close(), this.#context.events.idle()]);
  }
}

/** `prober`: tests answer probes without a network. */
export function createKubelet(deps: KubeletDeps, prober?: Prober): Kubelet {
  return new NodeKubelet(deps, prober ?? createProber(deps.runtime));
}
