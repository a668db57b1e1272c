/** Defaults of containers, their probes and hooks (Kubernetes API reference, Container v1). */
import { defaultPullPolicy } from "#resources/defaults/image.ts";
import { canonicalResources } from "#resources/defaults/resources.ts";
import type {
  Container,
  EphemeralContainer,
  HTTPGetAction,
  LifecycleHandler,
  ObjectFieldSelector,
  Probe,
  ResourceFieldSelector,
} from "#resources/types.gen.ts";

interface FieldSource {
  fieldRef?: ObjectFieldSelector;
  resourceFieldRef?: ResourceFieldSelector;
}

/** Of an environment variable or a file of the downward API. */
export function defaultFieldRefs(source: FieldSource | undefined): void {
  if (source?.fieldRef) source.fieldRef.apiVersion ||= "v1";
  if (source?.resourceFieldRef) source.resourceFieldRef.divisor ??= "0";
}

function defaultHttpGet(action: HTTPGetAction | undefined): void {
  if (!action) return;
  action.path ||= "/";
  action.scheme ||= "HTTP";
}

function defaultProbe(probe: Probe | undefined): void {
  if (!probe) return;
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  defaultHttpGet(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= "";
}

const defaultHook = (hook: LifecycleHandler | undefined): void => defaultHttpGet(hook?.httpGet);

export function defaultContainer(container: Container | EphemeralContainer): void {
  container.imagePullPolicy ||= defaultPullPolicy(container.image ?? "");
  container.terminationMessagePath ||= "/dev/termination-log";
  container.terminationMessagePolicy ||= "File";
  for (const port of container.ports ?? []) port.protocol ||= "TCP";
  for (const { valueFrom } of container.env ?? []) {
    defaultFieldRefs(valueFrom);
    if (valueFrom?.fileKeyRef) valueFrom.fileKeyRef.optional ??= false;
  }
  // A struct without omitempty upstream: clients see `resources: {}` when nothing is set.
  container.resources ??= {};
  canonicalResources(container.resources.limits);
  canonicalResources(container.resources.requests);
  defaultProbe(container.livenessProbe);
  defaultProbe(container.readinessProbe);
  defaultProbe(container.startupProbe);
  defaultHook(container.lifecycle?.postStart);
  defaultHook(container.lifecycle?.preStop);
}
