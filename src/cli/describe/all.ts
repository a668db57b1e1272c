/** Which kind is described how: a new one is a function and a line here. */
import type { Describe } from "#cli/describe/common.ts";
import {
  describeClaim,
  describeConfigMap,
  describeNamespace,
  describeSecret,
  describeServiceAccount,
  describeVolume,
} from "#cli/describe/config.ts";
import { describeAny } from "#cli/describe/generic.ts";
import { describeEndpointSlice, describeIngress, describeService } from "#cli/describe/network.ts";
import { describeNode } from "#cli/describe/node.ts";
import { describePod } from "#cli/describe/pod.ts";
import {
  describeCronJob,
  describeDaemonSet,
  describeDeployment,
  describeJob,
  describeReplicaSet,
  describeStatefulSet,
} from "#cli/describe/workloads.ts";
import { Writer } from "#cli/describe/writer.ts";
import { elastic } from "#cli/elastic.ts";
import type { Resource } from "#cli/resources.ts";
import type { Session } from "#cli/session.ts";
import type { Stored } from "#resources/meta.ts";

/** By `group/Kind`; the function is the one for objects of that kind. */
const describers = {
  "/Pod": describePod,
  "/Service": describeService,
  "/Node": describeNode,
  "/ConfigMap": describeConfigMap,
  "/Secret": describeSecret,
  "/Namespace": describeNamespace,
  "/ServiceAccount": describeServiceAccount,
  "/PersistentVolumeClaim": describeClaim,
  "/PersistentVolume": describeVolume,
  "apps/Deployment": describeDeployment,
  "apps/ReplicaSet": describeReplicaSet,
  "apps/StatefulSet": describeStatefulSet,
  "apps/DaemonSet": describeDaemonSet,
  "batch/Job": describeJob,
  "batch/CronJob": describeCronJob,
  "discovery.k8s.io/EndpointSlice": describeEndpointSlice,
  "networking.k8s.io/Ingress": describeIngress,
} as Readonly<Record<string, Describe<never>>>;

export async function describeObject(
  session: Session,
  resource: Resource,
  object: Stored,
): Promise<string> {
  const describe = (describers[`${resource.group}/${resource.kind}`] ?? describeAny) as Describe;
  const { group, version, kind } = resource;
  const apiVersion = group === "" ? version : `${group}/${version}`;
  const writer = new Writer();
  await describe(writer, { apiVersion, kind, ...object }, session);
  return elastic(writer.text);
}
