/** What a pod names: the objects that its node must be able to read. Pure. */
import type { Container, Pod, PodSpec, Volume } from "#resources/types.gen.ts";

type Names = Set<string>;

export const MIRROR = "kubernetes.io/config.mirror";
export const isMirror = (pod: Pod): boolean => pod.metadata?.annotations?.[MIRROR] !== undefined;

function add(names: Names, name: string | undefined): void {
  if (name) names.add(name);
}

function fromEnv(container: Container, secrets: Names, configMaps: Names): void {
  for (const { valueFrom } of container.env ?? []) {
    add(secrets, valueFrom?.secretKeyRef?.name);
    add(configMaps, valueFrom?.configMapKeyRef?.name);
  }
  for (const { secretRef, configMapRef } of container.envFrom ?? []) {
    add(secrets, secretRef?.name);
    add(configMaps, configMapRef?.name);
  }
}

function fromVolume(volume: Volume, secrets: Names, configMaps: Names): void {
  add(secrets, volume.secret?.secretName);
  add(configMaps, volume.configMap?.name);
  for (const source of volume.projected?.sources ?? []) {
    add(secrets, source.secret?.name);
    add(configMaps, source.configMap?.name);
  }
  add(secrets, volume.csi?.nodePublishSecretRef?.name);
  add(secrets, volume.cephfs?.secretRef?.name);
  add(secrets, volume.cinder?.secretRef?.name);
  add(secrets, volume.flexVolume?.secretRef?.name);
  add(secrets, volume.iscsi?.secretRef?.name);
  add(secrets, volume.rbd?.secretRef?.name);
  add(secrets, volume.scaleIO?.secretRef?.name);
  add(secrets, volume.storageos?.secretRef?.name);
  add(secrets, volume.azureFile?.secretName);
}

const containersOf = (spec: PodSpec): Container[] => [
  ...(spec.initContainers ?? []),
  ...spec.containers,
  ...((spec.ephemeralContainers ?? []) as Container[]),
];

/** Names of the objects of one resource that the pod refers to, in its own namespace. */
export function references(pod: Pod, plural: string): ReadonlySet<string> {
  const { spec } = pod;
  const secrets: Names = new Set();
  const configMaps: Names = new Set();
  if (spec === undefined) return secrets;
  switch (plural) {
    case "serviceaccounts":
      return new Set([spec.serviceAccountName ?? ""]);
    case "persistentvolumeclaims":
      return claimsOf(pod, spec);
    case "resourceclaims":
      return deviceClaimsOf(pod, spec);
    default:
  }
  for (const container of containersOf(spec)) fromEnv(container, secrets, configMaps);
  for (const volume of spec.volumes ?? []) fromVolume(volume, secrets, configMaps);
  for (const { name } of spec.imagePullSecrets ?? []) add(secrets, name);
  return plural === "secrets" ? secrets : configMaps;
}

/** Claims that the pod names, and claims created for it from a template. */
function deviceClaimsOf({ status }: Pod, spec: PodSpec): Names {
  const names: Names = new Set();
  for (const { resourceClaimName } of spec.resourceClaims ?? []) add(names, resourceClaimName);
  for (const { resourceClaimName } of status?.resourceClaimStatuses ?? []) {
    add(names, resourceClaimName);
  }
  return names;
}

function claimsOf(pod: Pod, spec: PodSpec): Names {
  const names: Names = new Set();
  for (const volume of spec.volumes ?? []) {
    add(names, volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral !== undefined) names.add(`${pod.metadata?.name}-${volume.name}`);
  }
  return names;
}

const PROJECTED = {
  serviceAccountToken: "serviceaccount tokens",
  clusterTrustBundle: "clustertrustbundles",
  podCertificate: "podcertificates",
} as const;

function projectedBy({ volumes = [] }: PodSpec): string | undefined {
  const sources = volumes.flatMap((volume) => volume.projected?.sources ?? []);
  const fields = Object.keys(PROJECTED) as Array<keyof typeof PROJECTED>;
  const used = fields.find((field) => sources.some((source) => source[field] !== undefined));
  return used && PROJECTED[used];
}

/** Returns the kind of the first API object that the pod references; undefined if none. */
export function referenceOf(pod: Pod): string | undefined {
  const { spec } = pod;
  if (spec === undefined) return undefined;
  if (spec.serviceAccountName || spec.serviceAccount) return "serviceaccounts";
  const plurals = ["secrets", "configmaps", "persistentvolumeclaims"];
  const named = plurals.find((plural) => references(pod, plural).size > 0);
  if (named !== undefined) return named;
  return (spec.resourceClaims ?? []).length > 0 ? "resourceclaims" : projectedBy(spec);
}
