/**
 * Nodes without containers: they take pods, call them Running and Ready, and end them when they are
 * deleted, through the API as a real agent does. Not scheduled pods go to the nodes in turn.
 */
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Cache, Caches } from "#client/cache.types.ts";
import { type Client, StatusError } from "#client/client.ts";
import { targetNode } from "#controllers/daemonset/daemon.ts";
import { leases } from "#resources/kinds/lease.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, keyRef, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

export interface HollowOptions {
  client: Client;
  caches: Caches;
  clock: Clock;
  log: Log;
  nodes: readonly string[];
  signal: AbortSignal;
  /** Bind pods too; false where the real scheduler runs. */
  bind?: boolean;
  /** Milliseconds from start to Ready. */
  startMs?: number;
  /** How often each node renews its Lease; default 1 s. */
  renewMs?: number;
  /** False for a pod that never becomes ready. */
  becomesReady?: (pod: Stored<Pod>) => boolean;
}

const text = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

export class Hollow {
  readonly #options: HollowOptions;
  readonly #pods: Cache<Pod>;
  readonly #busy = new Set<string>();
  /** Changed while they were busy. */
  readonly #dirty = new Set<string>();
  /** Nodes that are cut off: they neither renew nor run nor end anything. */
  readonly cut = new Set<string>();
  readonly #names: Set<string>;
  #next = 0;
  #address = 0;

  constructor(options: HollowOptions) {
    this.#options = options;
    this.#pods = options.caches.of(pods);
    this.#names = new Set(options.nodes);
  }

  async start(): Promise<void> {
    const { signal } = this.#options;
    await Promise.all(this.#options.nodes.map((name) => this.join(name)));
    const end = this.#pods.onChange(({ key }) => this.#look(key));
    signal.addEventListener("abort", end);
    for (const pod of this.#pods.list()) this.#look(keyOf(pod));
    this.#renewAll();
  }

  async join(name: string): Promise<void> {
    const { client } = this.#options;
    this.#names.add(name);
    const labels = { "kubernetes.io/hostname": name };
    const made = await this.#quietly(() => client.create(nodes, { metadata: { name, labels } }));
    if (made !== undefined) await this.#report(name);
    const spec = { holderIdentity: name, leaseDurationSeconds: 10 };
    const metadata = { namespace: "kube-node-lease", name };
    await this.#quietly(() => client.create(leases, { metadata, spec }));
  }

  async #report(name: string): Promise<void> {
    const { client, clock } = this.#options;
    const resources = { cpu: "64", memory: "256Gi", pods: "500" };
    const time = text(clock.now());
    const ready = { type: "Ready", status: "True", reason: "KubeletReady", message: "" };
    const conditions = [{ ...ready, lastHeartbeatTime: time, lastTransitionTime: time }];
    const status = { capacity: resources, allocatable: resources, conditions };
    await client.patch(nodes, { name }, "merge", { status }, { subresource: "status" });
  }

  #renewAll(): void {
    const { client, clock, signal, renewMs = 1000 } = this.#options;
    if (signal.aborted) return;
    const renewTime = new Date(clock.now()).toISOString().replace("Z", "000Z");
    for (const name of this.#names) {
      if (this.cut.has(name)) continue;
      const ref = { namespace: "kube-node-lease", name };
      void this.#quietly(() => client.patch(leases, ref, "merge", { spec: { renewTime } }));
      const ready = this.#options.caches
        .of(nodes)
        .get(name)
        ?.status?.conditions?.find(({ type }) => type === "Ready");
      if (ready?.status === "Unknown") void this.#quietly(() => this.#report(name));
    }
    clock.after(renewMs, () => this.#renewAll());
  }

  #look(key: string): void {
    if (this.#options.signal.aborted) return;
    if (this.#busy.has(key)) {
      this.#dirty.add(key);
      return;
    }
    this.#busy.add(key);
    void this.#quietly(() => this.#step(key)).then(() => {
      this.#busy.delete(key);
      if (this.#dirty.delete(key)) this.#look(key);
    });
  }

  async #step(key: string): Promise<void> {
    const { client, clock, bind = true, startMs = 0, becomesReady = () => true } = this.#options;
    const pod = this.#pods.get(key);
    if (pod === undefined) return;
    const ref = keyRef(key);
    const nodeName = pod.spec?.nodeName;
    if (!nodeName) {
      if (!bind || pod.metadata.deletionTimestamp) return;
      const up = [...this.#names].filter((one) => !this.cut.has(one));
      const name = targetNode(pod) ?? up[this.#next++ % up.length] ?? "";
      const target = { apiVersion: "v1", kind: "Node", name };
      const body = { apiVersion: "v1", kind: "Binding", metadata: { name: ref.name }, target };
      await client.post(pods, ref, "binding", body);
      return;
    }
    if (this.cut.has(nodeName) || !this.#names.has(nodeName)) return;
    if (pod.metadata.deletionTimestamp !== undefined) {
      await client.delete(pods, ref, { gracePeriodSeconds: 0, uid: pod.metadata.uid });
      return;
    }
    if (pod.status?.phase !== "Pending") return;
    if (startMs > 0) await new Promise<void>((done) => clock.after(startMs, done));
    const time = text(clock.now());
    const status = becomesReady(pod) ? "True" : "False";
    const condition = (type: string) => ({ type, status, lastTransitionTime: time });
    const podIP = `10.42.${(this.#address >> 8) & 255}.${this.#address++ & 255}`;
    await client.patch(
      pods,
      ref,
      "merge",
      {
        metadata: { uid: pod.metadata.uid },
        status: {
          phase: "Running",
          podIP,
          podIPs: [{ ip: podIP }],
          startTime: time,
          conditions: [condition("Ready"), condition("ContainersReady")],
        },
      },
      { subresource: "status" },
    );
  }

  async #quietly<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const everyday = error instanceof StatusError && [404, 409].includes(error.code);
      if (!everyday && !this.#options.signal.aborted) {
        this.#options.log.warn("a hollow node failed", { error: messageOf(error) });
      }
      return undefined;
    }
  }
}
