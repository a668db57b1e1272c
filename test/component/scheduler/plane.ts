/**
 * The control plane of the controllers' tests, with the real scheduler instead of hollow binding.
 */
import { type Clock, realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { type Random, realRandom } from "#base/random.ts";
import { createRecorder } from "#client/events.ts";
import { events } from "#resources/kinds/event.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import { priorityClasses } from "#resources/kinds/priorityclass.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod, PodSpec } from "#resources/types.gen.ts";
import { Scheduler } from "#scheduler/controller.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";

export interface SchedulerPlane extends Plane {
  /** Gives a node these resources. */
  size(name: string, resources: Record<string, string>): Promise<void>;
  pod(name: string, spec?: Partial<PodSpec>, meta?: Pod["metadata"]): Promise<Stored<Pod>>;
  /** The pod's node, once it has one. */
  nodeOf(name: string): Promise<string>;
  /** What the pod's condition says of why it waits. */
  waits(name: string, text: string): Promise<Stored<Pod>>;
  /** Reasons of the events about an object. */
  reasons(name: string): Promise<string[]>;
}

/** Of the scheduler alone; default: the real ones. */
export interface Sources {
  clock?: Clock;
  random?: Random;
}

export async function startSchedulerPlane(
  names: readonly string[] = ["n1", "n2"],
  { clock = realClock, random = realRandom }: Sources = {},
): Promise<SchedulerPlane> {
  const plane = await startPlane(names, { bind: false });
  const { client, caches } = plane;
  const stop = new AbortController();
  const shared = { client, caches, log: silentLog, signal: stop.signal };
  const component = "default-scheduler";
  const recorder = createRecorder({ ...shared, clock: realClock, component });
  void new Scheduler({ ...shared, clock, random, recorder }).run();
  // A node is not ready at first, and tainted: what tests read would depend on who comes first.
  await until("the nodes are ready", () => {
    const all = caches.of(nodes).list();
    return all.length === names.length && all.every(({ spec }) => !spec?.taints?.length);
  });
  const find = (name: string) => caches.of(pods).get(`default/${name}`);
  return {
    ...plane,
    async size(name, resources) {
      const status = { capacity: resources, allocatable: resources };
      await client.patch(nodes, { name }, "merge", { status }, { subresource: "status" });
      const [key, value] = Object.entries(resources)[0] ?? [""];
      await until("the node's size", () => {
        return caches.of(nodes).get(name)?.status?.allocatable?.[key] === value;
      });
    },
    pod: (name, spec = {}, meta = {}) =>
      client.create(pods, {
        metadata: { namespace: "default", name, ...meta },
        spec: { containers: [{ name: "c", image: "i" }], ...spec },
      }),
    nodeOf: (name) => until(`a node for ${name}`, () => find(name)?.spec?.nodeName),
    waits: (name, text) =>
      until(`"${text}" of ${name}`, () => {
        const pod = find(name);
        const told = pod?.status?.conditions?.find(({ type }) => type === "PodScheduled");
        return told?.message?.includes(text) && pod;
      }),
    async reasons(name) {
      const list = await client.list(events);
      const about = list.items.filter(({ involvedObject }) => involvedObject.name === name);
      return about.map(({ reason = "" }) => reason).sort();
    },
    async close() {
      stop.abort();
      await plane.close();
    },
  };
}

export async function makeClasses(plane: Plane): Promise<void> {
  for (const [name, value] of Object.entries({ low: 1, mid: 100, high: 1000 })) {
    await plane.client.create(priorityClasses, { metadata: { name }, value });
  }
}
