/**
 * Machines without containers. What runs on each is kept apart from what the API believes: a
 * machine that is cut off runs on, one without power runs nothing and forgets nothing of its name.
 */
import { type Client, StatusError } from "#client/client.ts";
import { leases } from "#resources/kinds/lease.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { pods } from "#resources/kinds/pod.ts";
import {
  isLocalVolume,
  SIZE,
  STORAGE_PATH,
  VOLUME_FINALIZER,
  VOLUME_NODE,
} from "#resources/localvolume.ts";
import { controllerOf, keyOf, keyRef, type Stored } from "#resources/meta.ts";
import type { Node, PersistentVolume, Pod } from "#resources/types.gen.ts";
import type { FakeClock } from "#test/support/clock.ts";
import type { Chance } from "#test/support/faults.ts";

const LEASES = "kube-node-lease";
export const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";
const text = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

export interface MachinesOptions {
  readonly client: Client;
  readonly clock: FakeClock;
  readonly chance: Chance;
}

export class Machines {
  readonly #options: MachinesOptions;
  /** These are never cut off and never without power. */
  readonly steady = ["s1", "s2"];
  readonly shaky = ["n1", "n2", "n3", "n4"];
  readonly names = [...this.steady, ...this.shaky];
  /** Nobody hears of them: their containers run on. */
  readonly cut = new Set<string>();
  /** Without power: nothing runs. */
  readonly off = new Set<string>();
  /** Containers by machine: uid of the pod -> its key. */
  readonly running = new Map<string, Map<string, string>>();
  /** Nothing fails by itself any more. */
  calm = false;

  constructor(options: MachinesOptions) {
    this.#options = options;
    for (const name of this.names) this.running.set(name, new Map());
  }

  powerOff(name: string): void {
    this.off.add(name);
    this.running.get(name)?.clear();
  }

  heal(): void {
    this.calm = true;
    this.cut.clear();
    this.off.clear();
  }

  async join(name: string): Promise<void> {
    const { client } = this.#options;
    const labels = {
      "kubernetes.io/hostname": name,
      steady: String(this.steady.includes(name)),
    };
    const annotations = { [STORAGE_PATH]: "/srv" };
    await client.create(nodes, { metadata: { name, labels, annotations } });
    await this.#report(name);
    const metadata = { namespace: LEASES, name };
    const spec = { holderIdentity: name, leaseDurationSeconds: 10 };
    await this.#quietly(() => client.create(leases, { metadata, spec }));
  }

  async #report(name: string): Promise<void> {
    const { client, clock } = this.#options;
    const time = text(clock.now());
    const ready = { type: "Ready", status: "True", lastTransitionTime: time };
    const capacity = { cpu: "64", memory: "64Gi", pods: "500" };
    const status = { conditions: [ready], capacity, allocatable: capacity };
    await client.patch(nodes, { name }, "merge", { status }, { subresource: "status" });
  }

  /** Every machine that can takes a turn: a second of an agent's life. */
  async turn(): Promise<void> {
    const { client } = this.#options;
    const up = this.names.filter((name) => !this.cut.has(name) && !this.off.has(name));
    for (const name of up) await this.#beat(name);
    const { items } = await client.list(pods);
    const known = new Set(items.map(({ metadata }) => metadata.uid));
    for (const name of up) {
      const here = this.running.get(name);
      for (const uid of here?.keys() ?? []) if (!known.has(uid)) here?.delete(uid);
    }
    for (const pod of items) {
      if (up.includes(pod.spec?.nodeName ?? "")) await this.#quietly(() => this.#tend(pod));
    }
    for (const volume of (await client.list(persistentVolumes)).items) {
      await this.#quietly(() => this.#hold(volume, up));
    }
  }

  async #beat(name: string): Promise<void> {
    const { client, clock } = this.#options;
    const renewTime = new Date(clock.now()).toISOString().replace("Z", "000Z");
    const node = await client.get(nodes, { name });
    if (node === undefined) return this.join(name);
    const ref = { namespace: LEASES, name };
    await this.#quietly(() => client.patch(leases, ref, "merge", { spec: { renewTime } }));
    const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
    if (ready?.status !== "True") await this.#report(name);
    await this.#backInService(node);
  }

  /** Who said that a machine is out of service takes it back when the machine runs again. */
  async #backInService(node: Stored<Node>): Promise<void> {
    const taints = node.spec?.taints ?? [];
    const left = taints.filter(({ key }) => key !== OUT_OF_SERVICE);
    if (left.length === taints.length) return;
    const { resourceVersion, name } = node.metadata;
    const body = { metadata: { resourceVersion }, spec: { taints: left } };
    await this.#quietly(() => this.#options.client.patch(nodes, { name }, "merge", body));
  }

  async #tend(pod: Stored<Pod>): Promise<void> {
    const { client, chance } = this.#options;
    const here = this.running.get(pod.spec?.nodeName ?? "");
    const { uid } = pod.metadata;
    if (pod.metadata.deletionTimestamp) {
      if (chance.next() < 0.3) return;
      here?.delete(uid);
      await client.delete(pods, keyRef(keyOf(pod)), { uid, gracePeriodSeconds: 0 });
      return;
    }
    const phase = pod.status?.phase;
    const fails = !this.calm && pod.metadata.labels?.["fails"] === "true";
    if (phase === "Pending" && chance.next() < 0.7) {
      here?.set(uid, keyOf(pod));
      await this.#status(pod, "Running", true);
    } else if (phase === "Running" && controllerOf(pod)?.kind === "Job" && chance.next() < 0.4) {
      here?.delete(uid);
      const goes = fails && chance.next() < 0.3;
      await this.#status(pod, goes ? "Failed" : "Succeeded", false);
    } else if (phase === "Running" && fails && chance.next() < 0.02) {
      here?.delete(uid);
      await this.#status(pod, "Failed", false);
    } else if (phase === "Running") {
      // After a power cut its containers are started again, in the same pod.
      here?.set(uid, keyOf(pod));
      const ready = pod.status?.conditions?.find(({ type }) => type === "Ready")?.status;
      if (ready !== "True") await this.#status(pod, "Running", true);
    }
  }

  async #status(pod: Stored<Pod>, phase: string, ready: boolean): Promise<void> {
    const { client, clock } = this.#options;
    const lastTransitionTime = text(clock.now());
    const { uid } = pod.metadata;
    const index = [...uid].reduce((sum, one) => (sum * 31 + one.charCodeAt(0)) % 65_000, 7);
    const podIP = `10.42.${index >> 8}.${index & 255}`;
    const body = {
      metadata: { uid },
      status: {
        phase,
        podIP,
        podIPs: [{ ip: podIP }],
        conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime }],
      },
    };
    await client.patch(pods, keyRef(keyOf(pod)), "merge", body, { subresource: "status" });
  }

  /** The agent's half of local volumes: says what size they have, lets go of deleted ones. */
  async #hold(volume: Stored<PersistentVolume>, up: readonly string[]): Promise<void> {
    const { client } = this.#options;
    const { name, uid, labels, annotations, finalizers, deletionTimestamp } = volume.metadata;
    if (!isLocalVolume(volume) || !up.includes(labels?.[VOLUME_NODE] ?? "")) return;
    const size = volume.spec?.capacity?.["storage"] ?? "0";
    if (deletionTimestamp === undefined) {
      if (annotations?.[SIZE] === size) return;
      const metadata = { uid, annotations: { [SIZE]: size } };
      await client.patch(persistentVolumes, { name }, "merge", { metadata });
    } else if (finalizers?.join() === VOLUME_FINALIZER) {
      await client.patch(persistentVolumes, { name }, "merge", {
        metadata: { uid, finalizers: null },
      });
    }
  }

  async #quietly(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
    }
  }
}
