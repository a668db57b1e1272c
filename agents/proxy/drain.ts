/**
 * When a pod that is being deleted gets no new connections any more. Upstream sends it SIGTERM
 * while rules still lead to it, and leaves the race to preStop hooks
 * (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination).
 */

import type { Owed } from "#agents/network/answers.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Cache, Index } from "#client/cache.types.ts";
import type { EndpointSlice } from "#resources/types.gen.ts";

/** Slices by the uids of their pods. */
const slicesOfPod: Index<EndpointSlice> = {
  name: "pod",
  values: (slice) => (slice.endpoints ?? []).flatMap(({ targetRef }) => targetRef?.uid ?? []),
};

export interface DrainParts {
  slices: Cache<EndpointSlice>;
  /** Resolves when every change seen so far is in the kernel. */
  settled(): Promise<void>;
  /** What the pod's servers have under way. Left out: nobody can tell. */
  owed?: (podUid: string) => Promise<Owed>;
  /** Clients that these addresses have not answered yet are to be sent elsewhere. */
  letGo?: (ips: readonly string[]) => Promise<void>;
  clock: Clock;
  log: Log;
}

function addressesOf(slices: Cache<EndpointSlice>, podUid: string): string[] {
  const endpoints = slices.indexed(slicesOfPod, podUid).flatMap(({ endpoints = [] }) => endpoints);
  const own = endpoints.filter(({ targetRef }) => targetRef?.uid === podUid);
  return [...new Set(own.flatMap(({ addresses }) => addresses))];
}

/** Whether a Service sends the pod new connections, as far as the slices say. */
function isServed(slices: Cache<EndpointSlice>, podUid: string): boolean {
  return slices
    .indexed(slicesOfPod, podUid)
    .flatMap(({ endpoints = [] }) => endpoints)
    .some(({ targetRef, conditions }) => {
      const going = conditions?.terminating === true || conditions?.ready === false;
      return targetRef?.uid === podUid && !going;
    });
}

function whenUnserved(slices: Cache<EndpointSlice>, podUid: string, late: AbortSignal) {
  return new Promise<void>((resolve) => {
    const look = (): void => {
      if (!late.aborted && isServed(slices, podUid)) return;
      stop();
      late.removeEventListener("abort", look);
      resolve();
    };
    const stop = slices.onChange(look);
    late.addEventListener("abort", look, { once: true });
    look();
  });
}

/** A stream without an end is left soon, a request of which nothing is answered much later. */
async function answered({ owed, clock }: DrainParts, podUid: string): Promise<void> {
  const beganMs = clock.monotonic();
  for (;;) {
    const lookedMs = clock.monotonic();
    const { going, unanswered } = (await owed?.(podUid)) ?? { going: 0, unanswered: 0 };
    const leftMs =
      (unanswered > 0 ? limits.drainUnansweredMsMax : limits.drainAnswersMsMax) -
      (clock.monotonic() - beganMs);
    if (going + unanswered === 0 || leftMs <= 0) return;
    const restMs = limits.drainRest * (clock.monotonic() - lookedMs);
    await sleep(clock, Math.min(Math.max(limits.drainLookMs, restMs), leftMs));
  }
}

/**
 * Resolves at once for a pod that no Service has; else when this node's rules have left it and what
 * was under way is answered. Each wait has its bound: a connection without an end must not keep a
 * pod alive.
 */
export async function drained(parts: DrainParts, podUid: string): Promise<void> {
  const { slices, clock, log } = parts;
  if (!slices.synced || slices.indexed(slicesOfPod, podUid).length === 0) return;
  const beganMs = clock.monotonic();
  // Asked now: the slices forget a pod that ends before all of this is over.
  const ips = addressesOf(slices, podUid);
  const late = new AbortController();
  const over = Promise.withResolvers<void>();
  const cancel = clock.after(limits.drainMsMax, () => {
    late.abort();
    over.resolve();
  });
  const left = whenUnserved(slices, podUid, late.signal).then(() => parts.settled());
  await Promise.race([left, over.promise]);
  cancel();
  const rulesMs = Math.round(clock.monotonic() - beganMs);
  if (late.signal.aborted)
    log.warn("a pod ends while Services may lead to it", { podUid, rulesMs });
  await sleep(clock, limits.drainQuietMs);
  // Ahead of the wait: the grace may be over sooner, and who is sent elsewhere is not waited for.
  await parts.letGo?.(ips);
  await answered(parts, podUid);
  const tookMs = Math.round(clock.monotonic() - beganMs);
  log.debug("no requests to a pod that ends", { podUid, rulesMs, tookMs });
}
