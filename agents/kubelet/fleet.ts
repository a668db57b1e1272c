/** The workers of this node's pods: made when a pod comes, forgotten when nothing of it is left. */
import { resourcesByName } from "#agents/kubelet/allocate.ts";
import type { Context, PodWork } from "#agents/kubelet/context.ts";
import type { Room } from "#agents/kubelet/room.ts";
import type { PodRecord } from "#agents/kubelet/types.ts";
import { PodWorker } from "#agents/kubelet/worker.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

const isOverInApi = ({ status }: Pod): boolean =>
  status?.phase === "Succeeded" || status?.phase === "Failed";

export class Fleet {
  readonly workers = new Map<string, PodWorker>();
  /** Of this agent and of those before it, by pod uid. */
  readonly records = new Map<string, PodRecord>();

  /** The pod is there or has changed. `mirrored`: it comes from a file, the API has its mirror. */
  take(pod: Stored<Pod>, context: Context, room: Room, mirrored = false): void {
    const { uid, deletionTimestamp } = pod.metadata;
    const known = this.workers.get(uid);
    if (known !== undefined) {
      known.update(pod);
      room.allocate(known);
      return;
    }
    const kept = this.records.get(uid);
    // Over, and not by our doing: there is nothing to run and nothing to tell.
    if (kept === undefined && isOverInApi(pod) && deletionTimestamp === undefined) return;
    const worker = new PodWorker(context, pod, kept ?? newRecord(pod, context), mirrored);
    if (kept === undefined && deletionTimestamp === undefined) room.admit(worker);
    room.allocate(worker);
    this.workers.set(uid, worker);
    worker.wake();
  }

  /** The pod is gone where it came from. */
  gone(uid: string): void {
    this.workers.get(uid)?.update(undefined);
  }

  /** Nothing is left of it on the node. */
  forget(worker: PodWork, context: Context): void {
    worker.stop();
    this.workers.delete(worker.uid);
    this.records.delete(worker.uid);
    context.logs.forget(context.records.directory(worker.uid));
    void context.records.remove(worker.uid);
  }
}

function newRecord(pod: Stored<Pod>, { clock, options }: Context): PodRecord {
  const { uid, name, namespace = "" } = pod.metadata;
  return {
    uid,
    namespace,
    name,
    bootId: options.bootId,
    startTimeMs: clock.now(),
    sandboxes: 0,
    initialized: false,
    containers: {},
    allocated: resourcesByName(pod),
    cleaned: isOverInApi(pod),
  };
}
