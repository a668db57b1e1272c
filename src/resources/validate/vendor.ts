/**
 * Volume sources of storage systems (core validation). Most have no driver in the cluster any more,
 * but objects of them must still be told apart from broken ones.
 */
import { type Cause, invalid, notSupported, required } from "#resources/field.ts";
import type { PersistentVolumeSpec, Volume } from "#resources/types.gen.ts";
import { byRule, inclusive, present, supported, within } from "#resources/validate/basic.ts";
import { labelErrors } from "#resources/validate/text.ts";

/** Sources that volumes of pods and persistent volumes have alike. */
type Shared = Exclude<keyof Volume & keyof PersistentVolumeSpec, "hostPath" | "nfs" | "csi">;
type Source<K extends Shared> = NonNullable<Volume[K]> | NonNullable<PersistentVolumeSpec[K]>;
type Checks = { [K in Shared]: (source: Source<K>, path: string) => Cause[] };

const BYTE: readonly [number, number] = [0, 255];
const TENANT_MAX = 64;

const IQN = [
  ["iqn", /iqn\.\d{4}-\d{2}\.([A-Za-z0-9.-]+)(:[^,;*&$|\s]+)$/],
  ["eui", /^eui.[A-Za-z0-9]{16}$/],
  ["naa", /^naa.[A-Za-z0-9]{32}$/],
] as const;

function qualifiedNameCauses(name: string, path: string, startDetail: string): Cause[] {
  const rule = IQN.find(([start]) => name.startsWith(start));
  if (!rule) return [invalid(path, name, startDetail)];
  return rule[1].test(name) ? [] : [invalid(path, name, "must be valid format")];
}

const secretName = (secret: { name?: string } | undefined, path: string): Cause[] =>
  secret ? present(secret.name, `${path}.secretRef.name`) : [];

/** A secret that an object outside namespaces names must say where it is. */
const secretPlace = (secret: object | undefined, path: string): Cause[] =>
  secret
    ? present((secret as { namespace?: string }).namespace, `${path}.secretRef.namespace`)
    : [];

function iscsiCauses(source: Source<"iscsi">, path: string): Cause[] {
  const { iqn, initiatorName, lun = 0, secretRef } = source;
  const secured = source.chapAuthDiscovery || source.chapAuthSession;
  const start = "must be valid format starting with iqn, eui, or naa";
  return [
    ...present(source.targetPortal, `${path}.targetPortal`),
    ...(iqn ? qualifiedNameCauses(iqn, `${path}.iqn`, start) : [required(`${path}.iqn`)]),
    ...within(lun, BYTE, `${path}.lun`),
    ...(secured && !secretRef ? [required(`${path}.secretRef`)] : []),
    ...(initiatorName === undefined
      ? []
      : qualifiedNameCauses(initiatorName, `${path}.initiatorname`, start)),
  ];
}

function fcCauses(source: Source<"fc">, path: string): Cause[] {
  const { targetWWNs = [], wwids = [], lun } = source;
  const at = `${path}.targetWWNs`;
  const causes: Cause[] = [];
  if (targetWWNs.length + wwids.length === 0) {
    causes.push(required(at, "must specify either targetWWNs or wwids, but not both"));
  }
  if (targetWWNs.length > 0 && wwids.length > 0) {
    const detail = "targetWWNs and wwids can not be specified simultaneously";
    causes.push(invalid(at, targetWWNs, detail));
  }
  if (targetWWNs.length === 0) return causes;
  if (lun === undefined) {
    return [...causes, required(`${path}.lun`, "lun is required if targetWWNs is specified")];
  }
  return [...causes, ...within(lun, BYTE, `${path}.lun`)];
}

function flexCauses(source: Source<"flexVolume">, path: string): Cause[] {
  const reserved = Object.keys(source.options ?? {}).filter((key) =>
    /\.(kubernetes|k8s)\.io$/.test(`.${(key.split("/")[0] ?? "").toLowerCase()}`),
  );
  const detail = "kubernetes.io and k8s.io namespaces are reserved";
  return [
    ...present(source.driver, `${path}.driver`),
    ...reserved.map((key) => invalid(`${path}.options[${key}]`, key, detail)),
  ];
}

function quobyteCauses(source: Source<"quobyte">, path: string): Cause[] {
  const { registry, tenant = "", volume } = source;
  const pairs = "must be a host:port pair or multiple pairs separated by commas";
  const causes: Cause[] = [];
  if (!registry) causes.push(required(`${path}.registry`, pairs));
  else if (tenant.length > TENANT_MAX) {
    const detail = "must be a UUID and may not exceed a length of 64 characters";
    causes.push(required(`${path}.tenant`, detail));
  } else if (registry.split(",").some((pair) => !/^(\[[^[\]]*\]|[^:[\]]*):[^:]*$/.test(pair))) {
    causes.push(invalid(`${path}.registry`, registry, pairs));
  }
  return [...causes, ...present(volume, `${path}.volume`)];
}

const MANAGED =
  "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
const BLOB = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";

function azureDiskCauses(source: Source<"azureDisk">, path: string): Cause[] {
  const { diskURI: uri = "", kind } = source;
  const managed = kind === "Managed";
  const start = managed ? "/subscriptions/" : "https://";
  return [
    ...present(source.diskName, `${path}.diskName`),
    ...present(uri, `${path}.diskURI`),
    ...supported(source.cachingMode, ["None", "ReadOnly", "ReadWrite"], `${path}.cachingMode`),
    ...supported(kind, ["Dedicated", "Managed", "Shared"], `${path}.kind`),
    ...(kind !== undefined && !uri.startsWith(start)
      ? [notSupported(`${path}.diskURI`, uri, [managed ? MANAGED : BLOB])]
      : []),
  ];
}

function flockerCauses(
  { datasetName = "", datasetUUID }: Source<"flocker">,
  path: string,
): Cause[] {
  const causes: Cause[] = [];
  if (!datasetName && !datasetUUID) {
    causes.push(required(path, "one of datasetName and datasetUUID is required"));
  }
  if (datasetName && datasetUUID) {
    const detail = "datasetName and datasetUUID can not be specified simultaneously";
    causes.push(invalid(path, "resource", detail));
  }
  if (!datasetName.includes("/")) return causes;
  return [...causes, invalid(`${path}.datasetName`, datasetName, "must not contain '/'")];
}

const storageOsCauses = (source: Source<"storageos">, path: string): Cause[] => [
  ...(source.volumeName
    ? byRule(labelErrors, source.volumeName, `${path}.volumeName`)
    : [required(`${path}.volumeName`)]),
  ...(source.volumeNamespace
    ? byRule(labelErrors, source.volumeNamespace, `${path}.volumeNamespace`)
    : []),
  ...secretName(source.secretRef, path),
];

/** Upstream allows 0 too, and its message does not. */
const partitionCauses = (partition: number | undefined, path: string): Cause[] =>
  within(partition, BYTE, path).map((cause) => ({
    ...cause,
    message: cause.message.replace(inclusive(...BYTE), inclusive(1, BYTE[1])),
  }));

const monitors = (list: readonly string[] | undefined, path: string): Cause[] =>
  present(list?.length, `${path}.monitors`);

const CHECKS: Checks = {
  awsElasticBlockStore: (source, path) => [
    ...present(source.volumeID, `${path}.volumeID`),
    ...partitionCauses(source.partition, `${path}.partition`),
  ],
  azureDisk: azureDiskCauses,
  azureFile: (source, path) => [
    ...present(source.secretName, `${path}.secretName`),
    ...present(source.shareName, `${path}.shareName`),
  ],
  cephfs: (source, path) => monitors(source.monitors, path),
  cinder: (source, path) => [
    ...present(source.volumeID, `${path}.volumeID`),
    ...secretName(source.secretRef, path),
  ],
  fc: fcCauses,
  flexVolume: flexCauses,
  flocker: flockerCauses,
  gcePersistentDisk: (source, path) => {
    // Upstream leaves the prefix out where it checks.
    const at = path.replace("gcePersistentDisk", "persistentDisk");
    return [
      ...present(source.pdName, `${at}.pdName`),
      ...partitionCauses(source.partition, `${at}.partition`),
    ];
  },
  glusterfs: (source, path) => [
    ...present(source.endpoints, `${path}.endpoints`),
    ...present(source.path, `${path}.path`),
  ],
  iscsi: iscsiCauses,
  photonPersistentDisk: (source, path) => present(source.pdID, `${path}.pdID`),
  portworxVolume: (source, path) => present(source.volumeID, `${path}.volumeID`),
  quobyte: quobyteCauses,
  rbd: (source, path) => [
    ...monitors(source.monitors, path),
    ...present(source.image, `${path}.image`),
  ],
  scaleIO: (source, path) => [
    ...present(source.gateway, `${path}.gateway`),
    ...present(source.system, `${path}.system`),
    ...present(source.volumeName, `${path}.volumeName`),
  ],
  storageos: storageOsCauses,
  vsphereVolume: (source, path) => present(source.volumePath, `${path}.volumePath`),
};

/** A source by its field's name; names that are unknown here have nothing to check. */
export function checkVendor(name: string, source: object, path: string): Cause[] {
  const check = CHECKS[name as Shared] as ((source: object, path: string) => Cause[]) | undefined;
  return check ? check(source, path) : [];
}

const placeCauses = (place: string | undefined, path: string, needed: boolean): Cause[] => {
  if (place === undefined) return [];
  if (needed) return present(place, path);
  const detail = "if the endpointnamespace is set, it must be a valid namespace name";
  return place === "" ? [invalid(path, "", detail)] : byRule(labelErrors, place, path);
};

/** What persistent volumes alone have to say: which namespace a name is of. */
export function checkVendorPlaces(spec: PersistentVolumeSpec, name: string, at: string): Cause[] {
  const { iscsi, glusterfs, azureFile, cinder, storageos } = spec;
  switch (name) {
    case "iscsi":
      return secretName(iscsi?.secretRef, at);
    case "glusterfs":
      return placeCauses(glusterfs?.endpointsNamespace, `${at}.endpointsNamespace`, false);
    case "azureFile":
      return placeCauses(azureFile?.secretNamespace, `${at}.secretNamespace`, true);
    case "cinder":
      return secretPlace(cinder?.secretRef, at);
    case "storageos":
      return secretPlace(storageos?.secretRef, at);
    default:
      return [];
  }
}
