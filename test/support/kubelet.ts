/**
 * A kubelet on the real API in this process, with a scripted runtime and network: for component
 * tests.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKubelet, type Kubelet } from "#agents/kubelet/agent.ts";
import { devicesOf } from "#agents/kubelet/devices.ts";
import type { Supply } from "#agents/kubelet/eviction.ts";
import type { ProbeAnswer, ProbeTarget } from "#agents/kubelet/prober.ts";
import type { PodAttachment, PodNetwork } from "#agents/network/cni.ts";
import { createControlGroups } from "#agents/runtime/stats.ts";
import { createVolumes } from "#agents/volumes/agent.ts";
import { createObjectSource } from "#agents/volumes/objects.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { createCaches } from "#client/cache.ts";
import type { Client } from "#client/client.ts";
import { createClient } from "#client/http.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { Container, Pod, PodSpec, Probe } from "#resources/types.gen.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";
import { ScriptedRuntime } from "#test/support/scripted.ts";

export class ScriptedNetwork implements PodNetwork {
  readonly bridge = "test0";
  readonly attached = new Map<string, PodAttachment>();
  #count = 1;
  fault: (() => Promise<void> | undefined) | undefined;

  async attach(request: { podUid: string; sandboxId: string }): Promise<PodAttachment> {
    await this.fault?.();
    const ip = `10.42.0.${++this.#count}`;
    const { podUid, sandboxId } = request;
    const netnsPath = `/run/netns/${sandboxId}`;
    const made = { podUid, sandboxId, ip, ips: [ip], netnsPath, portMappings: [] };
    this.attached.set(sandboxId, made);
    return made;
  }

  async detach({ sandboxId }: { sandboxId: string }): Promise<void> {
    this.attached.delete(sandboxId);
  }

  async list() {
    return [...this.attached.values()];
  }

  async attachments() {
    return [...this.attached.values()];
  }

  async reset(): Promise<void> {
    this.attached.clear();
  }

  async clear(): Promise<void> {
    this.attached.clear();
  }

  onChange(): () => void {
    return () => {};
  }
}

export interface Bench {
  readonly clock: FakeClock;
  readonly api: TestApi;
  readonly client: Client;
  readonly runtime: ScriptedRuntime;
  readonly network: ScriptedNetwork;
  readonly dataDir: string;
  kubelet: Kubelet;
  bootId: string;
  /** Answers probes; all succeed unless it is set. */
  probe: (target: ProbeTarget, probe: Probe) => ProbeAnswer;
  /** What the node has left; plenty unless the test takes some away. */
  supply: Supply;
  /** Names below /dev that the machine has. */
  devices: string[];
  /** The machine's addresses. */
  addresses: string[];
  /** Writes to the status of pods so far. */
  readonly statusWrites: string[];
  /** DELETE requests so far. */
  deletions: number;
  /** The API cannot be reached. */
  away: boolean;
  /** The test itself holds something up: that is not waited for. */
  holds: boolean;
  create(name: string, spec: Partial<PodSpec>): Promise<Stored<Pod>>;
  get(name: string): Promise<Stored<Pod> | undefined>;
  /** Until nothing is under way but stops: files are real, so turns of the loop do not suffice. */
  settle(): Promise<void>;
  /** Lets time pass in small steps, each settled. */
  advance(ms: number): Promise<void>;
  /** A new agent on the same machine: after the old one was killed, or after a reboot. */
  restart(options?: { reboot?: boolean }): Promise<void>;
  close(): Promise<void>;
}

const STEP_MS = 250;
/** Of the machine's time: what is under way may need its disk. */
const SETTLE_MS_MAX = 30_000;

export const NODE = "n1";

export const container = (name: string, rest: Partial<Container> = {}): Container => ({
  name,
  image: "busybox:1",
  ...rest,
});

class KubeletBench implements Bench {
  readonly clock: FakeClock;
  readonly api: TestApi;
  readonly client: Client;
  readonly runtime: ScriptedRuntime;
  readonly network = new ScriptedNetwork();
  readonly dataDir: string;
  readonly statusWrites: string[] = [];
  away = false;
  holds = false;
  deletions = 0;
  kubelet: Kubelet;
  supply: Supply = {
    memoryBytes: 2 ** 29,
    memoryCapacityBytes: 2 ** 30,
    diskBytes: 2 ** 32,
    diskCapacityBytes: 2 ** 33,
    inodes: 1e6,
    inodesCapacity: 2e6,
    pids: 1e4,
    pidsCapacity: 2e4,
  };
  devices: string[] = [];
  addresses = ["192.168.7.1"];
  bootId = "boot-1";
  probe: (target: ProbeTarget, probe: Probe) => ProbeAnswer = () => ({ ok: true, message: "" });
  #stopCaches: () => void = () => {};

  constructor(clock: FakeClock, api: TestApi) {
    this.clock = clock;
    this.api = api;
    this.client = createClient((request) => {
      if (this.away) return Promise.reject(new Error("connection refused"));
      const { pathname } = new URL(request.url);
      const match = /\/pods\/([^/]+)\/status$/.exec(pathname);
      if (match?.[1] !== undefined) this.statusWrites.push(match[1]);
      if (request.method === "DELETE") this.deletions++;
      return api.api.fetch(request, { user: ADMIN });
    });
    this.runtime = new ScriptedRuntime(clock);
    this.dataDir = mkdtempSync(join(tmpdir(), "bramble-kubelet-"));
    writeFileSync(join(this.dataDir, "mounts"), "");
    for (const controller of ["cpu", "memory", "pids"]) {
      mkdirSync(join(this.dataDir, "cgroup", controller), { recursive: true });
    }
    this.kubelet = this.#make();
  }

  #make(): Kubelet {
    const { client, clock, runtime, network, dataDir } = this;
    const log = silentLog;
    const caches = createCaches({ client, clock, log });
    this.#stopCaches = () => caches.stop();
    const objects = createObjectSource({ client, clock, log });
    const volumes = createVolumes({
      client,
      objects,
      clock,
      log,
      dataDir,
      run: async () => ({ exitCode: 0, stdout: "", stderr: "" }),
      mountTable: join(dataDir, "mounts"),
      images: runtime,
    });
    return createKubelet(
      {
        client,
        caches,
        runtime,
        network,
        volumes,
        groups: createControlGroups(join(dataDir, "cgroup")),
        objects,
        clock,
        random: realRandom,
        log,
        supply: async () => this.supply,
        options: {
          nodeName: NODE,
          nodeIps: () => this.addresses,
          dataDir,
          bootId: this.bootId,
          dns: { servers: ["10.43.0.10"], domain: "cluster.local" },
          cgroupRoot: "/kubepods-test",
          devices: () => devicesOf(this.devices),
          capacity: { cpus: 2, memoryBytes: 2 ** 30, ephemeralBytes: 2 ** 33, pods: 110 },
          kubeletVersion: "v1.34.4+test",
        },
      },
      async (target, probe) => this.probe(target, probe),
    );
  }

  async start(): Promise<void> {
    const started = this.kubelet.start();
    const done = started.then(() => true);
    while (!(await Promise.race([done, new Promise((next) => setTimeout(next, 1))]))) {
      await this.clock.advance(10);
    }
    await this.client.patch(nodes, { name: NODE }, "merge", { spec: { podCIDR: "10.42.0.0/24" } });
    await this.settle();
  }

  async settle(): Promise<void> {
    const end = performance.now() + SETTLE_MS_MAX;
    for (let quiet = 0; quiet < 3 && performance.now() < end; ) {
      await this.clock.settle();
      await new Promise((done) => setTimeout(done, 1));
      quiet = this.kubelet.busy && !this.holds ? 0 : quiet + 1;
    }
  }

  async advance(ms: number): Promise<void> {
    await this.settle();
    for (let left = ms; left > 0; left -= STEP_MS) {
      await this.clock.advance(Math.min(left, STEP_MS));
      if (this.kubelet.busy) await this.settle();
    }
    await this.settle();
  }

  async create(name: string, spec: Partial<PodSpec>): Promise<Stored<Pod>> {
    const made = await this.client.create(pods, {
      metadata: { name, namespace: "default" },
      spec: {
        nodeName: NODE,
        automountServiceAccountToken: false,
        ...spec,
        containers: spec.containers ?? [container("main")],
      },
    });
    await this.settle();
    return made;
  }

  get(name: string): Promise<Stored<Pod> | undefined> {
    return this.client.get(pods, { namespace: "default", name });
  }

  async restart({ reboot = false } = {}): Promise<void> {
    await this.kubelet.stop();
    this.#stopCaches();
    if (reboot) {
      this.bootId = `${this.bootId}-again`;
      this.runtime.powerCut();
      this.network.attached.clear();
    }
    this.kubelet = this.#make();
    await this.start();
  }

  async close(): Promise<void> {
    await this.kubelet.stop();
    this.#stopCaches();
    await this.api.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

export async function startBench(): Promise<Bench> {
  const clock = fakeClock();
  const api = await startApi({ clock });
  const bench = new KubeletBench(clock, api);
  const existing = await bench.client.get(namespaces, { name: "default" });
  if (existing === undefined) {
    await bench.client.create(namespaces, { metadata: { name: "default" } });
  }
  await bench.start();
  return bench;
}
