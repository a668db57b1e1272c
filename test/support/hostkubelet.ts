/**
 * A kubelet on real containerd, CNI, mounts and control groups, with the real API in this process.
 */
import { mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createKubelet, type Kubelet } from "#agents/kubelet/agent.ts";
import type { Supply } from "#agents/kubelet/eviction.ts";
import type { KubeletOptions } from "#agents/kubelet/options.ts";
import { createNodeHandler } from "#agents/kubelet/server.ts";
import { createPodNetwork } from "#agents/network/cni.ts";
import { createControlGroups } from "#agents/runtime/stats.ts";
import { createVolumes } from "#agents/volumes/agent.ts";
import { createObjectSource } from "#agents/volumes/objects.ts";
import type { NodeLink } from "#api/nodes.ts";
import { type Clock, realClock, sleep } from "#base/clock.ts";
import { createLog, silentLog } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import { realRandom } from "#base/random.ts";
import { createCaches } from "#client/cache.ts";
import type { Client } from "#client/client.ts";
import { createClient } from "#client/http.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { events } from "#resources/kinds/event.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { Container, ContainerStatus, Pod, PodSpec } from "#resources/types.gen.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";
import { BUSYBOX } from "#test/support/images.ts";
import { type HostRuntime, startHostRuntime } from "#test/support/runtime.ts";

const NODE = "host1";

export const shell = (name: string, script: string, rest: Partial<Container> = {}): Container => ({
  name,
  image: BUSYBOX,
  command: ["sh", "-c", script],
  ...rest,
});

/** Many pods of many tests share two cores, and others besides. */
const WAIT_MS_MAX = Number(process.env["BRAMBLE_TEST_WAIT_MS"] ?? 90_000);

/** Until `look` finds something. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const end = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`waited ${WAIT_MS_MAX} ms for ${what}`);
    await sleep(realClock, 20);
  }
}

/** A program that ends at SIGTERM: PID 1 has no default action for it. */
export const WAIT = "trap 'exit 0' TERM; while true; do sleep 0.1; done";

/** What a test has otherwise than the others. */
export interface HostKubeletOptions {
  options?: Partial<KubeletOptions>;
  runtime?: Parameters<HostRuntime["another"]>[0];
  /** What the node has left; the machine's own where it is left out. */
  supply?: () => Promise<Supply>;
  clock?: Clock;
  /** Its folder is a file system of its own of this size. */
  dataBytes?: number;
}

export interface HostKubelet {
  readonly host: HostRuntime;
  readonly client: Client;
  readonly node: NodeLink;
  readonly kubelet: Kubelet;
  readonly dataDir: string;
  /** Where device plugins register. */
  readonly pluginDir: string;
  create(
    name: string,
    spec: Partial<PodSpec>,
    rest?: Partial<Pod["metadata"]>,
  ): Promise<Stored<Pod>>;
  get(name: string): Promise<Stored<Pod> | undefined>;
  /** Until the pod is as `fits` says; fails in the end with its last status. */
  until(name: string, fits: (pod: Stored<Pod>) => boolean): Promise<Stored<Pod>>;
  ready(name: string): Promise<Stored<Pod>>;
  gone(name: string): Promise<void>;
  remove(name: string, graceSeconds?: number): Promise<void>;
  /** Output of a command in a container; throws where it fails. */
  exec(pod: string, script: string, container?: string): Promise<string>;
  logs(pod: string, query?: string, container?: string): Promise<string>;
  /** As `told`, until its words are so; answers its message. */
  said(name: string, reason: string, words?: RegExp): Promise<string>;
  /** Reasons of the events about a pod, oldest first. */
  reasons(name: string): Promise<string[]>;
  /** Until there is an event with this reason about the pod: events come after what they tell. */
  told(name: string, reason: string): Promise<void>;
  /**
   * A new agent takes over; with `reboot` after a power cut, in which every process ended;
   * `meanwhile` is done while there is none. Answers when it began to start (`performance.now()`).
   */
  restart(options?: { reboot?: boolean; meanwhile?: () => Promise<void> }): Promise<number>;
  close(): Promise<void>;
}

export const statusOf = (pod: Pod | undefined, container = "main"): ContainerStatus | undefined =>
  [
    ...(pod?.status?.containerStatuses ?? []),
    ...(pod?.status?.initContainerStatuses ?? []),
    ...(pod?.status?.ephemeralContainerStatuses ?? []),
  ].find(({ name }) => name === container);

const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ===
  true;

/** A range of pod addresses of this process alone. */
const subnet = (): string => `10.${100 + (process.pid % 100)}.${process.pid % 251}.0/24`;

class RealKubelet implements HostKubelet {
  readonly host: HostRuntime;
  readonly client: Client;
  readonly dataDir: string;
  readonly pluginDir: string;
  readonly #api: TestApi;
  readonly #own: HostKubeletOptions;
  readonly #network;
  kubelet: Kubelet;
  node: NodeLink;
  #boots = 0;
  #stopCaches: () => void = () => {};
  #closeRuntime: () => void = () => {};

  constructor(host: HostRuntime, api: TestApi, own: HostKubeletOptions) {
    this.host = host;
    this.#api = api;
    this.#own = own;
    this.client = createClient((request) => api.api.fetch(request, { user: ADMIN }));
    this.dataDir = `${host.containerd.dir}/data`;
    this.pluginDir = `${this.dataDir}/device-plugins`;
    mkdirSync(this.dataDir, { recursive: true });
    if (own.dataBytes !== undefined) {
      const size = `size=${own.dataBytes},mode=0755`;
      const made = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", size, "data", this.dataDir]);
      if (made.exitCode !== 0) throw new Error(`mount: ${made.stderr.toString()}`);
    }
    this.#network = createPodNetwork({
      run: runProcess,
      cniBinDir: "/usr/lib/cni",
      dataDir: this.dataDir,
      instance: `t${process.pid % 1_000_000}`,
      log: silentLog,
    });
    [this.kubelet, this.node] = this.#make();
  }

  #make(): [Kubelet, NodeLink] {
    const { client, dataDir } = this;
    const { clock = realClock, supply } = this.#own;
    const log =
      process.env["BRAMBLE_TEST_LOG"] === undefined
        ? silentLog
        : createLog({ level: "debug", format: "text", now: clock.now, write: console.error });
    const caches = createCaches({ client, clock, log });
    const runtime = this.host.another(this.#own.runtime);
    this.#stopCaches = () => caches.stop();
    this.#closeRuntime = () => runtime.close();
    const objects = createObjectSource({ client, clock, log });
    const kubelet = createKubelet({
      client,
      caches,
      runtime,
      network: this.#network,
      volumes: createVolumes({
        client,
        objects,
        clock,
        log,
        dataDir,
        run: runProcess,
        images: runtime,
      }),
      groups: createControlGroups(),
      objects,
      clock,
      random: realRandom,
      log,
      ...(supply !== undefined && { supply }),
      options: {
        nodeName: NODE,
        nodeIps: () => ["192.0.2.2"],
        dataDir,
        bootId: `boot-${this.#boots}`,
        dns: { servers: ["10.43.0.10"], domain: "cluster.local" },
        cgroupRoot: this.host.cgroup,
        capacity: {
          cpus: 2,
          memoryBytes: 2 ** 32,
          ephemeralBytes: 2 ** 34,
          pods: 110,
          hugePages: { "2Mi": 2 ** 23 },
        },
        kubeletVersion: "v1.34.4+test",
        devicePluginDir: this.pluginDir,
        ...this.#own.options,
      },
    });
    return [kubelet, createNodeHandler({ kubelet, runtime, clock, log })];
  }

  async start(): Promise<void> {
    await this.kubelet.start();
    await this.client.patch(nodes, { name: NODE }, "merge", { spec: { podCIDR: subnet() } });
  }

  create(name: string, spec: Partial<PodSpec>, rest: Partial<Pod["metadata"]> = {}) {
    return this.client.create(pods, {
      metadata: { ...rest, name, namespace: "default" },
      spec: {
        nodeName: NODE,
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 2,
        ...spec,
        containers: spec.containers ?? [shell("main", WAIT)],
      },
    });
  }

  get(name: string): Promise<Stored<Pod> | undefined> {
    return this.client.get(pods, { namespace: "default", name });
  }

  async until(name: string, fits: (pod: Stored<Pod>) => boolean): Promise<Stored<Pod>> {
    let last: Stored<Pod> | undefined;
    try {
      return await eventually(`pod ${name}`, async () => {
        last = await this.get(name);
        return last !== undefined && fits(last) ? last : undefined;
      });
    } catch (error) {
      throw new Error(`${error}: ${JSON.stringify(last?.status)}`);
    }
  }

  ready(name: string): Promise<Stored<Pod>> {
    return this.until(name, isReady);
  }

  async gone(name: string): Promise<void> {
    await eventually(`the end of pod ${name}`, async () =>
      (await this.get(name)) === undefined ? true : undefined,
    );
  }

  async remove(name: string, graceSeconds?: number): Promise<void> {
    const options = graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds };
    await this.client.delete(pods, { namespace: "default", name }, options);
    await this.gone(name);
  }

  async exec(pod: string, script: string, container = "main"): Promise<string> {
    const status = statusOf(await this.get(pod), container);
    const id = status?.containerID?.replace("containerd://", "") ?? "";
    const argv = ["sh", "-c", script];
    const { exitCode, output } = await this.host.runtime.execSync(id, argv, 60_000);
    if (exitCode !== 0) throw new Error(`${script}: exit ${exitCode}: ${output}`);
    return output;
  }

  async logs(pod: string, query = "", container = "main"): Promise<string> {
    const url = `http://node/containerLogs/default/${pod}/${container}?${query}`;
    const response = await this.node.fetch(new Request(url));
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${text}`);
    return text;
  }

  async #events(name: string) {
    const query = { namespace: "default", fieldSelector: `involvedObject.name=${name}` };
    const { items } = await this.client.list(events, query);
    return items.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  async reasons(name: string): Promise<string[]> {
    return (await this.#events(name)).map(({ reason }) => reason ?? "");
  }

  async told(name: string, reason: string): Promise<void> {
    await eventually(`${reason} of ${name}`, async () =>
      (await this.reasons(name)).includes(reason) ? true : undefined,
    );
  }

  said(name: string, reason: string, words: RegExp = /./): Promise<string> {
    return eventually(`${reason} of ${name} with ${words}`, async () => {
      const all = (await this.#events(name)).filter((event) => event.reason === reason);
      return all.map(({ message }) => message ?? "").find((message) => words.test(message));
    });
  }

  async restart(options: Parameters<HostKubelet["restart"]>[0] = {}): Promise<number> {
    const { reboot = false, meanwhile } = options;
    await this.kubelet.stop();
    this.#stopCaches();
    this.#closeRuntime();
    if (reboot) {
      await this.host.containerd.crash();
      await this.host.containerd.start();
      this.#boots++;
    }
    await meanwhile?.();
    const began = performance.now();
    [this.kubelet, this.node] = this.#make();
    await this.kubelet.start();
    return began;
  }

  async close(): Promise<void> {
    const { items } = await this.client.list(pods, { namespace: "default" });
    const force = { gracePeriodSeconds: 0 };
    for (const { metadata } of items) {
      await this.client.delete(pods, { namespace: "default", name: metadata.name }, force);
    }
    await eventually("the end of all pods", () =>
      this.kubelet.workers.size === 0 ? true : undefined,
    ).finally(async () => {
      await this.kubelet.stop();
      this.#stopCaches();
      await this.#network.clear();
      const memory = `${this.dataDir}/memory`;
      const mounted = (await readFile("/proc/self/mountinfo", "utf8")).includes(` ${memory} `);
      if (mounted) await runProcess(["umount", memory]);
      await this.#api.close();
      await this.host.close();
    });
  }
}

export async function startHostKubelet(
  name: string,
  own: HostKubeletOptions = {},
): Promise<HostKubelet> {
  const host = await startHostRuntime(name);
  const made = new RealKubelet(host, await startApi(), own);
  const found = await made.client.get(namespaces, { name: "default" });
  if (found === undefined) await made.client.create(namespaces, { metadata: { name: "default" } });
  const ca = {
    metadata: { name: "kube-root-ca.crt", namespace: "default" },
    data: { "ca.crt": "PEM" },
  };
  await made.client.create(configMaps, ca);
  await made.start();
  return made;
}
