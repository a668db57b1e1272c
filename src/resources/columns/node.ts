import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import type { Column } from "#resources/kind.ts";
import type { Node } from "#resources/types.gen.ts";

function status(node: Node): string {
  const ready = node.status?.conditions?.findLast((each) => each.type === "Ready");
  const word = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return node.spec?.unschedulable === true ? `${word},SchedulingDisabled` : word;
}

const ROLE_PREFIX = "node-role.kubernetes.io/";

function roles(node: Node): string {
  const found = new Set<string>();
  for (const [key, value] of Object.entries(node.metadata?.labels ?? {})) {
    if (key.startsWith(ROLE_PREFIX)) found.add(key.slice(ROLE_PREFIX.length));
    else if (key === "kubernetes.io/role") found.add(value);
  }
  found.delete("");
  return [...found].sort().join(",") || "<none>";
}

const address = (node: Node, type: string): string =>
  node.status?.addresses?.find((each) => each.type === type)?.address ?? "<none>";

export const nodeColumns: Column<Node>[] = [
  nameColumn,
  { name: "Status", cell: status },
  { name: "Roles", cell: roles },
  ageColumn,
  { name: "Version", cell: (node) => node.status?.nodeInfo?.kubeletVersion ?? "" },
  { name: "Internal-IP", priority: 1, cell: (node) => address(node, "InternalIP") },
  { name: "External-IP", priority: 1, cell: (node) => address(node, "ExternalIP") },
  {
    name: "OS-Image",
    priority: 1,
    cell: (node) => node.status?.nodeInfo?.osImage || "<unknown>",
  },
  {
    name: "Kernel-Version",
    priority: 1,
    cell: (node) => node.status?.nodeInfo?.kernelVersion || "<unknown>",
  },
  {
    name: "Container-Runtime",
    priority: 1,
    cell: (node) => node.status?.nodeInfo?.containerRuntimeVersion || "<unknown>",
  },
];
