/** Taints of nodes and what tolerates them. */
import { tolerates } from "#resources/nodeselector.ts";
import type { Taint, Toleration } from "#resources/types.gen.ts";

export const NOT_READY = "node.kubernetes.io/not-ready";
export const UNREACHABLE = "node.kubernetes.io/unreachable";
export const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";

export const toleration = (
  tolerations: readonly Toleration[] | undefined,
  taint: Taint,
): Toleration | undefined => tolerations?.find((one) => tolerates(one, taint));
