/** The scheduler's writes: bindings, volumes of pods, evictions, and why a pod waits. */
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Caches } from "#client/cache.types.ts";
import { type Client, isNotFound } from "#client/client.ts";
import { createRecorder, type Recorder } from "#client/events.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, keyRef, type Stored } from "#resources/meta.ts";
import type { PersistentVolumeClaim, Pod } from "#resources/types.gen.ts";
import { DEFAULT_SCHEDULER } from "#scheduler/profiles.ts";
import { preemptedPatch, unschedulablePatch } from "#scheduler/status.ts";
import { isFullyBound, SELECTED_NODE, type VolumeWork } from "#scheduler/storage.ts";
import { schedulerOf } from "#scheduler/waiting.ts";

export interface WriterOptions {
  client: Client;
  caches: Caches;
  clock: Clock;
  log: Log;
  /** For the default profile; others get their own. */
  recorder: Recorder;
  signal: AbortSignal;
}

const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";

export class Writer {
  readonly #options: WriterOptions;
  readonly #recorders = new Map<string, Recorder>();

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#recorders.set(DEFAULT_SCHEDULER, options.recorder);
  }

  event(about: Stored<Pod>, type: "Normal" | "Warning", reason: string, message: string): void {
    this.#record(schedulerOf(about), about, type, reason, message);
  }

  #record(
    component: string,
    about: Stored<Pod>,
    type: "Normal" | "Warning",
    reason: string,
    message: string,
  ): void {
    let recorder = this.#recorders.get(component);
    if (recorder === undefined) {
      recorder = createRecorder({ ...this.#options, component });
      this.#recorders.set(component, recorder);
    }
    // Objects of a list carry no kind; an event must name it.
    recorder.record({
      about: { ...about, apiVersion: "v1", kind: "Pod" },
      type,
      reason,
      message,
    });
  }

  async bind(pod: Stored<Pod>, nodeName: string): Promise<void> {
    const { name, namespace = "", uid } = pod.metadata;
    await this.#options.client.post(pods, { namespace, name }, "binding", {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name, namespace, uid },
      target: { kind: "Node", name: nodeName },
    });
    const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`;
    this.event(pod, "Normal", "Scheduled", message);
  }

  /** Why the pod waits, where that is news; and where room is made for it. Never throws. */
  async explain(pod: Stored<Pod>, message: string, nominated?: string): Promise<void> {
    const { client, clock, log } = this.#options;
    const patch = unschedulablePatch(pod, message, clock.now(), nominated);
    if (patch === undefined) return;
    const ref = keyRef(keyOf(pod));
    this.event(pod, "Warning", "FailedScheduling", message);
    try {
      await client.patch(pods, ref, "strategic", patch, { subresource: "status" });
    } catch (error) {
      if (!isNotFound(error)) log.warn("status of a waiting pod", { error: messageOf(error) });
    }
  }

  /** Drives a victim out. Throws what the API refuses. */
  async evict(victim: Stored<Pod>, preemptor: Stored<Pod>, nodeName: string): Promise<void> {
    const { client, clock } = this.#options;
    const ref = keyRef(keyOf(victim));
    const schedulerName = schedulerOf(preemptor);
    const leaves = victim.metadata.deletionTimestamp !== undefined;
    try {
      const patch = preemptedPatch(victim, schedulerName, clock.now());
      if (!leaves) await client.patch(pods, ref, "strategic", patch, { subresource: "status" });
      if (!leaves) await client.delete(pods, ref, { uid: victim.metadata.uid });
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
    const message = `Preempted by pod ${preemptor.metadata.uid} on node ${nodeName}`;
    this.#record(schedulerName, victim, "Normal", "Preempted", message);
  }

  /** Lower pods that wait for the same room look for another. Never throws. */
  async unnominate(pod: Stored<Pod>): Promise<void> {
    const { client, log } = this.#options;
    const body = { metadata: { uid: pod.metadata.uid }, status: { nominatedNodeName: null } };
    try {
      await client.patch(pods, keyRef(keyOf(pod)), "merge", body, { subresource: "status" });
    } catch (error) {
      if (!isNotFound(error)) log.debug("a nomination stays", { error: messageOf(error) });
    }
  }

  /** Gives claims their volumes and waits until all are bound. Throws Error with the reason. */
  async prepareVolumes({ bind, provision }: VolumeWork, nodeName: string): Promise<void> {
    const { client } = this.#options;
    for (const { volume, claim } of bind) {
      const { uid, resourceVersion } = volume.metadata;
      await client.patch(persistentVolumes, { name: volume.metadata.name }, "merge", {
        metadata: { uid, resourceVersion, annotations: { [BOUND_BY_CONTROLLER]: "yes" } },
        spec: { claimRef: referenceTo(claim) },
      });
    }
    for (const claim of provision) {
      const { uid } = claim.metadata;
      await client.patch(persistentVolumeClaims, keyRef(keyOf(claim)), "merge", {
        metadata: { uid, annotations: { [SELECTED_NODE]: nodeName } },
      });
    }
    const claims = [...bind.map(({ claim }) => claim), ...provision];
    await Promise.all(claims.map((claim) => this.#bound(claim, provision.includes(claim))));
  }

  /** Resolves when the claim is bound. No polling: the cache tells. */
  async #bound(claim: Stored<PersistentVolumeClaim>, provisioned: boolean): Promise<void> {
    const { caches, clock, signal } = this.#options;
    const cache = caches.of(persistentVolumeClaims);
    const key = keyOf(claim);
    const done = new AbortController();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let selected = false;
    const look = (): void => {
      const now = cache.get(key);
      if (now?.metadata.uid !== claim.metadata.uid) reject(new Error(`claim ${key} is gone`));
      else if (isFullyBound(now)) resolve();
      const node = now?.metadata.annotations?.[SELECTED_NODE];
      // A provisioner that cannot make it there takes the annotation away.
      if (provisioned && selected && node === undefined) {
        reject(new Error(`selectedNode annotation reset for PVC "${claim.metadata.name}"`));
      }
      selected ||= node !== undefined;
    };
    const end = cache.onChange((change) => change.key === key && look());
    const abort = AbortSignal.any([signal, done.signal]);
    void sleep(clock, limits.volumeBindingMsMax, abort).then(() =>
      reject(new Error("binding volumes: context deadline exceeded")),
    );
    look();
    try {
      await promise;
    } finally {
      end();
      done.abort();
    }
  }
}

const referenceTo = ({ metadata }: Stored<PersistentVolumeClaim>) => ({
  kind: "PersistentVolumeClaim",
  apiVersion: "v1",
  namespace: metadata.namespace ?? "",
  name: metadata.name,
  uid: metadata.uid,
  resourceVersion: metadata.resourceVersion,
});
