/**
 * Containers and their ends: events of the runtime, and the look at all of them that heals a lost
 * one.
 */

import type { PodWork } from "#agents/kubelet/context.ts";
import type { KubeletDeps } from "#agents/kubelet/options.ts";
import { PAUSE_NAME } from "#agents/kubelet/pause.ts";
import { isRunning, specOf } from "#agents/kubelet/pod.ts";
import { cgroupParent } from "#agents/kubelet/qos.ts";
import { terminationMessage } from "#agents/kubelet/termination.ts";
import type { RunRecord } from "#agents/kubelet/types.ts";
import type { Container, RuntimeEvent } from "#agents/runtime/runtime.ts";
import { type Cancel, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

interface Owner {
  worker: PodWork;
  name: string;
}

/** The exit code of a container that vanished (upstream's ContainerStatusUnknown). */
const LOST = {
  exitCode: 137,
  reason: "ContainerStatusUnknown",
  message: "The container could not be located when the pod was terminated",
};

export class Containers {
  readonly #deps: KubeletDeps;
  readonly #owners = new Map<string, Owner>();
  /** Exits that came before the start was answered. */
  readonly #early = new Map<string, RuntimeEvent>();
  readonly #oomed = new Set<string>();
  readonly #trash = new Set<string>();
  readonly #signal: AbortSignal;
  readonly #problem: (text: string | undefined) => void;
  #trashTimer: Cancel | undefined;
  #sweepTimer: Cancel | undefined;
  #syncing = false;
  #syncAgain = false;

  /** `problem` hears why the runtime does not answer, and when it does again. */
  constructor(deps: KubeletDeps, signal: AbortSignal, problem: (text: string | undefined) => void) {
    this.#deps = deps;
    this.#problem = problem;
    this.#signal = signal;
  }

  watch(other: (event: RuntimeEvent) => void): void {
    this.#deps.runtime.watch((event) => {
      this.#event(event);
      other(event);
    }, this.#signal);
    this.#sweepLater();
  }

  stop(): void {
    this.#trashTimer?.();
    this.#sweepTimer?.();
  }

  own(id: string, worker: PodWork, name: string): void {
    this.#owners.set(id, { worker, name });
    const early = this.#early.get(id);
    this.#early.delete(id);
    if (early !== undefined) this.#event(early);
  }

  discard(ids: readonly string[]): void {
    for (const id of ids) {
      this.#owners.delete(id);
      this.#oomed.delete(id);
      this.#trash.add(id);
    }
    const { clock } = this.#deps;
    this.#trashTimer ??= clock.after(limits.containerDiscardMs, () => void this.#empty());
  }

  async #empty(): Promise<void> {
    this.#trashTimer = undefined;
    const ids = [...this.#trash];
    if (!(await this.#removed(ids)) && ids.length > 1) {
      // One that cannot be removed must not keep those of other pods.
      for (const id of ids) if (!this.#signal.aborted) await this.#removed([id]);
    }
    if (this.#trash.size > 0 && !this.#signal.aborted) this.discard([]);
  }

  async #removed(ids: readonly string[]): Promise<boolean> {
    try {
      await this.#deps.runtime.remove(ids);
      for (const id of ids) this.#trash.delete(id);
      return true;
    } catch (error) {
      this.#deps.log.warn("dead containers not removed", { error: messageOf(error) });
      return false;
    }
  }

  #event(event: RuntimeEvent): void {
    if (event.type === "reconnected") {
      this.resync();
      return;
    }
    if (event.type === "oom") {
      this.#oomed.add(event.containerId);
      return;
    }
    if (event.type !== "exit" || event.execId !== "") return;
    const owner = this.#owners.get(event.containerId);
    if (owner !== undefined) {
      void this.#ended(event.containerId, owner, event.exitCode, event.atMs);
      return;
    }
    this.#early.set(event.containerId, event);
    const [oldest] = this.#early.keys();
    if (this.#early.size > limits.earlyExitsMax && oldest) this.#early.delete(oldest);
  }

  async #ended(id: string, owner: Owner, exitCode: number, atMs: number): Promise<void> {
    if (owner.name === PAUSE_NAME) {
      owner.worker.pauseEnded(id);
      return;
    }
    const run = owner.worker.record.containers[owner.name]?.current;
    if (!isRunning(run) || run.id !== id) return;
    this.#owners.delete(id);
    const { operations } = owner.worker;
    const key = `exit:${owner.name}`;
    operations.set(key, { startedAtMs: this.#deps.clock.now() });
    const { worker, name } = owner;
    const message = await terminationMessage(worker, name, run.attempt, exitCode).catch(() => "");
    const oomed = exitCode !== 0 && (this.#oomed.has(id) || (await this.#wasOomed(owner, id)));
    const reason = oomed ? "OOMKilled" : exitCode === 0 ? "Completed" : "Error";
    operations.delete(key);
    worker.ended(name, id, {
      exitCode,
      reason,
      finishedAtMs: Math.max(atMs, run.startedAtMs),
      ...(message !== "" && { message }),
    });
  }

  /**
   * The runtime may lose the event when the container ends with it; its control group still tells.
   */
  async #wasOomed({ worker }: Owner, id: string): Promise<boolean> {
    const { groups, options } = this.#deps;
    const parent = cgroupParent(options.cgroupRoot, specOf(worker.pod), worker.uid);
    return ((await groups.stats(`${parent}/${id}`))?.oomKills ?? 0) > 0;
  }

  #sweepLater(): void {
    this.#sweepTimer = this.#deps.clock.after(limits.containerSweepMs, () => {
      this.resync();
      this.#sweepLater();
    });
  }

  /** Compares all containers with the records. One look at a time. */
  resync(): void {
    this.#syncAgain = true;
    if (this.#syncing) return;
    this.#syncing = true;
    void this.#sync();
  }

  async #sync(): Promise<void> {
    while (this.#syncAgain && !this.#signal.aborted) {
      this.#syncAgain = false;
      // Owners before the list: what starts meanwhile is not in either.
      const owners = [...this.#owners];
      try {
        const list = await this.#deps.runtime.list();
        this.#problem(undefined);
        this.compare(owners, new Map(list.map((container) => [container.id, container])));
      } catch (error) {
        this.#deps.log.warn("containers not listed", { error: messageOf(error) });
        this.#problem(`container runtime is down: ${messageOf(error)}`);
        this.#syncAgain = true;
        await sleep(this.#deps.clock, limits.runtimeRetryMs, this.#signal);
      }
    }
    // In the turn in which the last look was taken: who asks later must begin anew.
    this.#syncing = false;
  }

  compare(owners: ReadonlyArray<[string, Owner]>, found: ReadonlyMap<string, Container>): void {
    for (const [id, owner] of owners) {
      const container = found.get(id);
      if (container?.state === "running") continue;
      if (container?.state === "exited") {
        const atMs = container.finishedAtMs ?? this.#deps.clock.now();
        void this.#ended(id, owner, container.exitCode ?? LOST.exitCode, atMs);
      } else if (container === undefined || container.state === "created") {
        if (owner.name === PAUSE_NAME) owner.worker.pauseEnded(id);
        const end: Partial<RunRecord> = { ...LOST, finishedAtMs: this.#deps.clock.now() };
        owner.worker.ended(owner.name, id, end);
      }
    }
  }
}
