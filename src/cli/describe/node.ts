/** Nodes, with what runs on them. */

import { ask } from "#cli/api.ts";
import { type Describe, describeEvents } from "#cli/describe/common.ts";
import {
  annotationLines,
  pairLines,
  quantityLines,
  timeText,
  type Writer,
} from "#cli/describe/writer.ts";
import type { Session } from "#cli/session.ts";
import { listAll } from "#cli/targets.ts";
import { pathOf } from "#client/http.ts";
import { age } from "#resources/columns/text.ts";
import { leases } from "#resources/kinds/lease.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import { milliValue, quantityValue } from "#resources/quantity.ts";
import type { Container, Lease, Node, Pod } from "#resources/types.gen.ts";

const ROLE = "node-role.kubernetes.io/";
const MEBI = 1024 * 1024;

function describeHead(writer: Writer, { metadata, spec }: Stored<Node>): void {
  const labels = Object.keys(metadata.labels ?? {});
  const roles = labels.filter((key) => key.startsWith(ROLE)).map((key) => key.slice(ROLE.length));
  writer.field(0, "Name", metadata.name);
  writer.field(0, "Roles", roles.sort().join(",") || "<none>");
  writer.field(0, "Labels", pairLines(metadata.labels));
  writer.field(0, "Annotations", annotationLines(metadata.annotations));
  writer.field(0, "CreationTimestamp", timeText(metadata.creationTimestamp));
  const taints = (spec?.taints ?? []).map(({ key, value, effect }) =>
    value ? `${key}=${value}:${effect}` : `${key}:${effect}`,
  );
  writer.field(0, "Taints", taints);
  writer.field(0, "Unschedulable", String(spec?.unschedulable ?? false));
}

async function describeLease(writer: Writer, name: string, session: Session): Promise<void> {
  const path = pathOf(leases, { namespace: "kube-node-lease", name });
  const lease = await ask<Stored<Lease>>(session.client, { path }).catch(() => undefined);
  writer.line(0, "Lease:");
  writer.field(1, "HolderIdentity", lease?.spec?.holderIdentity ?? "<unset>");
  writer.field(1, "AcquireTime", timeText(lease?.spec?.acquireTime));
  writer.field(1, "RenewTime", timeText(lease?.spec?.renewTime));
}

function describeStatus(writer: Writer, { spec, status }: Stored<Node>): void {
  const conditions = (status?.conditions ?? []).map((each) => [
    each.type,
    each.status,
    timeText(each.lastHeartbeatTime),
    timeText(each.lastTransitionTime),
    each.reason ?? "",
    each.message ?? "",
  ]);
  const names = ["Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"];
  const lines = names.map((name) => "-".repeat(name.length));
  // Upstream has a space behind each cell.
  const spaced = conditions.map((row) =>
    row.map((cell, at) => (at < row.length - 1 ? `${cell} ` : cell)),
  );
  writer.line(0, "Conditions:").table(1, [names, lines, ...spaced]);
  writer.line(0, "Addresses:");
  for (const { type, address } of status?.addresses ?? []) writer.field(1, type, address);
  writer.line(0, "Capacity:");
  for (const line of quantityLines(status?.capacity)) writer.line(1, line);
  writer.line(0, "Allocatable:");
  for (const line of quantityLines(status?.allocatable)) writer.line(1, line);
  const info = status?.nodeInfo;
  writer.line(0, "System Info:");
  const facts: Array<[string, string | undefined]> = [
    ["Machine ID", info?.machineID],
    ["System UUID", info?.systemUUID],
    ["Boot ID", info?.bootID],
    ["Kernel Version", info?.kernelVersion],
    ["OS Image", info?.osImage],
    ["Operating System", info?.operatingSystem],
    ["Architecture", info?.architecture],
    ["Container Runtime Version", info?.containerRuntimeVersion],
    ["Kubelet Version", info?.kubeletVersion],
    ["Kube-Proxy Version", info?.kubeProxyVersion],
  ];
  for (const [name, value] of facts) writer.field(1, name, value ?? "");
  if (spec?.podCIDR) writer.field(0, "PodCIDR", spec.podCIDR);
  if (spec?.podCIDRs) writer.field(0, "PodCIDRs", spec.podCIDRs.join(","));
}

type Which = "requests" | "limits";
const RESOURCES = ["cpu", "memory", "ephemeral-storage"] as const;

const amount = (name: string, text: unknown): number =>
  name === "cpu" ? milliValue(String(text ?? 0)) : quantityValue(String(text ?? 0));

/** Init containers run one at a time, before the others. */
function podTotal(pod: Pod, which: Which, name: string): number {
  const of = ({ resources }: Container): number => amount(name, resources?.[which]?.[name]);
  const main = (pod.spec?.containers ?? []).reduce((sum, each) => sum + of(each), 0);
  return Math.max(main, ...(pod.spec?.initContainers ?? []).map(of));
}

function text(name: string, value: number): string {
  if (value === 0) return "0";
  if (name === "cpu") return value % 1000 === 0 ? String(value / 1000) : `${value}m`;
  return value % MEBI === 0 ? `${value / MEBI}Mi` : String(value);
}

const share = (value: number, whole: number): string =>
  `(${whole > 0 ? Math.floor((value * 100) / whole) : 0}%)`;

async function describePods(writer: Writer, node: Stored<Node>, session: Session): Promise<void> {
  const fieldSelector = `spec.nodeName=${node.metadata.name}`;
  const { items } = await listAll(session, pathOf(pods, {}), { fieldSelector });
  const running = (items as Stored<Pod>[]).filter(
    ({ status }) => status?.phase !== "Succeeded" && status?.phase !== "Failed",
  );
  const whole = (name: string): number => amount(name, node.status?.allocatable?.[name]);
  const cell = (name: string, value: number) => `${text(name, value)} ${share(value, whole(name))}`;
  writer.line(0, `Non-terminated Pods:\t(${running.length} in total)`);
  const names = ["Namespace", "Name", "CPU Requests", "CPU Limits", "Memory Requests"];
  const head = [...names, "Memory Limits", "Age"];
  const rows = running.map((pod) => [
    pod.metadata.namespace ?? "",
    pod.metadata.name,
    cell("cpu", podTotal(pod, "requests", "cpu")),
    cell("cpu", podTotal(pod, "limits", "cpu")),
    cell("memory", podTotal(pod, "requests", "memory")),
    cell("memory", podTotal(pod, "limits", "memory")),
    age(pod.metadata.creationTimestamp, session.io.now()),
  ]);
  // The heads are tabbed as upstream has them.
  const lines = head.map((name) => "-".repeat(name.length));
  writer.line(1, `${head[0]}\t${head[1]}\t\t${head.slice(2).join("\t")}`);
  writer.line(1, `${lines[0]}\t${lines[1]}\t\t${lines.slice(2).join("\t")}`);
  for (const [namespace, name, ...cells] of rows) {
    writer.line(1, `${namespace}\t${name}\t\t${cells.join("\t")}`);
  }
  writer.line(0, "Allocated resources:");
  writer.line(1, "(Total limits may be over 100 percent, i.e., overcommitted.)");
  const sum = (which: Which, name: string): number =>
    running.reduce((total, pod) => total + podTotal(pod, which, name), 0);
  const offered = Object.keys(node.status?.allocatable ?? {});
  const huge = offered.filter((name) => name.startsWith("hugepages-"));
  const known: readonly string[] = [...RESOURCES, ...huge, "pods"];
  const other = offered.filter((name) => !known.includes(name));
  writer.table(1, [
    ["Resource", "Requests", "Limits"],
    ["--------", "--------", "------"],
    ...[...RESOURCES, ...huge].map((name) => [
      name,
      cell(name, sum("requests", name)),
      cell(name, sum("limits", name)),
    ]),
    ...other.map((name) => [name, String(sum("requests", name)), String(sum("limits", name))]),
  ]);
}

export const describeNode: Describe<Stored<Node>> = async (writer, node, session) => {
  describeHead(writer, node);
  await describeLease(writer, node.metadata.name, session);
  describeStatus(writer, node);
  await describePods(writer, node, session);
  await describeEvents(writer, node, session);
};
