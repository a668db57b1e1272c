import { expect, test } from "bun:test";
import { serviceCidrController } from "#controllers/servicecidr/controller.ts";
import { serviceCidrs } from "#resources/kinds/servicecidr.ts";
import { World } from "#test/support/world.ts";

const SERVED = "10.43.0.0/16,fd00:43::/112";
const cases = [
  ["fd00:43::/120", "True"],
  ["10.43.0.0/16", "True"],
  ["10.43.128.0/24", "True"],
  ["10.42.0.0/16", "False"],
  ["10.0.0.0/8", "False"],
  ["fd00::/108", "False"],
] as const;

for (const [cidr, status] of cases) {
  test(`a range ${cidr} is Ready=${status}`, () => {
    const world = new World();
    world.put(serviceCidrs, { metadata: { name: "r" }, spec: { cidrs: [cidr] } });
    world.settle([serviceCidrController(SERVED)]);
    const [condition] = world.get(serviceCidrs, "r")?.status?.conditions ?? [];
    expect(condition).toMatchObject({ type: "Ready", status });
    expect(world.settle([serviceCidrController(SERVED)])).toBe(0);
  });
}
