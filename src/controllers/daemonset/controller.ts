import { backoffMs } from "#base/backoff.ts";
import type { Clock } from "#base/clock.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { byController, controllerKey, orphans } from "#controllers/common/owner.ts";
import { suitors } from "#controllers/common/suitors.ts";
import { targetNode } from "#controllers/daemonset/daemon.ts";
import { failed, plan, type State } from "#controllers/daemonset/plan.ts";
import { controllerRevisions } from "#resources/kinds/controllerrevision.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { controllerOf, keyOf, type Stored } from "#resources/meta.ts";
import type { Node, Pod } from "#resources/types.gen.ts";

const BACKOFF_MS_MIN = 1000;
const BACKOFF_MS_MAX = 900_000;

/**
 * How long a failed pod of a set on a node is left as it is: longer with each one that failed
 * there.
 */
class Failures {
  readonly #clock: Clock;
  readonly #seen = new Map<string, { uid: string; count: number; atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  waitMs(setUid: string, nodeName: string, pod: Stored<Pod>): number {
    const key = `${setUid}/${nodeName}`;
    const nowMs = this.#clock.monotonic();
    const seen = this.#seen.get(key);
    if (seen === undefined || nowMs - seen.atMs > 2 * BACKOFF_MS_MAX) {
      this.#seen.set(key, { uid: pod.metadata.uid, count: 0, atMs: nowMs });
      return 0;
    }
    if (seen.uid !== pod.metadata.uid) {
      this.#seen.set(key, { uid: pod.metadata.uid, count: seen.count + 1, atMs: nowMs });
    }
    const { count, atMs } = this.#seen.get(key) ?? seen;
    if (count === 0) return 0;
    return Math.max(0, atMs + backoffMs(count - 1, BACKOFF_MS_MIN, BACKOFF_MS_MAX) - nowMs);
  }
}

/** What of a node decides over daemons: heartbeats do not. */
const decisive = (node: Stored<Node> | undefined): string =>
  JSON.stringify([node?.metadata.labels, node?.spec?.taints, node?.spec?.unschedulable]);

export function daemonSetController(clock: Clock): Controller<State> {
  const failures = new Failures(clock);
  return {
    name: "daemonset",
    kind: daemonSets,
    triggers: [
      trigger(pods, (pod, caches) => {
        if (controllerOf(pod) !== undefined) return controllerKey(pod, daemonSets);
        return suitors(pod, caches.of(daemonSets));
      }),
      trigger(nodes, (_, caches) => caches.of(daemonSets).list().map(keyOf), {
        changed: ({ before, after }) => decisive(before) !== decisive(after),
      }),
      trigger(controllerRevisions, (revision, caches) => {
        if (controllerOf(revision) !== undefined) return controllerKey(revision, daemonSets);
        return suitors(revision, caches.of(daemonSets));
      }),
    ],
    read(key, { caches, random }) {
      const set = caches.of(daemonSets).get(key);
      if (set === undefined) return undefined;
      const { uid, namespace = "" } = set.metadata;
      const owned = caches.of(pods).indexed(byController, uid);
      const waitMs = new Map<string, number>();
      for (const pod of owned) {
        const nodeName = targetNode(pod);
        if (pod.status?.phase !== "Failed" || nodeName === undefined) continue;
        waitMs.set(nodeName, failures.waitMs(uid, nodeName, pod));
      }
      return {
        set,
        owned,
        free: caches.of(pods).indexed(orphans, namespace),
        nodes: caches.of(nodes).list(),
        revisions: caches.of(controllerRevisions).indexed(byController, uid),
        looseRevisions: caches.of(controllerRevisions).indexed(orphans, namespace),
        revisionNamed: (name) => caches.of(controllerRevisions).get(`${namespace}/${name}`),
        waitMs,
        seed: random(),
      };
    },
    plan,
    failed,
  };
}
