/** Which ReplicaSet is the current one, what its revision is, and how a new one looks. */
import { safeHash } from "#controllers/common/hash.ts";
import { controllerReference } from "#controllers/common/owner.ts";
import {
  DESIRED,
  type Draft,
  freshDraft,
  MAX,
  REVISION,
  REVISION_HISTORY,
} from "#controllers/deployment/draft.ts";
import { sameValue } from "#resources/equal.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import type { Stored } from "#resources/meta.ts";
import type { Deployment, PodTemplateSpec, ReplicaSet } from "#resources/types.gen.ts";

const HASH_LABEL = "pod-template-hash";
const HISTORY_CHARS_MAX = 2000;
const NAME_MAX = 253;

/** Of the Deployment's annotations these stay with it; all others go to its sets. */
const OWN_ANNOTATIONS = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  REVISION_HISTORY,
  DESIRED,
  MAX,
  "deprecated.deployment.rollback.to",
]);

function withoutHash(template: PodTemplateSpec | undefined): PodTemplateSpec {
  const { [HASH_LABEL]: _, ...labels } = template?.metadata?.labels ?? {};
  return { ...template, metadata: { ...template?.metadata, labels } };
}

export function hasTemplate(set: ReplicaSet, deployment: Deployment): boolean {
  return sameValue(withoutHash(set.spec?.template), withoutHash(deployment.spec?.template));
}

/** An int64 upstream, so more than a number holds. */
export function revisionOf(annotations: Readonly<Record<string, string>> | undefined): bigint {
  const text = annotations?.[REVISION];
  return text !== undefined && /^\d+$/.test(text) ? BigInt(text) : 0n;
}

export const byRevision = (a: Stored<ReplicaSet>, b: Stored<ReplicaSet>): number => {
  const difference = revisionOf(a.metadata.annotations) - revisionOf(b.metadata.annotations);
  return Number(difference > 0n) - Number(difference < 0n);
};

/** A set for the Deployment's template as it is now; its name follows from the template. */
export function newSet(deployment: Stored<Deployment>): Draft {
  const { template, selector, minReadySeconds = 0 } = deployment.spec ?? {};
  const hash = safeHash(template, deployment.status?.collisionCount ?? 0);
  const name = `${deployment.metadata.name.slice(0, NAME_MAX - hash.length - 1)}-${hash}`;
  const labels = { ...template?.metadata?.labels, [HASH_LABEL]: hash };
  const fresh: ReplicaSet = {
    metadata: {
      name,
      namespace: deployment.metadata.namespace ?? "",
      labels,
      ownerReferences: [controllerReference(deployments, deployment)],
    },
    spec: {
      ...(minReadySeconds > 0 && { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector?.matchLabels, [HASH_LABEL]: hash } },
      template: { ...template, metadata: { ...template?.metadata, labels } },
    },
  };
  return freshDraft(name, fresh, minReadySeconds);
}

function history(annotations: Record<string, string>, revision: string): string | undefined {
  const known = (annotations[REVISION_HISTORY] ?? "").split(",").filter((part) => part !== "");
  known.push(revision);
  while (known.join(",").length > HISTORY_CHARS_MAX && known.length > 0) known.shift();
  return known.length === 0 ? undefined : known.join(",");
}

/**
 * Gives the current set the Deployment's annotations and the highest revision. Answers the
 * revision.
 */
export function syncRevision(
  deployment: Stored<Deployment>,
  fresh: Draft,
  old: readonly Draft[],
): bigint {
  const { annotations } = fresh;
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) {
    if (!OWN_ANNOTATIONS.has(key)) annotations[key] = value;
  }
  fresh.minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
  const current = revisionOf(annotations);
  let highest = 0n;
  for (const draft of old) {
    const revision = revisionOf(draft.annotations);
    if (revision > highest) highest = revision;
  }
  const next = highest + 1n;
  if (current >= next) return current;
  const previous = annotations[REVISION];
  if (previous !== undefined) {
    const text = history(annotations, previous);
    if (text !== undefined) annotations[REVISION_HISTORY] = text;
  }
  annotations[REVISION] = String(next);
  return next;
}
