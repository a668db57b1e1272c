/** What makes pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs, CronJobs. */
import {
  type Describe,
  describeEvents,
  describeLabels,
  describeName,
  describeOwner,
  describePodCounts,
  selectorText,
} from "#cli/describe/common.ts";
import { describeTemplate } from "#cli/describe/template.ts";
import { timeText, type Writer } from "#cli/describe/writer.ts";
import type { Session } from "#cli/session.ts";
import { listAll } from "#cli/targets.ts";
import { pathOf } from "#client/http.ts";
import { humanDuration } from "#resources/columns/text.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import type {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  ReplicaSet,
  StatefulSet,
} from "#resources/types.gen.ts";

const REVISION = "deployment.kubernetes.io/revision";

function describeConditions(
  writer: Writer,
  conditions: ReadonlyArray<{ type: string; status: string; reason?: string }> | undefined,
): void {
  if (conditions === undefined || conditions.length === 0) return;
  const rows = conditions.map(({ type, status, reason = "" }) => [type, status, reason]);
  const head = ["Type", "Status", "Reason"];
  writer.line(0, "Conditions:").table(1, [head, ["----", "------", "------"], ...rows]);
}

const setText = (sets: readonly Stored<ReplicaSet>[]): string =>
  sets
    .map(
      ({ metadata, spec, status }) =>
        `${metadata.name} (${status?.replicas ?? 0}/${spec?.replicas ?? 0} replicas created)`,
    )
    .join(", ") || "<none>";

async function describeSets(writer: Writer, object: Stored<Deployment>, session: Session) {
  const path = pathOf(replicaSets, { namespace: object.metadata.namespace });
  const { items } = await listAll(session, path);
  const own = (items as Stored<ReplicaSet>[]).filter(
    (set) => controllerOf(set)?.uid === object.metadata.uid,
  );
  const current = object.metadata.annotations?.[REVISION];
  const fresh = own.filter(({ metadata }) => metadata.annotations?.[REVISION] === current);
  const old = own.filter((set) => !fresh.includes(set));
  writer.field(0, "OldReplicaSets", setText(old));
  writer.field(0, "NewReplicaSet", setText(fresh));
}

export const describeDeployment: Describe<Stored<Deployment>> = async (writer, object, session) => {
  const { metadata, spec, status } = object;
  describeName(writer, object);
  writer.field(0, "CreationTimestamp", timeText(metadata.creationTimestamp));
  describeLabels(writer, object);
  writer.field(0, "Selector", selectorText(spec?.selector));
  const { replicas = 0, updatedReplicas = 0, availableReplicas = 0 } = status ?? {};
  const total = `${spec?.replicas ?? 1} desired | ${updatedReplicas} updated | ${replicas} total`;
  const lacking = status?.unavailableReplicas ?? 0;
  writer.field(0, "Replicas", `${total} | ${availableReplicas} available | ${lacking} unavailable`);
  writer.field(0, "StrategyType", spec?.strategy?.type ?? "");
  writer.field(0, "MinReadySeconds", String(spec?.minReadySeconds ?? 0));
  const rolling = spec?.strategy?.rollingUpdate;
  if (rolling !== undefined) {
    const text = `${rolling.maxUnavailable} max unavailable, ${rolling.maxSurge} max surge`;
    writer.field(0, "RollingUpdateStrategy", text);
  }
  describeTemplate(writer, spec?.template);
  describeConditions(writer, status?.conditions);
  await describeSets(writer, object, session);
  await describeEvents(writer, object, session);
};

export const describeReplicaSet: Describe<Stored<ReplicaSet>> = async (writer, object, session) => {
  const { spec, status } = object;
  describeName(writer, object);
  writer.field(0, "Selector", selectorText(spec?.selector));
  describeLabels(writer, object);
  describeOwner(writer, object);
  const current = `${status?.replicas ?? 0} current / ${spec?.replicas ?? 0} desired`;
  writer.field(0, "Replicas", current);
  await describePodCounts(writer, session, object, spec?.selector);
  describeTemplate(writer, spec?.template);
  describeConditions(writer, status?.conditions);
  await describeEvents(writer, object, session);
};

export const describeStatefulSet: Describe<Stored<StatefulSet>> = async (
  writer,
  object,
  session,
) => {
  const { metadata, spec, status } = object;
  describeName(writer, object);
  writer.field(0, "CreationTimestamp", timeText(metadata.creationTimestamp));
  writer.field(0, "Selector", selectorText(spec?.selector));
  describeLabels(writer, object);
  writer.field(0, "Replicas", `${spec?.replicas ?? 1} desired | ${status?.replicas ?? 0} total`);
  writer.field(0, "Update Strategy", spec?.updateStrategy?.type ?? "");
  const rolling = spec?.updateStrategy?.rollingUpdate;
  if (rolling !== undefined) writer.field(1, "Partition", String(rolling.partition ?? 0));
  await describePodCounts(writer, session, object, spec?.selector);
  describeTemplate(writer, spec?.template);
  const claims = spec?.volumeClaimTemplates ?? [];
  if (claims.length === 0) writer.field(0, "Volume Claims", "<none>");
  else writer.line(0, "Volume Claims:");
  for (const claim of claims) {
    writer.field(1, "Name", claim.metadata?.name ?? "");
    writer.field(1, "StorageClass", claim.spec?.storageClassName ?? "");
    writer.field(
      1,
      "Capacity",
      String(claim.spec?.resources?.requests?.["storage"] ?? "<default>"),
    );
    writer.field(1, "Access Modes", `[${(claim.spec?.accessModes ?? []).join(" ")}]`);
  }
  await describeEvents(writer, object, session);
};

export const describeDaemonSet: Describe<Stored<DaemonSet>> = async (writer, object, session) => {
  const { spec, status } = object;
  writer.field(0, "Name", object.metadata.name);
  writer.field(0, "Selector", selectorText(spec?.selector));
  const node = Object.entries(spec?.template.spec?.nodeSelector ?? {});
  writer.field(0, "Node-Selector", node.map((pair) => pair.join("=")).join(",") || "<none>");
  describeLabels(writer, object);
  const counts: Array<[string, number | undefined]> = [
    ["Desired Number of Nodes Scheduled", status?.desiredNumberScheduled],
    ["Current Number of Nodes Scheduled", status?.currentNumberScheduled],
    ["Number of Nodes Scheduled with Up-to-date Pods", status?.updatedNumberScheduled],
    ["Number of Nodes Scheduled with Available Pods", status?.numberAvailable],
    ["Number of Nodes Misscheduled", status?.numberMisscheduled],
  ];
  for (const [label, count] of counts) writer.line(0, `${label}: ${count ?? 0}`);
  await describePodCounts(writer, session, object, spec?.selector);
  describeTemplate(writer, spec?.template);
  await describeEvents(writer, object, session);
};

export const describeJob: Describe<Stored<Job>> = async (writer, object, session) => {
  const { spec, status } = object;
  describeName(writer, object);
  writer.field(0, "Selector", selectorText(spec?.selector));
  describeLabels(writer, object);
  describeOwner(writer, object);
  writer.field(0, "Parallelism", String(spec?.parallelism ?? "<unset>"));
  writer.field(0, "Completions", String(spec?.completions ?? "<unset>"));
  writer.field(0, "Completion Mode", spec?.completionMode ?? "NonIndexed");
  writer.field(0, "Suspend", String(spec?.suspend ?? false));
  writer.field(0, "Backoff Limit", String(spec?.backoffLimit ?? 6));
  if (spec?.ttlSecondsAfterFinished !== undefined) {
    writer.field(0, "TTL Seconds After Finished", String(spec.ttlSecondsAfterFinished));
  }
  const { startTime, completionTime, active = 0, ready = 0, succeeded = 0 } = status ?? {};
  if (startTime) writer.field(0, "Start Time", timeText(startTime));
  if (completionTime) writer.field(0, "Completed At", timeText(completionTime));
  if (startTime && completionTime) {
    const durationMs = Date.parse(completionTime) - Date.parse(startTime);
    writer.field(0, "Duration", humanDuration(durationMs));
  }
  if (spec?.activeDeadlineSeconds !== undefined) {
    writer.field(0, "Active Deadline Seconds", `${spec.activeDeadlineSeconds}s`);
  }
  const counts = `${active} Active (${ready} Ready) / ${succeeded} Succeeded`;
  writer.field(0, "Pods Statuses", `${counts} / ${status?.failed ?? 0} Failed`);
  if (status?.completedIndexes) writer.field(0, "Completed Indexes", status.completedIndexes);
  describeTemplate(writer, spec?.template);
  await describeEvents(writer, object, session);
};

export const describeCronJob: Describe<Stored<CronJob>> = async (writer, object, session) => {
  const { spec, status } = object;
  const job = spec?.jobTemplate.spec;
  describeName(writer, object);
  describeLabels(writer, object);
  writer.field(0, "Schedule", spec?.schedule ?? "");
  if (spec?.timeZone) writer.field(0, "Time Zone", spec.timeZone);
  writer.field(0, "Concurrency Policy", spec?.concurrencyPolicy ?? "");
  writer.field(0, "Suspend", spec?.suspend === true ? "True" : "False");
  const kept = spec?.successfulJobsHistoryLimit;
  writer.field(0, "Successful Job History Limit", String(kept ?? "<unset>"));
  writer.field(0, "Failed Job History Limit", String(spec?.failedJobsHistoryLimit ?? "<unset>"));
  const deadline = spec?.startingDeadlineSeconds;
  const seconds = deadline === undefined ? "<unset>" : `${deadline}s`;
  writer.field(0, "Starting Deadline Seconds", seconds);
  writer.field(0, "Selector", job?.selector ? selectorText(job.selector) : "<unset>");
  writer.field(0, "Parallelism", String(job?.parallelism ?? "<unset>"));
  writer.field(0, "Completions", String(job?.completions ?? "<unset>"));
  describeTemplate(writer, job?.template);
  writer.field(0, "Last Schedule Time", timeText(status?.lastScheduleTime));
  const active = (status?.active ?? []).map(({ name = "" }) => name).join(", ");
  writer.field(0, "Active Jobs", active || "<none>");
  await describeEvents(writer, object, session);
};
