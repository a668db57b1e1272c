/**
 * Earlier templates of Deployments (their ReplicaSets), DaemonSets and StatefulSets
 * (ControllerRevisions).
 */
import { OperatorError } from "#base/errors.ts";
import { ask } from "#cli/api.ts";
import type { Session } from "#cli/session.ts";
import { listAll, type Target, targetPath } from "#cli/targets.ts";
import { pathOf } from "#client/http.ts";
import { controllerRevisions } from "#resources/kinds/controllerrevision.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import type {
  ControllerRevision,
  Deployment,
  PodTemplateSpec,
  ReplicaSet,
} from "#resources/types.gen.ts";

export const REVISION = "deployment.kubernetes.io/revision";
const CAUSE = "kubernetes.io/change-cause";
const HASH = "pod-template-hash";

export interface Revision {
  number: number;
  cause: string | undefined;
  template: PodTemplateSpec;
  /** The object that keeps it. */
  keeper: Stored;
}

async function ownedBy<T extends Stored>(session: Session, owner: Stored, path: string) {
  const { items } = await listAll(session, path);
  const own = items.filter((item) => controllerOf(item)?.uid === owner.metadata.uid);
  return own as T[];
}

function withoutHash(template: PodTemplateSpec): PodTemplateSpec {
  const { [HASH]: _, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

async function ofDeployment(session: Session, owner: Stored<Deployment>): Promise<Revision[]> {
  const path = pathOf(replicaSets, { namespace: owner.metadata.namespace });
  const sets = await ownedBy<Stored<ReplicaSet>>(session, owner, path);
  return sets.map((set) => ({
    number: Number(set.metadata.annotations?.[REVISION] ?? 0),
    cause: set.metadata.annotations?.[CAUSE],
    template: withoutHash(set.spec?.template ?? {}),
    keeper: set,
  }));
}

async function ofOthers(session: Session, owner: Stored): Promise<Revision[]> {
  const path = pathOf(controllerRevisions, { namespace: owner.metadata.namespace });
  const found = await ownedBy<Stored<ControllerRevision>>(session, owner, path);
  return found.map((each) => {
    const data = each.data as { spec?: { template?: PodTemplateSpec } } | undefined;
    return {
      number: each.revision,
      cause: each.metadata.annotations?.[CAUSE],
      template: data?.spec?.template ?? {},
      keeper: each,
    };
  });
}

/** Oldest first. */
export async function historyOf(
  session: Session,
  target: Target,
): Promise<{ owner: Stored; revisions: Revision[] }> {
  const owner = await ask<Stored>(session.client, { path: targetPath(target) });
  const found =
    target.resource.kind === "Deployment"
      ? await ofDeployment(session, owner)
      : await ofOthers(session, owner);
  return { owner, revisions: found.sort((a, b) => a.number - b.number) };
}

/** The revision that was asked for; 0 is the one before the present. @throws OperatorError */
export function revisionBefore(revisions: readonly Revision[], wanted: number): Revision {
  if (wanted === 0) {
    const before = revisions.at(-2);
    if (before !== undefined) return before;
    throw new OperatorError("no last revision to roll back to");
  }
  const found = revisions.find(({ number }) => number === wanted);
  if (found !== undefined) return found;
  throw new OperatorError(`unable to find specified revision ${wanted} in history`);
}
