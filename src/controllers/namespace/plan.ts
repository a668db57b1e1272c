/**
 * Empties a namespace that is being deleted, then lets it go. Pods go first, so that what they need
 * outlives them (KEP-5080).
 */
import type { Action, Plan } from "#client/controller.ts";
import { withCondition } from "#controllers/common/conditions.ts";
import { statusAction } from "#controllers/common/patch.ts";
import { timeMs, timeText } from "#controllers/common/time.ts";
import type { Kind } from "#resources/kind.ts";
import { resourceOf } from "#resources/kind.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import type { Stored } from "#resources/meta.ts";
import type { Namespace, NamespaceCondition } from "#resources/types.gen.ts";

/** What is left of one kind. */
export interface Content {
  kind: Kind;
  objects: ReadonlyArray<Stored>;
}

export interface State {
  namespace: Stored<Namespace>;
  /** Only kinds of which something is left; as the API answers, not as caches remember. */
  content: readonly Content[];
  /** Kinds that could not be listed, and why. */
  failures: readonly string[];
}

const FINALIZER = "kubernetes";
const AGAIN_MS_MIN = 200;
const AGAIN_MS_MAX = 15_000;

function tally(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const parts = [...counts].sort().map(([name, count]) => `${name} in ${count} resource instances`);
  return parts.join(", ");
}

function conditions(state: State, now: number): NamespaceCondition[] {
  const { namespace, content, failures } = state;
  const kinds = content
    .map(({ kind, objects }) => `${resourceOf(kind)} has ${objects.length} resource instances`)
    .sort();
  const finalizers = content.flatMap(({ objects }) =>
    objects.flatMap(({ metadata }) => metadata.finalizers ?? []),
  );
  const facts: Array<[string, boolean, string, string, string, string]> = [
    [
      "NamespaceDeletionDiscoveryFailure",
      false,
      "",
      "",
      "ResourcesDiscovered",
      "All resources successfully discovered",
    ],
    [
      "NamespaceDeletionContentFailure",
      failures.length > 0,
      "ContentDeletionFailed",
      `Failed to delete all resource types, ${failures.length} remaining: ${failures.join(", ")}`,
      "ContentDeleted",
      "All content successfully deleted, may be waiting on finalization",
    ],
    [
      "NamespaceContentRemaining",
      kinds.length > 0,
      "SomeResourcesRemain",
      `Some resources are remaining: ${kinds.join(", ")}`,
      "ContentRemoved",
      "All content successfully removed",
    ],
    [
      "NamespaceFinalizersRemaining",
      finalizers.length > 0,
      "SomeFinalizersRemain",
      `Some content in the namespace has finalizers remaining: ${tally(finalizers)}`,
      "ContentHasNoFinalizers",
      "All content-preserving finalizers finished",
    ],
  ];
  let out = namespace.status?.conditions ?? [];
  for (const [type, is, reason, message, elseReason, elseMessage] of facts) {
    const known = out.find((one) => one.type === type);
    const made = {
      type,
      status: is ? "True" : "False",
      reason: is ? reason : elseReason,
      message: is ? message : elseMessage,
      lastTransitionTime: timeText(now),
    };
    // The message counts what is left: it changes though status and reason stay.
    if (known?.status === made.status && known.reason === made.reason) {
      out = out.map((one) => (one === known ? { ...known, message: made.message } : one));
    } else {
      out = withCondition(out, made);
    }
  }
  return out;
}

function deletions({ namespace, content }: State): Action[] {
  const podsLeft = content.filter(({ kind }) => kind.group === "" && kind.kind === "Pod");
  const first = podsLeft.length > 0 ? podsLeft : content;
  return first.flatMap(({ kind, objects }): Action[] => {
    const standing = objects.some(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (!standing) return [];
    return [{ do: "deleteAll", kind, namespace: namespace.metadata.name }];
  });
}

export function plan(state: State, now: number): Plan {
  const { namespace, content, failures } = state;
  const since = timeMs(namespace.metadata.deletionTimestamp);
  if (since === undefined) return { actions: [] };
  const finalizers = namespace.spec?.finalizers ?? [];
  if (content.length === 0 && failures.length === 0) {
    if (!finalizers.includes(FINALIZER)) return { actions: [] };
    const left = finalizers.filter((name) => name !== FINALIZER);
    const object: Namespace = { ...namespace, spec: { ...namespace.spec, finalizers: left } };
    const options = { subresource: "finalize" };
    return { actions: [{ do: "update", kind: namespaces, object, options }] };
  }
  const actions = deletions(state);
  if (actions.length === 0) {
    // Everything was told to go and something stays: say what.
    const status = { ...namespace.status, conditions: conditions(state, now) };
    actions.push(...statusAction(namespaces, namespace, status));
  }
  const againMs = Math.min(AGAIN_MS_MAX, Math.max(AGAIN_MS_MIN, (now - since) / 4));
  return { actions, againMs };
}
