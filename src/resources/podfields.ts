/**
 * Fields of pods that belong to features which are off by default (KEP-5307, 4762, 3721, 3257,
 * 4317, 4960). They are dropped where a client sets them, unless the pod has used the feature
 * before.
 */
import type {
  Container,
  EphemeralContainer,
  PodSpec,
  PodTemplateSpec,
} from "#resources/types.gen.ts";

type AnyContainer = Container | EphemeralContainer;

interface Feature {
  used(spec: PodSpec, containers: readonly AnyContainer[]): boolean;
  drop(spec: PodSpec, containers: readonly AnyContainer[]): void;
}

function containersOf(spec: PodSpec): readonly AnyContainer[] {
  const { initContainers, containers = [], ephemeralContainers } = spec;
  if (initContainers === undefined && ephemeralContainers === undefined) return containers;
  return [...(initContainers ?? []), ...containers, ...(ephemeralContainers ?? [])];
}

/** Sidecars are no part of this feature. */
const ownPolicy = (spec: PodSpec, container: AnyContainer): boolean =>
  container.restartPolicy !== undefined &&
  !(container.restartPolicy === "Always" && spec.initContainers?.includes(container));

const restartRules: Feature = {
  used: (spec, containers) =>
    containers.some(
      (container) => ownPolicy(spec, container) || (container.restartPolicyRules ?? []).length > 0,
    ),
  drop: (spec, containers) => {
    for (const container of containers) {
      if (ownPolicy(spec, container)) delete container.restartPolicy;
      delete container.restartPolicyRules;
    }
  },
};

const hostnameOverride: Feature = {
  used: (spec) => spec.hostnameOverride !== undefined,
  drop: (spec) => {
    delete spec.hostnameOverride;
  },
};

const envFiles: Feature = {
  used: (_, containers) =>
    containers.some(({ env }) => env?.some(({ valueFrom }) => valueFrom?.fileKeyRef)),
  drop: (_, containers) => {
    for (const container of containers) {
      for (const { valueFrom } of container.env ?? []) delete valueFrom?.fileKeyRef;
    }
  },
};

const stopSignals: Feature = {
  used: (_, containers) => containers.some(({ lifecycle }) => lifecycle?.stopSignal !== undefined),
  drop: (_, containers) => {
    for (const container of containers) {
      const { lifecycle } = container;
      if (lifecycle?.stopSignal === undefined) continue;
      delete lifecycle.stopSignal;
      if (Object.keys(lifecycle).length === 0) delete container.lifecycle;
    }
  },
};

const projection = (name: "clusterTrustBundle" | "podCertificate"): Feature => ({
  used: ({ volumes }) =>
    volumes?.some(({ projected }) => projected?.sources?.some((source) => source[name])) === true,
  drop: ({ volumes }) => {
    for (const { projected } of volumes ?? []) {
      for (const source of projected?.sources ?? []) delete source[name];
    }
  },
});

const OFF: readonly Feature[] = [
  restartRules,
  hostnameOverride,
  envFiles,
  stopSignals,
  projection("clusterTrustBundle"),
  projection("podCertificate"),
];

/** In place. */
export function dropUnservedPodFields(spec: PodSpec | undefined, old: PodSpec | undefined): void {
  if (!spec) return;
  const containers = containersOf(spec);
  for (const feature of OFF) {
    if (!feature.used(spec, containers)) continue;
    if (!(old && feature.used(old, containersOf(old)))) feature.drop(spec, containers);
  }
}

interface Workload {
  spec?: { template?: PodTemplateSpec };
}

/** Of a workload's template. */
export const dropUnservedTemplateFields = (next: Workload, old: Workload | undefined): void =>
  dropUnservedPodFields(next.spec?.template?.spec, old?.spec?.template?.spec);
