import { expect } from "bun:test";
import fc from "fast-check";
import { rootCaController } from "#controllers/rootca/controller.ts";
import { ROOT_CA } from "#controllers/rootca/plan.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { converges } from "#test/support/converge.ts";

const anySpace = fc.record({
  goes: fc.boolean(),
  /** What stands in the map; null: there is none. */
  data: fc.constantFrom(null, {}, { "ca.crt": "old" }, { "ca.crt": "ca", more: "no" }),
});

converges("every namespace that stays has the CA and nothing else in its map", {
  any: fc.array(anySpace, { maxLength: 5 }),
  build(world, spaces) {
    for (const [i, { goes, data }] of spaces.entries()) {
      const name = `x${i}`;
      world.put(namespaces, {
        metadata: { name, ...(goes && { deletionTimestamp: world.time() }) },
      });
      if (data !== null)
        world.put(configMaps, { metadata: { namespace: name, name: ROOT_CA }, data });
    }
    return [rootCaController("ca")];
  },
  rest(world, spaces) {
    for (const [i, { goes, data }] of spaces.entries()) {
      const found = world.get(configMaps, `x${i}/${ROOT_CA}`);
      expect(found?.data).toEqual(goes ? (data ?? undefined) : { "ca.crt": "ca" });
    }
  },
  roundsMax: 1,
});
