import { contains } from "#base/cidr.ts";
import type { Controller } from "#client/controller.ts";
import { plan, type State } from "#controllers/servicecidr/plan.ts";
import { serviceCidrs } from "#resources/kinds/servicecidr.ts";

export const serviceCidrController = (served: string): Controller<State> => ({
  name: "servicecidr",
  kind: serviceCidrs,
  triggers: [],
  read(name, { caches }) {
    const range = caches.of(serviceCidrs).get(name);
    if (range === undefined) return undefined;
    const ranges = served.split(",");
    const within = (cidr: string) => ranges.some((one) => contains(one, cidr));
    return { range, served, within: (range.spec?.cidrs ?? []).every(within) };
  },
  plan,
});
