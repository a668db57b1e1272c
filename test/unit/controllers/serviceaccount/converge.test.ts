import { expect } from "bun:test";
import fc from "fast-check";
import { serviceAccountController } from "#controllers/serviceaccount/controller.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { serviceAccounts } from "#resources/kinds/serviceaccount.ts";
import { converges } from "#test/support/converge.ts";

converges("every namespace that stays has its account, one that goes gets none", {
  any: fc.array(fc.record({ goes: fc.boolean(), present: fc.boolean() }), { maxLength: 6 }),
  build(world, spaces) {
    for (const [i, { goes, present }] of spaces.entries()) {
      const name = `x${i}`;
      world.put(namespaces, {
        metadata: { name, ...(goes && { deletionTimestamp: world.time() }) },
      });
      const metadata = { namespace: name, name: "default", labels: { mine: "yes" } };
      if (present) world.put(serviceAccounts, { metadata });
    }
    return [serviceAccountController];
  },
  always: (_, __, action) => expect(action.do).toBe("create"),
  rest(world, spaces) {
    for (const [i, { goes, present }] of spaces.entries()) {
      const found = world.get(serviceAccounts, `x${i}/default`);
      expect(found !== undefined).toBe(present || !goes);
      expect(found?.metadata.labels?.["mine"] === "yes").toBe(present);
    }
  },
  roundsMax: 1,
});
