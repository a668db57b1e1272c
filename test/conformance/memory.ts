/** Memory of server and agents while the suite runs, sampled every 10 s. */
import type { LabCluster } from "#test/support/cluster.ts";

const INTERVAL_MS = 10_000;

/** Resident memory of bramble's process in a node, in MB; 0 while there is none. */
async function residentMb(cluster: LabCluster, node: string): Promise<number> {
  const answer = await cluster.lab.exec(node, "ps", "-C", "bramble", "-o", "rss=");
  const kilobytes = answer.stdout.split("\n").map(Number);
  return Math.round(Math.max(0, ...kilobytes) / 1024);
}

export interface Memory {
  peakMb: number;
  /** One number each 10 s, MB, from the start of the suite on. */
  samplesMb: string;
}

/** The server runs on the first node, an agent on each other. */
export function sampleMemory(cluster: LabCluster, nodes: readonly string[]) {
  const samples = new Map(nodes.map((node): [string, number[]] => [node, []]));
  const sample = async () => {
    for (const [node, list] of samples) list.push(await residentMb(cluster, node));
  };
  const timer = setInterval(() => void sample().catch(() => undefined), INTERVAL_MS);
  return {
    stop: () => clearInterval(timer),
    /** By node. */
    taken: (): Record<string, Memory> =>
      Object.fromEntries(
        [...samples].map(([node, list]) => [
          node,
          { peakMb: Math.max(0, ...list), samplesMb: list.join(" ") },
        ]),
      ),
  };
}
