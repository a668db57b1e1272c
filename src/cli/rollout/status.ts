/** How far a rollout is, in kubectl's sentences. Pure: an object in, words out. */
import { OperatorError } from "#base/errors.ts";
import type { Stored } from "#resources/meta.ts";
import type { DaemonSet, Deployment, StatefulSet } from "#resources/types.gen.ts";

export interface Progress {
  text: string;
  done: boolean;
}

const waiting = (text: string): Progress => ({ text, done: false });
const finished = (text: string): Progress => ({ text, done: true });

/** @throws OperatorError where the deployment gave up. */
export function deploymentProgress({ metadata, spec, status = {} }: Stored<Deployment>): Progress {
  const { name } = metadata;
  if ((metadata.generation ?? 0) > (status.observedGeneration ?? 0)) {
    return waiting("Waiting for deployment spec update to be observed...");
  }
  const progressing = status.conditions?.find(({ type }) => type === "Progressing");
  if (progressing?.reason === "ProgressDeadlineExceeded") {
    throw new OperatorError(`deployment "${name}" exceeded its progress deadline`);
  }
  const wanted = spec?.replicas ?? 1;
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status;
  const head = `Waiting for deployment "${name}" rollout to finish: `;
  if (updatedReplicas < wanted) {
    return waiting(`${head}${updatedReplicas} out of ${wanted} new replicas have been updated...`);
  }
  if (replicas > updatedReplicas) {
    return waiting(`${head}${replicas - updatedReplicas} old replicas are pending termination...`);
  }
  if (availableReplicas < updatedReplicas) {
    return waiting(
      `${head}${availableReplicas} of ${updatedReplicas} updated replicas are available...`,
    );
  }
  return finished(`deployment "${name}" successfully rolled out`);
}

/** @throws OperatorError for a strategy that does not roll. */
export function daemonSetProgress({ metadata, spec, status }: Stored<DaemonSet>): Progress {
  const { name } = metadata;
  if (spec?.updateStrategy?.type === "OnDelete") {
    throw new OperatorError("rollout status is only available for RollingUpdate strategy type");
  }
  if ((metadata.generation ?? 0) > (status?.observedGeneration ?? 0)) {
    return waiting("Waiting for daemon set spec update to be observed...");
  }
  const wanted = status?.desiredNumberScheduled ?? 0;
  const { updatedNumberScheduled = 0, numberAvailable = 0 } = status ?? {};
  const head = `Waiting for daemon set "${name}" rollout to finish: `;
  if (updatedNumberScheduled < wanted) {
    return waiting(
      `${head}${updatedNumberScheduled} out of ${wanted} new pods have been updated...`,
    );
  }
  if (numberAvailable < wanted) {
    return waiting(`${head}${numberAvailable} of ${wanted} updated pods are available...`);
  }
  return finished(`daemon set "${name}" successfully rolled out`);
}

/** @throws OperatorError for a strategy that does not roll. */
export function statefulSetProgress({ metadata, spec, status }: Stored<StatefulSet>): Progress {
  if (spec?.updateStrategy?.type === "OnDelete") {
    throw new OperatorError("rollout status is only available for RollingUpdate strategy type");
  }
  const observed = status?.observedGeneration ?? 0;
  if (observed === 0 || (metadata.generation ?? 0) > observed) {
    return waiting("Waiting for statefulset spec update to be observed...");
  }
  const wanted = spec?.replicas ?? 1;
  const ready = status?.readyReplicas ?? 0;
  if (ready < wanted) return waiting(`Waiting for ${wanted - ready} pods to be ready...`);
  const updated = status?.updatedReplicas ?? 0;
  const partition = spec?.updateStrategy?.rollingUpdate?.partition ?? 0;
  if (partition > 0) {
    const due = wanted - partition;
    if (updated < due) {
      return waiting(
        `Waiting for partitioned roll out to finish: ${updated} out of ${due} new pods have been ` +
          "updated...",
      );
    }
    return finished(`partitioned roll out complete: ${updated} new pods have been updated...`);
  }
  const { currentRevision = "", updateRevision = "" } = status ?? {};
  if (updateRevision !== currentRevision) {
    return waiting(
      `waiting for statefulset rolling update to complete ${updated} pods at revision ` +
        `${updateRevision}...`,
    );
  }
  const current = status?.currentReplicas ?? 0;
  return finished(
    `statefulset rolling update complete ${current} pods at revision ${currentRevision}...`,
  );
}
