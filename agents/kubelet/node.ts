/** The Node object and its Lease: registered at the start, written again when something changed. */

import { readFile } from "node:fs/promises";
import { arch, release } from "node:os";
import {
  allocatableOf,
  type NodeFacts,
  nodeStatus,
  ownStatus,
  sameNodeStatus,
} from "#agents/kubelet/nodestatus.ts";
import type { KubeletDeps } from "#agents/kubelet/options.ts";
import type { ImageInfo } from "#agents/runtime/runtime.ts";
import { type Cancel, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { isNotFound, StatusError } from "#client/client.ts";
import { leases } from "#resources/kinds/lease.ts";
import { nodes } from "#resources/kinds/node.ts";
import type { Stored } from "#resources/meta.ts";
import type { Json, Node, NodeSystemInfo } from "#resources/types.gen.ts";

const LEASE_NAMESPACE = "kube-node-lease";
const ARCHITECTURES: Record<string, string> = { x64: "amd64", arm64: "arm64", arm: "arm" };
const KUBELET_PORT = 10_250;

export const architecture = (): string => ARCHITECTURES[arch()] ?? arch();

const textOf = (path: string): Promise<string> =>
  readFile(path, "utf8").then(
    (text) => text.trim(),
    () => "",
  );

async function systemInfo(deps: KubeletDeps, runtimeVersion: string): Promise<NodeSystemInfo> {
  const [machineId, uuid, osRelease] = await Promise.all([
    textOf("/etc/machine-id"),
    textOf("/sys/class/dmi/id/product_uuid"),
    textOf("/etc/os-release"),
  ]);
  const pretty = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1];
  return {
    machineID: machineId,
    systemUUID: uuid || machineId,
    bootID: deps.options.bootId,
    kernelVersion: release(),
    osImage: pretty ?? "Linux",
    containerRuntimeVersion: runtimeVersion,
    kubeletVersion: deps.options.kubeletVersion,
    kubeProxyVersion: "",
    operatingSystem: "linux",
    architecture: architecture(),
  };
}

/** Maps merge: a resource that is no longer there must be taken away by name. */
function withoutGone(
  before: Record<string, string> | undefined,
  after: Record<string, string> | undefined,
): Record<string, string | null> {
  const gone = Object.keys(before ?? {}).filter((name) => after?.[name] === undefined);
  return { ...after, ...Object.fromEntries(gone.map((name) => [name, null])) };
}

const microTime = (ms: number): string => new Date(ms).toISOString().replace("Z", "000Z");

export class NodeKeeper {
  readonly #deps: KubeletDeps;
  readonly #back: () => void;
  readonly #stop = new AbortController();
  readonly #registered = Promise.withResolvers<void>();
  #info: NodeSystemInfo | undefined;
  #images: readonly ImageInfo[] = [];
  #known: Stored<Node> | undefined;
  #writtenMs = Number.NEGATIVE_INFINITY;
  #writing = false;
  #writeAgain = false;
  #imagesTimer: Cancel | undefined;
  #runtimeProblem: string | undefined;
  #pressure = { memory: false, disk: false, pid: false };
  #devices: Readonly<Record<string, number>> = {};

  /** `back` hears that the API answers again after it did not. */
  constructor(deps: KubeletDeps, back: () => void) {
    this.#deps = deps;
    this.#back = back;
  }

  start(): void {
    const cache = this.#deps.caches.of(nodes);
    cache.onChange(({ key, after }) => {
      if (key !== this.#deps.options.nodeName || after === undefined) return;
      this.#known = after;
      // Known from before, though the API may be away now: pods need not wait for it.
      if (this.podCidr() !== undefined) this.#registered.resolve();
      void this.report();
    });
    void this.#register();
  }

  stop(): void {
    this.#stop.abort();
    this.#imagesTimer?.();
  }

  /** Resolves once the API has the node, or had it when it was last there. */
  whenRegistered(): Promise<void> {
    return this.#registered.promise;
  }

  podCidr(): string | undefined {
    const spec = this.#known?.spec;
    return spec?.podCIDRs?.join(",") || spec?.podCIDR;
  }

  /** As the API last told it. */
  object(): Node | undefined {
    return this.#known;
  }

  allocatable(): Record<string, string> {
    return allocatableOf(this.#facts());
  }

  imagesChanged(): void {
    const { clock } = this.#deps;
    this.#imagesTimer ??= clock.after(limits.nodeImagesDelayMs, () => {
      this.#imagesTimer = undefined;
      void this.#readImages().then(() => this.report());
    });
  }

  runtimeProblem(problem: string | undefined): void {
    if (problem === this.#runtimeProblem) return;
    this.#runtimeProblem = problem;
    void this.report();
  }

  setPressure(pressure: { memory: boolean; disk: boolean; pid: boolean }): void {
    this.#pressure = pressure;
    void this.report();
  }

  setDevices(devices: Readonly<Record<string, number>>): void {
    if (Bun.deepEquals(devices, this.#devices)) return;
    this.#devices = devices;
    void this.report();
  }

  #facts(): NodeFacts {
    const { options, clock } = this.#deps;
    const network = this.podCidr() === undefined ? "the node has no pod CIDR yet" : undefined;
    return {
      name: options.nodeName,
      ips: options.nodeIps(),
      capacity: options.capacity,
      reserved: options.reserved ?? { cpuMillis: 0, memoryBytes: 0 },
      info: this.#info ?? { ...emptyInfo, kubeletVersion: options.kubeletVersion },
      images: this.#images,
      kubeletPort: options.kubeletPort ?? KUBELET_PORT,
      notReady: this.#runtimeProblem ?? network,
      pressure: this.#pressure,
      devices: this.#devices,
      now: clock.now(),
    };
  }

  #labels(): Record<string, string> {
    const { options } = this.#deps;
    return {
      "kubernetes.io/hostname": options.nodeName,
      "kubernetes.io/os": "linux",
      "kubernetes.io/arch": architecture(),
      "beta.kubernetes.io/os": "linux",
      "beta.kubernetes.io/arch": architecture(),
      ...options.labels,
    };
  }

  async #register(): Promise<void> {
    const { clock, log, runtime } = this.#deps;
    const signal = this.#stop.signal;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        this.#info ??= await systemInfo(this.#deps, await runtime.version());
        this.#known = await this.#ensureNode();
        break;
      } catch (error) {
        if (failures === 0) log.warn("node not registered yet", { error: messageOf(error) });
        await sleep(clock, limits.runtimeRetryMs, signal);
      }
    }
    this.#registered.resolve();
    if (signal.aborted) return;
    await this.#readImages();
    void this.report();
    void this.#renewLease();
    void this.#refresh();
    void this.#followAddresses();
  }

  async #ensureNode(): Promise<Stored<Node>> {
    const { client, options } = this.#deps;
    const ref = { name: options.nodeName };
    const found = await client.get(nodes, ref);
    if (found === undefined) {
      const taints = options.taints?.map((taint) => ({ ...taint }));
      const node: Node = {
        metadata: { name: options.nodeName, labels: this.#labels() },
        spec: taints === undefined ? {} : { taints },
        status: nodeStatus(this.#facts(), undefined, limits.nodeImagesMax),
      };
      return client.create(nodes, node);
    }
    const labels = this.#labels();
    const same = Object.entries(labels).every(
      ([key, value]) => found.metadata.labels?.[key] === value,
    );
    return same ? found : client.patch(nodes, ref, "merge", { metadata: { labels } });
  }

  async #readImages(): Promise<void> {
    try {
      this.#images = await this.#deps.runtime.images();
    } catch (error) {
      this.#deps.log.warn("images not listed", { error: messageOf(error) });
    }
  }

  /** Writes the status where it differs from what the API has, or was not told for long. */
  async report(): Promise<void> {
    if (this.#writing || this.#known === undefined || this.#info === undefined) {
      this.#writeAgain = this.#writing;
      return;
    }
    this.#writing = true;
    try {
      await this.#write();
    } catch (error) {
      this.#deps.log.warn("node status not written", { error: messageOf(error) });
    }
    this.#writing = false;
    if (this.#writeAgain) {
      this.#writeAgain = false;
      void this.report();
    }
  }

  async #write(): Promise<void> {
    const { client, clock, options } = this.#deps;
    const before = ownStatus(this.#known?.status);
    const status = nodeStatus(this.#facts(), before, limits.nodeImagesMax);
    const stale = clock.monotonic() - this.#writtenMs >= limits.nodeStatusRefreshMs;
    if (!stale && sameNodeStatus(before, status)) return;
    this.#writtenMs = clock.monotonic();
    // Conditions merge by type, so that those of other writers stay; other lists are ours alone.
    const addresses = [{ $patch: "replace" }, ...(status.addresses ?? [])];
    const lists = {
      capacity: withoutGone(before?.capacity, status.capacity),
      allocatable: withoutGone(before?.allocatable, status.allocatable),
    };
    const body = JSON.parse(JSON.stringify({ status: { ...status, ...lists, addresses } })) as Json;
    const stored = await client.patch(nodes, { name: options.nodeName }, "strategic", body, {
      subresource: "status",
    });
    this.#known = stored;
  }

  async #refresh(): Promise<void> {
    const signal = this.#stop.signal;
    while (!signal.aborted) {
      await sleep(this.#deps.clock, limits.nodeStatusRefreshMs, signal);
      if (!signal.aborted) await this.report();
    }
  }

  /** The machine may get another address at any time (DHCP); the other nodes must know soon. */
  async #followAddresses(): Promise<void> {
    const { clock, options, log } = this.#deps;
    const signal = this.#stop.signal;
    while (!signal.aborted) {
      await sleep(clock, limits.addressCheckMs, signal);
      const now = options.nodeIps().join();
      const told = (this.#known?.status?.addresses ?? [])
        .filter(({ type }) => type === "InternalIP")
        .map(({ address }) => address);
      // Between two addresses there may be none for a moment.
      if (signal.aborted || now === told.join() || now === "") continue;
      // Again until the API has it: the way there may have changed, too.
      log.info("the node's addresses changed", { addresses: now });
      await this.report();
    }
  }

  async #renewLease(): Promise<void> {
    const { clock, log } = this.#deps;
    const signal = this.#stop.signal;
    let away = false;
    while (!signal.aborted) {
      try {
        await this.#renewOnce();
        if (away) this.#back();
        away = false;
      } catch (error) {
        away = true;
        log.debug("node lease not renewed", { error: messageOf(error) });
      }
      await sleep(clock, limits.nodeLeaseRenewMs, signal);
    }
  }

  async #renewOnce(): Promise<void> {
    const { client, clock, options } = this.#deps;
    const ref = { namespace: LEASE_NAMESPACE, name: options.nodeName };
    const renewTime = microTime(clock.now());
    const spec = {
      holderIdentity: options.nodeName,
      leaseDurationSeconds: Math.ceil(limits.nodeLeaseDurationMs / 1000),
      renewTime,
    };
    try {
      await client.patch(leases, ref, "merge", { spec });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      const owner = {
        apiVersion: "v1",
        kind: "Node",
        name: options.nodeName,
        uid: this.#known?.metadata.uid ?? "",
      };
      try {
        const first = { ...spec, acquireTime: renewTime };
        await client.create(leases, {
          metadata: { ...ref, ownerReferences: [owner] },
          spec: first,
        });
      } catch (second) {
        if (!(second instanceof StatusError) || second.code !== 409) throw second;
      }
    }
  }
}

const emptyInfo: NodeSystemInfo = {
  machineID: "",
  systemUUID: "",
  bootID: "",
  kernelVersion: "",
  osImage: "",
  containerRuntimeVersion: "",
  kubeletVersion: "",
  kubeProxyVersion: "",
  operatingSystem: "linux",
  architecture: "",
};
