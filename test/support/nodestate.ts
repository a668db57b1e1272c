/** What a lab node holds of pods, to be compared with what the API says of it. */
import type { LabCluster } from "#test/support/cluster.ts";

export interface PodJson {
  metadata: { name: string; labels: { app?: string }; deletionTimestamp?: string };
  spec: { nodeName?: string };
  status: {
    phase: string;
    podIP?: string;
    conditions?: Array<{ type: string; status: string }>;
  };
}

export const isReady = ({ status }: PodJson): boolean =>
  status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;

export async function podsOf(cluster: LabCluster): Promise<PodJson[]> {
  const text = await cluster.kubectl("get", "pods", "-o", "json", "--request-timeout", "5s");
  return (JSON.parse(text) as { items: PodJson[] }).items;
}

const LOOK = `
  nerdctl -n bramble ps -q | sed 's/^/running /'
  nerdctl -n bramble ps -aq | sed 's/^/container /'
  ip netns | sed 's/ .*//; s/^/namespace /'
  ls /var/lib/bramble/network/pods 2>/dev/null | grep -E '^[0-9.]+$' | sed 's/^/lease /'
  iptables-save -t nat | grep -oE -- '--to-destination 10\\.42\\.[0-9.]+' | sort -u |
    sed 's/.* /target /'
`;

/** What one node has that it should not, or lacks; pods are of one container each. */
export async function stateProblems(
  cluster: LabCluster,
  node: string,
  pods: readonly PodJson[],
): Promise<string[]> {
  const lines = (await cluster.lab.must(node, "sh", "-c", `${LOOK} true`)).split("\n");
  const of = (word: string) =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
  const here = pods.filter(({ spec }) => spec.nodeName === node).length;
  const wrong = ["running", "container", "namespace", "lease"]
    .map((word) => [word, of(word).length] as const)
    .filter(([, count]) => count !== here)
    .map(([word, count]) => `${node} has ${here} pods but ${count} of: ${word}`);
  const ips = new Set(pods.map(({ status }) => status.podIP));
  const stale = of("target").filter((ip) => !ips.has(ip));
  return stale.length > 0 ? [...wrong, `${node} sends to ${stale.join()}`] : wrong;
}
