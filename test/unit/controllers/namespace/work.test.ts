/** What a deleted pod costs its namespace's end, however many others go with it. */
import { expect, test } from "bun:test";
import { must } from "#base/assert.ts";
import { limits } from "#base/limits.ts";
import type { Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import { namespaceController } from "#controllers/namespace/controller.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { pods } from "#resources/kinds/pod.ts";
import { sized } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

/** What the loop waits between two looks. */
function spacingMs(caches: Caches): number {
  const { spacingMs: spacing = limits.controllerSpacingMs } = namespaceController;
  return typeof spacing === "number" ? spacing : spacing(caches);
}

const NAME = "x";
/** A hundred pods a second end, as nodes end them. */
const POD_MS = 10;

interface Work {
  readonly looks: number;
  /** Objects that the API listed for it. */
  readonly listed: number;
  /** From the end of the last pod to the last look. */
  readonly lateMs: number;
}

/** As the loop does: a look when a pod wakes it, when the plan says, and after a write; spaced. */
async function endOf(count: number): Promise<Work> {
  const world = new World();
  world.gracefulPods = true;
  const deletionTimestamp = world.time();
  world.put(namespaces, {
    metadata: { name: NAME, deletionTimestamp, finalizers: ["x.io/model"] },
    spec: { finalizers: ["kubernetes"] },
  });
  for (let i = 0; i < count; i++) {
    world.put(pods, { metadata: { namespace: NAME, name: `p${i}` } });
  }
  let [looks, listed, dueMs, spacedMs, lastMs] = [0, 0, world.now, 0, 0];
  const client = {
    list: async (kind: typeof pods) => {
      const items = [...world.items(kind).list(NAME)];
      listed += items.length;
      return { items, resourceVersion: "1" };
    },
  } as unknown as Client;
  const look = async (): Promise<void> => {
    looks++;
    const around = { caches: world.caches, now: world.now, random: () => 0 };
    const read = namespaceController.read(NAME, around);
    if (read === undefined) return;
    const state = must(await namespaceController.confirm?.(read, client), "state");
    const { actions, againMs = Number.POSITIVE_INFINITY } = namespaceController.plan(
      state,
      world.now,
    );
    for (const action of actions) world.apply(action);
    dueMs = world.now + (actions.length > 0 ? 0 : againMs);
    spacedMs = world.now + spacingMs(world.caches);
    lastMs = world.now;
  };
  const wakes = (before: unknown): boolean =>
    namespaceController.triggers.some(
      ({ kind, changed, keys }) =>
        kind === pods &&
        changed?.({ key: "", before: before as never, after: undefined }) !== false &&
        keys(before as never, world.caches).length > 0,
    );
  for (let i = 0; i < count; i++) {
    if (world.now >= Math.max(dueMs, spacedMs)) await look();
    const key = `${NAME}/p${i}`;
    const before = world.get(pods, key);
    expect(before?.metadata.deletionTimestamp).toBeDefined();
    world.remove(pods, key);
    if (wakes(before)) dueMs = world.now;
    world.now += POD_MS;
  }
  const endMs = world.now;
  world.now = Math.max(dueMs, spacedMs);
  await look();
  expect(world.get(namespaces, NAME)?.spec?.finalizers).toEqual([]);
  return { looks, listed, lateMs: lastMs - endMs };
}

test("a deleted pod costs its namespace's end no look at all the others", async () => {
  for (const count of [100, sized(10_000, 3_000)]) {
    const { looks, listed, lateMs } = await endOf(count);
    if (process.env["SHOW"]) console.log({ count, looks, listed: listed / count, lateMs });
    expect(listed / count).toBeLessThan(30);
    expect(looks / count).toBeLessThan(1);
    // The last one wakes it: its own time would come seconds later.
    expect(lateMs).toBeLessThan(100);
  }
});
