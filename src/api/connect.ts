/** Admission of what opens a stream: webhooks and policies may deny it (operation CONNECT). */
import type { Call, Core } from "#api/core.ts";

export type ConnectKind =
  | "PodExecOptions"
  | "PodAttachOptions"
  | "PodPortForwardOptions"
  | "PodProxyOptions"
  | "ServiceProxyOptions"
  | "NodeProxyOptions";

/** `options` is what the query asked for, as fields of `kind`. @throws ApiError of who denies. */
export function admitConnect(
  core: Core,
  call: Call,
  kind: ConnectKind,
  options: object,
): Promise<void> {
  const { namespace, name = "", subresource = "" } = call.target;
  return core.admission.validate({
    operation: "CONNECT",
    resource: call.resource,
    subresource,
    namespace,
    name,
    user: call.user,
    // A query of a stream may mean anything; nothing is written by it.
    dryRun: false,
    object: { apiVersion: "v1", kind, ...options },
    old: undefined,
    warnings: call.warnings,
    rests: [],
    undo: [],
  });
}
