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
  used(spec: PodSpec): boolean;
  drop(spec: PodSpec): void;
}

const containersOf = (spec: PodSpec): AnyContainer[] => [
  ...(spec.initContainers ?? []),
  ...(spec.containers ?? []),
  ...(spec.ephemeralContainers ?? []),
];

/** Sidecars are no part of this feature. */
const ownPolicy = (spec: PodSpec, container: AnyContainer): boolean =>
  container.restartPolicy !== undefined &&
  !(container.restartPolicy === "Always" && spec.initContainers?.includes(container));

const restartRules: Feature = {
  used: (spec) =>
    containersOf(spec).some(
      (container) => ownPolicy(spec, container) || (container.restartPolicyRules ?? []).length > 0,
    ),
  drop: (spec) => {
    for (const container of containersOf(spec)) {
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
  used: (spec) =>
    containersOf(spec).some(({ env }) => env?.some(({ valueFrom }) => valueFrom?.fileKeyRef)),
  drop: (spec) => {
    for (const container of containersOf(spec)) {
      for (const { valueFrom } of container.env ?? []) delete valueFrom?.fileKeyRef;
    }
  },
};

const stopSignals: Feature = {
  used: (spec) => containersOf(spec).some(({ lifecycle }) => lifecycle?.stopSignal !== undefined),
  drop: (spec) => {
    for (const container of containersOf(spec)) {
      const { lifecycle } = container;
      if (lifecycle?.stopSignal === undefined) continue;
      delete lifecycle.stopSignal;
      if (Object.keys(lifecycle).length === 0) delete container.lifecycle;
    }
  },
};

const projection = (name: "clusterTrustBundle" | "podCertificate"): Feature => {
  const sourcesOf = (spec: PodSpec) =>
    (spec.volumes ?? []).flatMap(({ projected }) => projected?.sources ?? []);
  return {
    used: (spec) => sourcesOf(spec).some((source) => source[name]),
    drop: (spec) => {
      for (const source of sourcesOf(spec)) delete source[name];
    },
  };
};

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
  for (const feature of OFF) {
    if (feature.used(spec) && !(old && feature.used(old))) feature.drop(spec);
  }
}

interface Workload {
  spec?: { template?: PodTemplateSpec };
}

/** Of a workload's template. */
export const dropUnservedTemplateFields = (next: Workload, old: Workload | undefined): void =>
  dropUnservedPodFields(next.spec?.template?.spec, old?.spec?.template?.spec);
