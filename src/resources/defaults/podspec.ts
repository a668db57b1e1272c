/** Defaults of pods and of the templates of pods (Kubernetes API reference, PodSpec v1). */
import { defaultContainer } from "#resources/defaults/container.ts";
import { canonicalResources, requestLimits } from "#resources/defaults/resources.ts";
import { defaultVolume } from "#resources/defaults/volume.ts";
import { defaultPodResources } from "#resources/podresources.ts";
import type { Container, PodSpec, PodTemplateSpec } from "#resources/types.gen.ts";

const GRACE_SECONDS = 30;

/** The account under both of its names; the older one is kept for old clients. */
function sameServiceAccount(spec: PodSpec): void {
  const name = spec.serviceAccountName || spec.serviceAccount;
  if (!name) return;
  spec.serviceAccountName = name;
  spec.serviceAccount = name;
}

/** What templates and pods share. */
export function defaultPodSpec(spec: PodSpec): void {
  spec.dnsPolicy ||= "ClusterFirst";
  spec.restartPolicy ||= "Always";
  spec.securityContext ??= {};
  spec.terminationGracePeriodSeconds ??= GRACE_SECONDS;
  spec.schedulerName ||= "default-scheduler";
  sameServiceAccount(spec);
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  for (const container of spec.initContainers ?? []) defaultContainer(container);
  for (const container of spec.containers ?? []) defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container);
  canonicalResources(spec.overhead);
  canonicalResources(spec.resources?.limits);
  canonicalResources(spec.resources?.requests);
}

/** The template of a workload; made where the client left it out, for validation to name. */
export function defaultTemplate<T extends { template?: PodTemplateSpec }>(holder: T): void {
  holder.template ??= {};
  holder.template.metadata ??= {};
  holder.template.spec ??= { containers: [] };
  defaultPodSpec(holder.template.spec);
}

/** On the host's network a container's port is the host's. */
function hostPorts(containers: Container[]): void {
  for (const container of containers) {
    for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
  }
}

/** What only pods get: it would change templates that old clients wrote. */
export function defaultPod(spec: PodSpec): void {
  defaultPodSpec(spec);
  if ((spec.terminationGracePeriodSeconds ?? 0) < 0) spec.terminationGracePeriodSeconds = 1;
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    if (container.resources) requestLimits(container.resources);
  }
  defaultPodResources(spec);
  if (spec.hostNetwork === true) {
    hostPorts(spec.containers ?? []);
    hostPorts(spec.initContainers ?? []);
  }
  spec.enableServiceLinks ??= true;
}
