/**
 * Keeps one pod on every node that fits
 * (kubernetes.io/docs/concepts/workloads/controllers/daemonset).
 */
import type { Action, Failure, Plan } from "#client/controller.ts";
import { suffixes } from "#controllers/common/hash.ts";
import { claim } from "#controllers/common/owner.ts";
import { deleteAction, statusAction } from "#controllers/common/patch.ts";
import { availableInMs, isReady } from "#controllers/common/pods.ts";
import {
  claimRevisions,
  collision,
  type Histories,
  pruneRevisions,
  REVISION_HASH,
  type Revision,
  revisionsFor,
} from "#controllers/common/revisions.ts";
import { daemonPod, fitOf, targetNode } from "#controllers/daemonset/daemon.ts";
import { isAvailable, type Place, rollout, surgeOf } from "#controllers/daemonset/rollout.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { pods as podKind } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { DaemonSet, DaemonSetStatus, Node, Pod } from "#resources/types.gen.ts";

export interface State extends Histories {
  set: Stored<DaemonSet>;
  owned: ReadonlyArray<Stored<Pod>>;
  free: ReadonlyArray<Stored<Pod>>;
  nodes: ReadonlyArray<Stored<Node>>;
  /**
   * Milliseconds to leave a failed pod alone, by node: else pods that a node refuses come in a
   * loop.
   */
  waitMs: ReadonlyMap<string, number>;
  seed: number;
}

/** Pods made or deleted in one run. */
const BURST = 250;

interface Steps {
  gone: Set<Stored<Pod>>;
  made: Set<string>;
  events: Action[];
  againMs: number | undefined;
}

function note(set: Stored<DaemonSet>, type: "Normal" | "Warning", reason: string, message: string) {
  return { do: "event", about: set, type, reason, message } as const;
}

function byAge(a: Stored<Pod>, b: Stored<Pod>): number {
  // One that has a node is further than one that waits for it.
  const placed = Number(Boolean(b.spec?.nodeName)) - Number(Boolean(a.spec?.nodeName));
  if (placed !== 0) return placed;
  const [left, right] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  if (left !== right) return left < right ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

function placesOf(state: State, mine: ReadonlyArray<Stored<Pod>>): Place[] {
  const byNode = new Map<string, Array<Stored<Pod>>>();
  for (const pod of mine) {
    const name = targetNode(pod);
    if (name === undefined) continue;
    const list = byNode.get(name);
    if (list === undefined) byNode.set(name, [pod]);
    else list.push(pod);
  }
  return state.nodes.map((node) => ({
    nodeName: node.metadata.name,
    fit: fitOf(state.set, node),
    pods: (byNode.get(node.metadata.name) ?? []).sort(byAge),
  }));
}

/** Pods that came to an end go, so that a new one can start. */
function clearEnded(state: State, place: Place, steps: Steps): Array<Stored<Pod>> {
  const running: Array<Stored<Pod>> = [];
  for (const pod of place.pods) {
    if (pod.metadata.deletionTimestamp !== undefined) continue;
    const phase = pod.status?.phase;
    if (phase !== "Failed" && phase !== "Succeeded") {
      running.push(pod);
      continue;
    }
    const waitMs = phase === "Failed" ? (state.waitMs.get(place.nodeName) ?? 0) : 0;
    if (waitMs > 0) {
      steps.againMs = Math.min(steps.againMs ?? waitMs, waitMs);
      continue;
    }
    const where = `${pod.metadata.namespace}/${pod.metadata.name} on node ${place.nodeName}`;
    steps.gone.add(pod);
    steps.events.push(
      phase === "Failed"
        ? note(
            state.set,
            "Warning",
            "FailedDaemonPod",
            `Found failed daemon pod ${where}, will try to kill it`,
          )
        : note(
            state.set,
            "Normal",
            "SucceededDaemonPod",
            `Found succeeded daemon pod ${where}, will try to delete it`,
          ),
    );
  }
  return running;
}

/** With surge a node may have an old pod and a new one, until the new one is available. */
function tidySurge(state: State, running: ReadonlyArray<Stored<Pod>>, hash: string, now: number) {
  const is = (pod: Stored<Pod>) => pod.metadata.labels?.[REVISION_HASH] === hash;
  const fresh = running.find(is);
  const old = running.find((pod) => !is(pod));
  const gone = running.filter((pod) => pod !== fresh && pod !== old);
  if (fresh === undefined || old === undefined) return gone;
  return !isReady(old) || isAvailable(state.set, fresh, now) ? [...gone, old] : gone;
}

function manage(
  state: State,
  place: Place,
  hash: string,
  surging: boolean,
  now: number,
  steps: Steps,
) {
  const { fit, pods, nodeName } = place;
  if (fit.runs && pods.length === 0) {
    steps.made.add(nodeName);
  } else if (fit.stays) {
    const running = clearEnded(state, place, steps);
    if (!surging) {
      for (const pod of running.slice(1)) steps.gone.add(pod);
    } else if (
      running.length === 0 &&
      fit.runs &&
      pods.every((pod) => pod.metadata.deletionTimestamp)
    ) {
      steps.made.add(nodeName);
    } else {
      for (const pod of tidySurge(state, running, hash, now)) steps.gone.add(pod);
    }
  } else {
    for (const pod of pods) if (pod.metadata.deletionTimestamp === undefined) steps.gone.add(pod);
  }
}

function statusOf(
  state: State,
  places: readonly Place[],
  hash: string,
  now: number,
): DaemonSetStatus {
  const { set } = state;
  const count = { desired: 0, current: 0, misplaced: 0, ready: 0, updated: 0, available: 0 };
  for (const { fit, pods } of places) {
    const [first] = pods;
    if (!fit.runs) {
      count.misplaced += Number(first !== undefined);
      continue;
    }
    count.desired++;
    if (first === undefined) continue;
    count.current++;
    count.ready += Number(isReady(first));
    count.available += Number(isAvailable(set, first, now));
    count.updated += Number(first.metadata.labels?.[REVISION_HASH] === hash);
  }
  const optional = {
    numberAvailable: count.available,
    numberUnavailable: count.desired - count.available,
    updatedNumberScheduled: count.updated,
    collisionCount: set.status?.collisionCount ?? 0,
    observedGeneration: set.metadata.generation ?? 0,
  };
  return {
    desiredNumberScheduled: count.desired,
    currentNumberScheduled: count.current,
    numberMisscheduled: count.misplaced,
    numberReady: count.ready,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== 0)),
    ...(set.status?.conditions && { conditions: set.status.conditions }),
  };
}

function podActions(state: State, steps: Steps, revision: Revision): Action[] {
  const { set } = state;
  const nodeNames = [...steps.made].slice(0, BURST);
  const ends = suffixes(state.seed, nodeNames.length);
  const made = nodeNames.map((nodeName, i) =>
    daemonPod({ set, nodeName, revision, suffix: ends[i] ?? "" }),
  );
  const gone = [...steps.gone].slice(0, BURST);
  return [
    ...made.map((object): Action => ({ do: "create", kind: podKind, object })),
    ...gone.map((pod) => deleteAction(podKind, pod)),
    ...made.map(({ metadata }) =>
      note(set, "Normal", "SuccessfulCreate", `Created pod: ${metadata?.name}`),
    ),
    ...gone.map(({ metadata }) =>
      note(set, "Normal", "SuccessfulDelete", `Deleted pod: ${metadata.name}`),
    ),
  ];
}

/** When the next pod becomes available by time alone. */
function soonMs(set: DaemonSet, mine: ReadonlyArray<Stored<Pod>>, now: number): number | undefined {
  const waits = mine
    .map((pod) => availableInMs(pod, set.spec?.minReadySeconds ?? 0, now) ?? 0)
    .filter((ms) => ms > 0);
  return waits.length > 0 ? Math.min(...waits) : undefined;
}

export function plan(state: State, now: number): Plan {
  const { set } = state;
  const { mine, actions: claims } = claim({
    ownerKind: daemonSets,
    owner: set,
    selector: set.spec?.selector,
    kind: podKind,
    owned: state.owned,
    free: state.free,
  });
  const places = placesOf(state, mine);
  const history = claimRevisions(daemonSets, set, state);
  const { update, known, actions: made } = revisionsFor(daemonSets, set, history.mine);
  const { hash } = update;
  const status = statusAction(daemonSets, set, statusOf(state, places, hash, now));
  if (set.metadata.deletionTimestamp !== undefined) return { actions: status };
  const desired = places.filter(({ fit }) => fit.runs).length;
  const surging = surgeOf(set, desired) > 0;
  const steps: Steps = { gone: new Set(), made: new Set(), events: [], againMs: undefined };
  for (const place of places) manage(state, place, hash, surging, now, steps);
  const rolled = rollout({ set, places, hash, now }, desired);
  for (const pod of rolled.gone) steps.gone.add(pod);
  for (const nodeName of rolled.made) steps.made.add(nodeName);
  const used = new Set(mine.map((pod) => pod.metadata.labels?.[REVISION_HASH]));
  const prune = pruneRevisions(set, known, (one) => used.has(one.hash) || one.name === update.name);
  const soon = [steps.againMs, soonMs(set, mine, now)].filter((ms) => ms !== undefined);
  return {
    actions: [
      ...claims,
      ...history.actions,
      ...made,
      ...podActions(state, steps, update),
      ...steps.events,
      ...status,
      ...prune,
    ],
    ...(soon.length > 0 && { againMs: Math.min(...soon) }),
  };
}

export function failed(state: State, failure: Failure): Action[] {
  const { set } = state;
  const collided = collision(daemonSets, set, failure, state);
  if (collided.length > 0) return collided;
  const { action, message, code } = failure;
  if (action.do !== "create" || code === 409) return [];
  if (message.includes("because it is being terminated")) return [];
  return [note(set, "Warning", "FailedCreate", `Error creating: ${message}`)];
}
