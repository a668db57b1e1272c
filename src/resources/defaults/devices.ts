import type { DeviceClaim } from "#resources/types.gen.ts";

/**
 * One device of the class, unless all are asked for (Kubernetes API reference, ResourceClaim v1).
 */
export function defaultDevices(claim: DeviceClaim | undefined): void {
  for (const request of claim?.requests ?? []) {
    for (const each of [request.exactly, ...(request.firstAvailable ?? [])]) {
      if (!each) continue;
      each.allocationMode ||= "ExactCount";
      if (each.allocationMode === "ExactCount") each.count ||= 1;
      for (const toleration of each.tolerations ?? []) toleration.operator ||= "Equal";
    }
  }
}
