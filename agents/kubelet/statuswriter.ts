/**
 * Writes a pod's status, and as seldom as it can: nothing that did not change, and nothing that the
 * next moment makes untrue (a pod that is just being started).
 */

import type { PodWork, StatusTeller } from "#agents/kubelet/context.ts";
import { podStatus } from "#agents/kubelet/status.ts";
import { statusPatch } from "#agents/kubelet/statuspatch.ts";
import { backoffMs } from "#base/backoff.ts";
import type { Cancel } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { isNotFound } from "#client/client.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { ContainerStatus, Json, PodStatus } from "#resources/types.gen.ts";

const IDLE_WAITS = new Set(["ContainerCreating", "PodInitializing"]);

const creating = ({ state }: ContainerStatus): boolean =>
  IDLE_WAITS.has(state?.waiting?.reason ?? "");

/** How long a status may wait for a better one. */
function lazyMs(status: PodStatus): number {
  const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  if (status.phase === "Succeeded" || status.phase === "Failed") return 0;
  if (all.every(creating)) return limits.podStatusPendingMs;
  const plain = all.every((one) => creating(one) || one.state?.running !== undefined);
  return plain && all.some(creating) ? limits.podStatusPartialMs : 0;
}

/** Without what follows from the deletion of a pod that everybody knows of. */
function withoutTrifles(status: PodStatus | undefined): object {
  const { conditions = [], observedGeneration: _, ...rest } = status ?? {};
  const told = conditions.flatMap(({ observedGeneration: __, ...one }) =>
    one.type === "PodReadyToStartContainers" ? [] : [[one.type, one] as const],
  );
  return { ...rest, conditions: Object.fromEntries(told) };
}

interface Change {
  status: PodStatus;
  patch: Json;
  /** Of a pod that is going, and nothing that anybody waits for: its end soon tells more. */
  trifling: boolean;
}

const revision = (text: string): bigint => (/^\d+$/.test(text) ? BigInt(text) : 0n);

export class StatusWriter implements StatusTeller {
  readonly #worker: PodWork;
  /** What the API has, from the cache or from the answer to our own write, whichever is newer. */
  #known: { revision: string; status: PodStatus | undefined };
  #sending: Promise<void> | undefined;
  #timer: { cancel: Cancel; atMs: number } | undefined;
  #failures = 0;
  /**
   * The last patch that was taken: should the API keep less than it was told, it is not told again.
   */
  #taken = "";
  #stopped = false;

  constructor(worker: PodWork) {
    this.#worker = worker;
    const { shown } = worker;
    this.#known = { revision: shown?.metadata.resourceVersion ?? "", status: shown?.status };
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** Why a container has not started. */
  waitingReason(container: string): string {
    const status = podStatus(this.#worker.state(), this.#known.status);
    const all = [
      ...(status.initContainerStatuses ?? []),
      ...(status.containerStatuses ?? []),
      ...(status.ephemeralContainerStatuses ?? []),
    ];
    return all.find(({ name }) => name === container)?.state?.waiting?.reason ?? "";
  }

  /** The API has the pod's present status, or has lost the pod. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#sending !== undefined) await this.#sending;
    const change = this.#change();
    if (change === undefined || change.trifling || !this.#worker.exists) return;
    const writing = this.#write(change.patch);
    // Nobody else writes the same beside it.
    this.#sending = writing
      .catch(() => {})
      .finally(() => {
        this.#sending = undefined;
      });
    await writing;
  }

  /** The API answers again: what it does not know yet must not wait out the back-off. */
  retry(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.report();
  }

  report(): void {
    if (this.#stopped || this.#sending !== undefined || !this.#worker.exists) return;
    const change = this.#change();
    if (change === undefined) {
      this.#timer?.cancel();
      this.#timer = undefined;
      return;
    }
    const retry =
      this.#failures === 0
        ? 0
        : backoffMs(this.#failures, limits.podStatusRetryMsMin, limits.podStatusRetryMsMax);
    const goingMs = change.trifling ? limits.podStatusGoingMs : 0;
    const delayMs = Math.max(lazyMs(change.status), goingMs, retry);
    if (delayMs > 0) {
      this.#later(delayMs);
      return;
    }
    this.#timer?.cancel();
    this.#send(change);
  }

  #later(delayMs: number): void {
    const { clock } = this.#worker.context;
    const atMs = clock.monotonic() + delayMs;
    // The first wish counts: a status that keeps changing must not be put off for ever.
    if (this.#timer !== undefined) {
      if (this.#timer.atMs <= atMs) return;
      this.#timer.cancel();
    }
    const cancel = clock.after(delayMs, () => {
      this.#timer = undefined;
      const change = this.#change();
      if (change !== undefined && this.#sending === undefined) this.#send(change);
    });
    this.#timer = { atMs, cancel };
  }

  #change(): Change | undefined {
    const { shown } = this.#worker;
    if (shown === undefined) return undefined;
    if (revision(shown.metadata.resourceVersion) > revision(this.#known.revision)) {
      this.#known = { revision: shown.metadata.resourceVersion, status: shown.status };
      this.#taken = "";
    }
    const status = podStatus(this.#worker.state(), this.#known.status);
    const patch = statusPatch(shown.metadata.uid, this.#known.status, status);
    if (patch === undefined || JSON.stringify(patch) === this.#taken) return undefined;
    const trifling =
      shown.metadata.deletionTimestamp !== undefined &&
      Bun.deepEquals(withoutTrifles(this.#known.status), withoutTrifles(status));
    return { status, patch, trifling };
  }

  #send(change: Change): void {
    this.#timer = undefined;
    if (this.#stopped) return;
    this.#sending = this.#write(change.patch)
      .catch((error: unknown) => {
        this.#failures++;
        const pod = this.#worker.record.name;
        this.#worker.context.log.debug("pod status not written", { pod, error: messageOf(error) });
      })
      .finally(() => {
        this.#sending = undefined;
        this.report();
      });
  }

  async #write(patch: Json): Promise<void> {
    const { context, record } = this.#worker;
    const ref = { namespace: record.namespace, name: record.name };
    try {
      const stored = await context.client.patch(pods, ref, "strategic", patch, {
        subresource: "status",
      });
      this.#known = { revision: stored.metadata.resourceVersion, status: stored.status };
      this.#failures = 0;
      this.#taken = JSON.stringify(patch);
    } catch (error) {
      // A conflict (another pod of the same name) is tried again until the cache shows the truth.
      if (!isNotFound(error)) throw error;
      // A mirror is made again, and then told.
      if (this.#worker.mirrored) this.#worker.shown = undefined;
      else this.#stopped = true;
    }
  }
}
