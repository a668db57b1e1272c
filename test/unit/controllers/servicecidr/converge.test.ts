import { expect } from "bun:test";
import fc from "fast-check";
import { serviceCidrController } from "#controllers/servicecidr/controller.ts";
import { serviceCidrs } from "#resources/kinds/servicecidr.ts";
import { converges } from "#test/support/converge.ts";

const WITHIN = ["10.43.0.0/16", "10.43.7.0/24"];

converges("a range is ready when addresses are given out of it, and only then", {
  any: fc.record({
    cidrs: fc.subarray([...WITHIN, "10.99.0.0/16"], { minLength: 1 }),
    goes: fc.boolean(),
    before: fc.constantFrom(undefined, "True", "False", "Unknown"),
  }),
  build(world, { cidrs, goes, before }) {
    const known = { reason: "x", message: "", lastTransitionTime: world.time() };
    world.put(serviceCidrs, {
      metadata: {
        name: "r",
        ...(goes && { deletionTimestamp: world.time(), finalizers: ["x/y"] }),
      },
      spec: { cidrs },
      ...(before && { status: { conditions: [{ type: "Ready", status: before, ...known }] } }),
    });
    return [serviceCidrController("10.43.0.0/16")];
  },
  rest(world, { cidrs, goes }) {
    const [ready, ...more] = world.get(serviceCidrs, "r")?.status?.conditions ?? [];
    const is = !goes && cidrs.every((one) => WITHIN.includes(one));
    expect([ready?.type, ready?.status, more]).toEqual(["Ready", is ? "True" : "False", []]);
  },
  roundsMax: 1,
});
