/** The pod that a word of the command line means, and its container. */

import { realClock, sleep } from "#base/clock.ts";
import { OperatorError, UsageError } from "#base/errors.ts";
import { ask } from "#cli/api.ts";
import { discover } from "#cli/resources.ts";
import type { Session } from "#cli/session.ts";
import { listAll, parseSelections, targetPath } from "#cli/targets.ts";
import { pathOf } from "#client/http.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import { labelSelectorText } from "#resources/selector.ts";
import type { LabelSelector, Pod } from "#resources/types.gen.ts";

const DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container";

export const podPath = (pod: Stored<Pod>, subresource?: string): string =>
  pathOf(pods, pod.metadata, subresource);

const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ??
  false;

/** Pods with something to show first: running, ready, the youngest. */
function byUse(a: Stored<Pod>, b: Stored<Pod>): number {
  const rank = (pod: Stored<Pod>): number =>
    (pod.spec?.nodeName ? 0 : 4) +
    (pod.status?.phase === "Running" ? 0 : 2) +
    (isReady(pod) ? 0 : 1);
  const age = a.metadata.creationTimestamp < b.metadata.creationTimestamp ? 1 : -1;
  return rank(a) - rank(b) || age;
}

export async function podsBySelector(session: Session, selector: string): Promise<Stored<Pod>[]> {
  const path = pathOf(pods, { namespace: session.namespace });
  const { items } = await listAll(session, path, { labelSelector: selector });
  return items as Stored<Pod>[];
}

/** A Service's selector is a map, a ReplicationController's too; all others' has matchLabels. */
function selectorOf(object: Stored): string | undefined {
  const { spec } = object as Stored & { spec?: { selector?: LabelSelector } };
  const selector = spec?.selector;
  if (selector === undefined) return undefined;
  const whole = "matchLabels" in selector || "matchExpressions" in selector;
  return labelSelectorText(whole ? selector : { matchLabels: selector as Record<string, string> });
}

/**
 * `web-x1`, `pod/web-x1`, or `TYPE/NAME` of what selects pods. @throws StatusFailure,
 * OperatorError.
 */
export async function podsFor(session: Session, word: string): Promise<Stored<Pod>[]> {
  const { client, namespace } = session;
  if (!word.includes("/")) {
    return [await ask<Stored<Pod>>(client, { path: pathOf(pods, { namespace, name: word }) })];
  }
  const [selection] = parseSelections(await discover(client), [word]);
  if (selection === undefined) throw new UsageError(`no pod is named by ${word}`);
  const { resource, names } = selection;
  const path = targetPath({ resource, namespace, name: names[0] ?? "" });
  const object = await ask<Stored>(client, { path });
  if (resource.kind === "Pod") return [object as Stored<Pod>];
  const selector = selectorOf(object);
  if (selector === undefined || selector === "") {
    throw new OperatorError(`cannot find pods of ${word}: it has no selector`);
  }
  const found = await podsBySelector(session, selector);
  return found.sort(byUse);
}

/** As `podsFor`, one of them; waits for one to appear. @throws OperatorError where none does. */
export async function podFor(
  session: Session,
  word: string,
  options: { say?: boolean; waitMs?: number } = {},
): Promise<Stored<Pod>> {
  const until = performance.now() + (options.waitMs ?? 20_000);
  for (;;) {
    const found = await podsFor(session, word);
    const [first] = found;
    if (first !== undefined) {
      if (options.say === true && found.length > 1) {
        session.io.err(`Found ${found.length} pods, using pod/${first.metadata.name}\n`);
      }
      return first;
    }
    if (performance.now() > until) {
      throw new OperatorError(`timed out waiting for the condition: ${word} has no pods`);
    }
    await sleep(realClock, 500);
  }
}

const namesOf = (pod: Pod) => ({
  main: (pod.spec?.containers ?? []).map(({ name }) => name),
  init: (pod.spec?.initContainers ?? []).map(({ name }) => name),
  ephemeral: (pod.spec?.ephemeralContainers ?? []).map(({ name }) => name),
});

export function containersOf(pod: Pod): string[] {
  const { main, init, ephemeral } = namesOf(pod);
  return [...init, ...main, ...ephemeral];
}

/**
 * The one that was asked for, else the marked one, else the first; says so where there are several.
 */
export function containerFor(
  session: Session,
  pod: Stored<Pod>,
  wanted: string | undefined,
): string {
  const { main, init, ephemeral } = namesOf(pod);
  if (wanted !== undefined) {
    if (containersOf(pod).includes(wanted)) return wanted;
    throw new OperatorError(`container ${wanted} is not valid for pod ${pod.metadata.name}`);
  }
  const marked = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  if (marked !== undefined && main.includes(marked)) return marked;
  const [first = ""] = main;
  const all = [
    ...main,
    ...ephemeral.map((name) => `${name} (ephem)`),
    ...init.map((name) => `${name} (init)`),
  ];
  if (all.length > 1) {
    session.io.err(`Defaulted container "${first}" out of: ${all.join(", ")}\n`);
  }
  return first;
}
