import { expect } from "bun:test";
import fc from "fast-check";
import { namespaceController } from "#controllers/namespace/controller.ts";
import type { Kind } from "#resources/kind.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { pods } from "#resources/kinds/pod.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { ApiObject } from "#resources/meta.ts";
import { converges } from "#test/support/converge.ts";

const KINDS: ReadonlyArray<Kind<ApiObject>> = [pods, configMaps, secrets];
const object = fc.record({
  kind: fc.integer({ min: 0, max: 2 }),
  held: fc.boolean(),
  goes: fc.boolean(),
});

converges("a namespace that goes is emptied, pods first, and let go; another is left alone", {
  any: fc.record({
    objects: fc.array(object, { maxLength: 8 }),
    goes: fc.boolean(),
    others: fc.boolean(),
  }),
  build(world, { objects, goes, others }) {
    world.put(namespaces, {
      // The model ends what has no finalizer of its metadata; a namespace has others.
      metadata: {
        name: "x",
        finalizers: ["x.io/model"],
        ...(goes && { deletionTimestamp: world.time() }),
      },
      spec: { finalizers: ["kubernetes", ...(others ? ["x.io/keep"] : [])] },
    });
    for (const [i, { kind, held, goes: leaves }] of objects.entries()) {
      const made = KINDS[kind] ?? pods;
      const metadata = {
        namespace: "x",
        name: `o${i}`,
        ...((held || leaves) && { finalizers: ["x.io/held"] }),
        ...(leaves && { deletionTimestamp: world.time() }),
      };
      world.put(made, { metadata });
    }
    return [namespaceController];
  },
  /** Whoever holds an object lets it go, one at a time. */
  meanwhile(world) {
    for (const kind of KINDS) {
      const held = world.list(kind).find((one) => one.metadata.deletionTimestamp !== undefined);
      if (held === undefined) continue;
      world.remove(kind, `x/${held.metadata.name}`);
      return;
    }
  },
  always(world, _, action) {
    if (action.do !== "deleteAll" || action.kind === pods) return;
    expect(world.list(pods)).toEqual([]);
  },
  rest(world, { objects, goes, others }) {
    const left = KINDS.flatMap((kind) => [...world.list(kind)]);
    const kept = objects.filter((one) => !one.goes).length;
    const stand = left.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (!goes) expect(stand).toHaveLength(kept);
    else expect(left).toEqual([]);
    const finalizers = world.get(namespaces, "x")?.spec?.finalizers ?? [];
    const own = goes ? [] : ["kubernetes"];
    expect(finalizers).toEqual([...own, ...(others ? ["x.io/keep"] : [])]);
  },
  roundsMax: 30,
  horizonMs: 600_000,
});
