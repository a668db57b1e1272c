/**
 * Says of a ServiceCIDR whether Services get addresses out of it
 * (kubernetes.io/docs/tasks/network/extend-service-ip-ranges). This server gives them out of its
 * own range alone: for another one that is told, never claimed.
 */
import type { Plan } from "#client/controller.ts";
import { conditionOf, withCondition } from "#controllers/common/conditions.ts";
import { statusAction } from "#controllers/common/patch.ts";
import { timeText } from "#controllers/common/time.ts";
import { serviceCidrs } from "#resources/kinds/servicecidr.ts";
import type { Stored } from "#resources/meta.ts";
import type { ServiceCIDR } from "#resources/types.gen.ts";

export interface State {
  range: Stored<ServiceCIDR>;
  /** What addresses are given out of: `10.43.0.0/16`, or one range a family with a comma. */
  served: string;
  /** All of the range's CIDRs are within what is served. */
  within: boolean;
}

export function plan({ range, served, within }: State, now: number): Plan {
  const { deletionTimestamp } = range.metadata;
  const known = range.status?.conditions;
  const ready = within && deletionTimestamp === undefined;
  const status = ready ? "True" : "False";
  // Who looks after a range in another way may say so.
  if (conditionOf(known, "Ready")?.status === status) return { actions: [] };
  const condition = {
    type: "Ready",
    status,
    reason: ready ? "Ready" : deletionTimestamp === undefined ? "NotServed" : "Terminating",
    message: ready
      ? "Kubernetes Service CIDR is ready"
      : `Services get addresses out of ${served} alone`,
    lastTransitionTime: timeText(now),
  };
  const conditions = withCondition(known, condition);
  return {
    actions: statusAction(serviceCidrs, range, { ...range.status, conditions }, { guarded: true }),
  };
}
