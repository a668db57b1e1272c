/** Empties a node: its pods that start elsewhere are evicted, as their budgets let them go. */
import { type Clock, sleep } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { type Client, isNotFound, StatusError } from "#client/client.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

/** Of a DaemonSet or of a file on the node: it would be there again at once. */
const staysAnyway = (pod: Stored<Pod>): boolean =>
  ["DaemonSet", "Node"].includes(controllerOf(pod)?.kind ?? "");

const isOver = ({ status }: Stored<Pod>): boolean =>
  status?.phase === "Succeeded" || status?.phase === "Failed";

/** Pods that start elsewhere when evicted. */
export const isEvictable = (pod: Stored<Pod>): boolean =>
  controllerOf(pod) !== undefined && !staysAnyway(pod) && !isOver(pod);

/** Pods that nothing makes anew: evicted, they are gone for good. */
export const isAlone = (pod: Stored<Pod>): boolean =>
  controllerOf(pod) === undefined && !isOver(pod);

async function evict(client: Client, { metadata }: Stored<Pod>): Promise<void> {
  const { namespace = "", name } = metadata;
  const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { namespace, name } };
  try {
    await client.post(pods, { namespace, name }, "eviction", body);
  } catch (error) {
    // A disruption budget: asked again. Gone: what was wanted.
    const isBudget = error instanceof StatusError && error.code === 429;
    if (!isBudget && !isNotFound(error)) throw error;
  }
}

export const podsOn = async (client: Client, name: string): Promise<Array<Stored<Pod>>> =>
  (await client.list(pods, { fieldSelector: `spec.nodeName=${name}` })).items;

/** Whether new pods may come; a node that is as wished is not written. */
export async function setOpen(client: Client, name: string, open: boolean): Promise<void> {
  const spec = { unschedulable: open ? null : true };
  await client.patch(nodes, { name }, "merge", { spec });
}

export interface Emptying {
  client: Client;
  clock: Clock;
  node: string;
  /** Of which pods the node is emptied. */
  isMeant(pod: Stored<Pod>): boolean;
  msMax?: number;
  /** Each pod once, when it is asked to go. */
  onEvict?(pod: Stored<Pod>): void;
}

/** Until they are gone. @throws OperatorError with the names of those that stay. */
export async function emptyNode(options: Emptying): Promise<void> {
  const { client, clock, node, isMeant, msMax = limits.drainNodeMsMax } = options;
  const endMs = clock.monotonic() + msMax;
  const told = new Set<string>();
  for (;;) {
    const left = (await podsOn(client, node)).filter(isMeant);
    if (left.length === 0) return;
    if (clock.monotonic() > endMs) {
      const names = left.map(({ metadata }) => metadata.name).join(", ");
      throw new OperatorError(`${node} cannot be drained: ${names} stay`);
    }
    for (const pod of left) {
      if (!told.has(pod.metadata.uid)) options.onEvict?.(pod);
      told.add(pod.metadata.uid);
      if (pod.metadata.deletionTimestamp === undefined) await evict(client, pod);
    }
    await sleep(clock, limits.drainLookMs);
  }
}
