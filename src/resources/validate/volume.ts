/** A pod's volumes (core validation; "Volumes", "Projected Volumes"). */
import { type Cause, duplicate, forbidden, invalid, required } from "#resources/field.ts";
import { checkAnnotations, checkLabels } from "#resources/names.ts";
import { quantityValue } from "#resources/quantity.ts";
import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  ObjectMeta,
  ProjectedVolumeSource,
  ServiceAccountTokenProjection,
  Volume,
  VolumeProjection,
} from "#resources/types.gen.ts";
import { byRule, each, present, requiredWord } from "#resources/validate/basic.ts";
import { checkClaimSpec } from "#resources/validate/claim.ts";
import { checkFieldRef, checkResourceRef } from "#resources/validate/env.ts";
import { fileMode, ownPath, relativePath } from "#resources/validate/path.ts";
import {
  checkDriverName,
  checkHostPath,
  checkNfs,
  tooManySources,
} from "#resources/validate/source.ts";
import { labelErrors, subdomainErrors } from "#resources/validate/text.ts";
import { checkVendor } from "#resources/validate/vendor.ts";

const TOKEN_SECONDS_MIN = 600;
const TOKEN_SECONDS_MAX = 2 ** 32;
const FILE_FIELDS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.labels",
  "metadata.annotations",
  "metadata.uid",
];

const itemCauses = (item: KeyToPath, path: string): Cause[] => [
  ...present(item.key, `${path}.key`),
  ...present(item.path, `${path}.path`),
  ...ownPath(item.path, `${path}.path`),
  ...fileMode(item.mode, `${path}.mode`),
];

function fileCauses(file: DownwardAPIVolumeFile, path: string): Cause[] {
  const causes = [...present(file.path, `${path}.path`), ...ownPath(file.path, `${path}.path`)];
  if (file.fieldRef) {
    causes.push(...checkFieldRef(file.fieldRef, FILE_FIELDS, `${path}.fieldRef`));
    if (file.resourceFieldRef) {
      const detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
      causes.push(invalid(path, "resource", detail));
    }
  } else if (file.resourceFieldRef) {
    causes.push(...checkResourceRef(file.resourceFieldRef, `${path}.resourceFieldRef`, true));
  } else {
    causes.push(required(path, "one of fieldRef and resourceFieldRef is required"));
  }
  return [...causes, ...fileMode(file.mode, `${path}.mode`)];
}

function tokenCauses(
  token: ServiceAccountTokenProjection,
  path: string,
  volumePath: string,
): Cause[] {
  const seconds = token.expirationSeconds ?? 0;
  const at = `${path}.expirationSeconds`;
  const causes: Cause[] = [];
  if (seconds < TOKEN_SECONDS_MIN) {
    causes.push(invalid(at, seconds, "may not specify a duration less than 10 minutes"));
  }
  if (seconds > TOKEN_SECONDS_MAX) {
    causes.push(invalid(at, seconds, "may not specify a duration larger than 2^32 seconds"));
  }
  return [
    ...causes,
    ...present(token.path, `${volumePath}.path`),
    ...ownPath(token.path, `${volumePath}.path`),
  ];
}

function projectionCauses(source: VolumeProjection, path: string, volumePath: string): Cause[] {
  const { secret, configMap, downwardAPI, serviceAccountToken } = source;
  const causes: Cause[] = [];
  for (const [name, keyed] of Object.entries({ secret, configMap })) {
    if (!keyed) continue;
    causes.push(
      ...present(keyed.name, `${path}.${name}.name`),
      ...each(keyed.items, `${path}.${name}.items`, itemCauses),
    );
  }
  for (const file of downwardAPI?.items ?? []) {
    causes.push(...fileCauses(file, `${path}.downwardAPI`));
  }
  if (serviceAccountToken) {
    causes.push(...tokenCauses(serviceAccountToken, `${path}.serviceAccountToken`, volumePath));
  }
  if (Object.values(source).filter(Boolean).length > 1) {
    causes.push(forbidden(path, "may not specify more than 1 volume type per source"));
  }
  return causes;
}

/** Two sources may not write one file. */
function conflictCauses(projected: ProjectedVolumeSource, path: string): Cause[] {
  const seen = new Set<string>();
  const files = (projected.sources ?? []).flatMap(({ secret, configMap, downwardAPI }) => [
    ...(secret?.items ?? []).map((item) => ({ file: item.path, shown: secret?.name ?? "" })),
    ...(configMap?.items ?? []).map((item) => ({ file: item.path, shown: configMap?.name ?? "" })),
    ...(downwardAPI?.items ?? []).map((item) => ({ file: item.path, shown: item.path })),
  ]);
  return files.flatMap(({ file, shown }) => {
    if (!file) return [];
    const causes = seen.has(file) ? [invalid(path, shown, "conflicting duplicate paths")] : [];
    seen.add(file);
    return causes;
  });
}

function projectedCauses(projected: ProjectedVolumeSource, path: string): Cause[] {
  return [
    ...fileMode(projected.defaultMode, `${path}.defaultMode`),
    ...each(projected.sources, `${path}.sources`, (source, at) =>
      projectionCauses(source, at, path),
    ),
    ...conflictCauses(projected, path),
  ];
}

function sizeCauses(sizeLimit: string | undefined, path: string): Cause[] {
  try {
    if (sizeLimit === undefined || quantityValue(sizeLimit) >= 0) return [];
  } catch {
    // Named below as what it is: no quantity.
  }
  return [forbidden(path, "SizeLimit field must be a valid resource quantity")];
}

type Source = Exclude<keyof Volume, "name">;
type SourceCheck = (volume: Volume, path: string, meta: ObjectMeta | undefined) => Cause[];

/** Of several sources the first one counts. */
const ORDER: readonly Source[] = [
  "emptyDir",
  "hostPath",
  "gitRepo",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "secret",
  "nfs",
  "iscsi",
  "glusterfs",
  "flocker",
  "persistentVolumeClaim",
  "rbd",
  "cinder",
  "cephfs",
  "quobyte",
  "downwardAPI",
  "fc",
  "flexVolume",
  "configMap",
  "azureFile",
  "vsphereVolume",
  "photonPersistentDisk",
  "portworxVolume",
  "azureDisk",
  "storageos",
  "projected",
  "scaleIO",
  "csi",
  "ephemeral",
  "image",
];

const SOURCES: Partial<Record<Source, SourceCheck>> = {
  emptyDir: ({ emptyDir }, path) => sizeCauses(emptyDir?.sizeLimit, `${path}.sizeLimit`),
  hostPath: ({ hostPath }, path) => (hostPath ? checkHostPath(hostPath, path) : []),
  secret: ({ secret }, path) => [
    ...present(secret?.secretName, `${path}.secretName`),
    ...fileMode(secret?.defaultMode, `${path}.defaultMode`),
    ...each(secret?.items, `${path}.items`, itemCauses),
  ],
  configMap: ({ configMap }, path) => [
    ...present(configMap?.name, `${path}.name`),
    ...fileMode(configMap?.defaultMode, `${path}.defaultMode`),
    ...each(configMap?.items, `${path}.items`, itemCauses),
  ],
  nfs: ({ nfs }, path) => (nfs ? checkNfs(nfs, path) : []),
  persistentVolumeClaim: ({ persistentVolumeClaim }, path) =>
    present(persistentVolumeClaim?.claimName, `${path}.claimName`),
  downwardAPI: ({ downwardAPI }, path) => [
    ...fileMode(downwardAPI?.defaultMode, `${path}.defaultMode`),
    ...(downwardAPI?.items ?? []).flatMap((file) => fileCauses(file, path)),
  ],
  projected: ({ projected }, path) => (projected ? projectedCauses(projected, path) : []),
  csi: ({ csi }, path) => [
    ...checkDriverName(csi?.driver, `${path}.driver`),
    ...(csi?.nodePublishSecretRef
      ? present(csi.nodePublishSecretRef.name, `${path}.nodePublishSecretRef.name`)
      : []),
  ],
  gitRepo: ({ gitRepo }, path) => [
    ...present(gitRepo?.repository, `${path}.repository`),
    ...relativePath(gitRepo?.directory, `${path}.directory`),
  ],
  ephemeral: ephemeralCauses,
  image: ({ image }, path, meta) => [
    ...(meta ? present(image?.reference, `${path}.reference`) : []),
    ...requiredWord(image?.pullPolicy, ["Always", "IfNotPresent", "Never"], `${path}.pullPolicy`),
  ],
};

function ephemeralCauses(volume: Volume, path: string): Cause[] {
  const claim = volume.ephemeral?.volumeClaimTemplate;
  const at = `${path}.volumeClaimTemplate`;
  if (!claim) return [required(at)];
  return [
    ...checkLabels(claim.metadata?.labels, `${at}.metadata.labels`),
    ...checkAnnotations(claim.metadata?.annotations, `${at}.metadata.annotations`),
    ...checkClaimSpec(claim.spec, `${at}.spec`),
  ];
}

/** The claim that an ephemeral volume makes is named after the pod. */
function claimNameCauses(volume: Volume, path: string, meta: ObjectMeta | undefined): Cause[] {
  if (!volume.ephemeral || !meta?.name || !volume.name) return [];
  const claim = `${meta.name}-${volume.name}`;
  return subdomainErrors(claim).map((error) =>
    invalid(`${path}.name`, volume.name, `PVC name ${JSON.stringify(claim)}: ${error}`),
  );
}

function sourceCauses(volume: Volume, path: string, meta: ObjectMeta | undefined): Cause[] {
  const there = ORDER.filter((name) => volume[name]);
  const [first] = there;
  const source = first && volume[first];
  if (!source) return [required(path, "must specify a volume type")];
  const at = `${path}.${first}`;
  const check = SOURCES[first];
  const causes = check ? check(volume, at, meta) : checkVendor(first, source, at);
  const own = first === "ephemeral" ? claimNameCauses(volume, path, meta) : [];
  return [...causes, ...tooManySources(there, path), ...own];
}

/** All volumes, and those of them that can be mounted; `meta` of a real pod, none of a template. */
export function checkVolumes(
  volumes: readonly Volume[] | undefined,
  path: string,
  meta: ObjectMeta | undefined,
): { causes: Cause[]; usable: Map<string, Volume> } {
  const usable = new Map<string, Volume>();
  const names = new Set<string>();
  const all = each(volumes, path, (volume, at) => {
    const causes = sourceCauses(volume, at, meta);
    if (!volume.name) causes.push(required(`${at}.name`));
    else causes.push(...byRule(labelErrors, volume.name, `${at}.name`));
    if (names.has(volume.name)) causes.push(duplicate(`${at}.name`, volume.name));
    if (causes.length === 0) {
      names.add(volume.name);
      usable.set(volume.name, volume);
    }
    return causes;
  });
  return { causes: all, usable };
}
