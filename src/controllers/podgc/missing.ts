/** Nodes that pods are bound to and that are not there, and since when each is missed. */
import type { Clock } from "#base/clock.ts";
import type { World } from "#client/controller.ts";
import { podsByNode } from "#controllers/common/pods.ts";
import { timeMs } from "#controllers/common/time.ts";
import type { MissingNode } from "#controllers/podgc/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

/** The key of a node that is not there, for all its pods; those of pods have a namespace. */
export const nodeKey = (name: string): string => `/${name}`;

/** The node of such a key; undefined for a pod's. */
export const nodeOfKey = (key: string): string | undefined =>
  key.startsWith("/") ? key.slice(1) : undefined;

/** Whoever binds a pod to a node that is yet to come gives it the same time. */
function youngest(missedMs: number, pod: Stored<Pod>, now: number): number {
  return Math.min(missedMs, Math.max(0, now - (timeMs(pod.metadata.creationTimestamp) ?? 0)));
}

export class MissingNodes {
  readonly #clock: Clock;
  /** When each was first missed. Its key will be run again: no need to wake it. */
  readonly #sinceMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Looks whether the node is there; milliseconds for which the pod may count it as missing. */
  missedMs(pod: Stored<Pod>, { caches, now }: World): number | undefined {
    const name = pod.spec?.nodeName ?? "";
    const known = name === "" || caches.of(nodes).get(name) !== undefined;
    const sinceMs = this.#look(name, known);
    return sinceMs === undefined ? undefined : youngest(sinceMs, pod, now);
  }

  /** The pods of a node that is missing; nothing where none is left. */
  read(name: string, { caches, now }: World): MissingNode | undefined {
    const onNode = caches.of(pods).indexed(podsByNode, name);
    const known = caches.of(nodes).get(name) !== undefined || onNode.length === 0;
    const sinceMs = this.#look(name, known);
    if (sinceMs === undefined) return undefined;
    return { missed: onNode.map((pod) => ({ key: keyOf(pod), ms: youngest(sinceMs, pod, now) })) };
  }

  isAwaited(name: string): boolean {
    return this.#sinceMs.has(name);
  }

  #look(name: string, known: boolean): number | undefined {
    if (known) {
      this.#sinceMs.delete(name);
      return undefined;
    }
    const nowMs = this.#clock.monotonic();
    const sinceMs = this.#sinceMs.get(name) ?? nowMs;
    this.#sinceMs.set(name, sinceMs);
    return nowMs - sinceMs;
  }
}
