/**
 * What a whole run leaves on the nodes once its namespaces are gone: nothing. Counted in each node,
 * by what containerd, the kernel and the data-dir themselves say.
 */

import type { LabCluster } from "#test/support/cluster.ts";
import { until } from "#test/support/lab.ts";

const NAMESPACES_GONE_MS_MAX = 300_000;
const NODE_CLEAN_MS_MAX = 180_000;
const BUILT_IN = ["default", "kube-node-lease", "kube-public", "kube-system"];

/** What there is of each sort, a command of a node's shell that prints one line for each thing. */
const SORTS: Readonly<Record<string, string>> = {
  containers: "ctr -n bramble containers ls -q",
  "network namespaces": "ip netns ls | grep ^bramble_",
  mounts: "grep -E ' /var/lib/bramble/(pods|memory/)| /run/netns/bramble_' /proc/mounts",
  "pod folders": "ls /var/lib/bramble/pods /var/lib/bramble/memory | grep -v -e : -e '^$'",
  "pod addresses": "ls /var/lib/bramble/network/pods | grep -E '^[0-9.]+$'",
  volumes: "ls /var/lib/bramble/storage",
  "rules of Services": "iptables-save | grep -- --comment | grep -v default/kubernetes:",
  "address sets": "ipset list -n | grep -i bramble",
};

/** `n1: 2 mounts: …`, a line for each sort of thing that is left. */
async function leftOn(cluster: LabCluster, node: string): Promise<string[]> {
  const found: string[] = [];
  for (const [sort, command] of Object.entries(SORTS)) {
    const { stdout } = await cluster.lab.exec(node, "sh", "-c", `(${command}) 2>/dev/null`);
    const lines = stdout.split("\n").filter((line) => line !== "");
    if (lines.length > 0) found.push(`${node}: ${lines.length} ${sort}: ${lines[0]}`);
  }
  return found;
}

async function namespacesOfTests(cluster: LabCluster): Promise<string[]> {
  const names = await cluster.kubectl(
    "get",
    "namespaces",
    "-o",
    "jsonpath={.items[*].metadata.name}",
  );
  return names.split(" ").filter((name) => !BUILT_IN.includes(name));
}

/** What a namespace's own conditions say of what is left in it. */
async function remaining(cluster: LabCluster, name: string): Promise<string> {
  const path = "jsonpath={.status.conditions[?(@.status=='True')].message}";
  return `${name}: ${await cluster.kubectl("get", "namespace", name, "-o", path)}`;
}

/** Waits for what goes away by itself; then tells what stays. Empty: nothing was left behind. */
export async function leftovers(cluster: LabCluster, nodes: readonly string[]): Promise<string[]> {
  let left: string[] = [];
  const gone = async () => {
    left = await namespacesOfTests(cluster);
    return left.length === 0;
  };
  const clean = async () => {
    left = (await Promise.all(nodes.map((node) => leftOn(cluster, node)))).flat();
    return left.length === 0;
  };
  try {
    await until("the namespaces of the tests are gone", NAMESPACES_GONE_MS_MAX, gone);
    await until("the nodes are clean", NODE_CLEAN_MS_MAX, clean);
  } catch (error) {
    const names = await namespacesOfTests(cluster);
    const why = await Promise.all(names.map((name) => remaining(cluster, name)));
    return [String(error), ...left, ...why];
  }
  return [];
}

/** Lines of the servers' and agents' logs that no run may have, and processes that ended. */
export function complaints(cluster: LabCluster, logs: Readonly<Record<string, string>>): string[] {
  return Object.entries(logs).flatMap(([node, text]) => {
    const errors = text.split("\n").filter((line) => / ERROR | unhandled rejection/.test(line));
    const ended = cluster.process(node)?.exitCode ?? null;
    return [
      ...errors.map((line) => `${node}: ${line.slice(0, 300)}`),
      ...(ended === null ? [] : [`${node}: ended with status ${ended}`]),
    ];
  });
}
