/** Persistent volumes (core validation; "Persistent Volumes"). */

import { posix } from "node:path";
import { sameField, sameTyped } from "#resources/equal.ts";
import { type Cause, forbidden, invalid, notSupported, required } from "#resources/field.ts";
import { isMountOption } from "#resources/mountoptions.ts";
import { compareQuantity, quantityValue } from "#resources/quantity.ts";
import type {
  CSIPersistentVolumeSource,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeSpec,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  immutable,
  present,
  requiredByRule,
  supported,
} from "#resources/validate/basic.ts";
import { checkClaimSpec, checkClaimUpdate } from "#resources/validate/claim.ts";
import { noBacksteps, noControls } from "#resources/validate/path.ts";
import { checkNodeSelector } from "#resources/validate/selector.ts";
import {
  checkAccessModes,
  checkDriverName,
  checkHostPath,
  checkNfs,
  tooManySources,
  VOLUME_MODES,
} from "#resources/validate/source.ts";
import { labelErrors, subdomainErrors } from "#resources/validate/text.ts";
import { checkVendor, checkVendorPlaces } from "#resources/validate/vendor.ts";

/** The fields that say where the volume is; of several the first one counts. */
const SOURCES = [
  "hostPath",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "glusterfs",
  "flocker",
  "nfs",
  "rbd",
  "quobyte",
  "cephfs",
  "iscsi",
  "cinder",
  "fc",
  "flexVolume",
  "azureFile",
  "vsphereVolume",
  "photonPersistentDisk",
  "portworxVolume",
  "azureDisk",
  "scaleIO",
  "local",
  "storageos",
  "csi",
] as const;

const SPEC = "io.k8s.api.core.v1.PersistentVolumeSpec";

const sourcesOf = (spec: PersistentVolumeSpec): Array<[string, object]> =>
  SOURCES.flatMap((name) => {
    const source = spec[name];
    return source ? [[name, source] as [string, object]] : [];
  });

function csiCauses(csi: CSIPersistentVolumeSource, path: string): Cause[] {
  const secrets = [
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
  ] as const;
  return [
    ...checkDriverName(csi.driver, `${path}.driver`),
    ...present(csi.volumeHandle, `${path}.volumeHandle`),
    ...secrets.flatMap((name) => {
      const secret = csi[name];
      if (!secret) return [];
      const at = `${path}.${name}`;
      return [
        ...requiredByRule(subdomainErrors, secret.name, `${at}.name`),
        ...requiredByRule(labelErrors, secret.namespace, `${at}.namespace`),
      ];
    }),
  ];
}

function localCauses(spec: PersistentVolumeSpec, source: string): Cause[] {
  const at = `${source}.path`;
  const path = spec.local?.path;
  const causes = path ? [...noBacksteps(path, at), ...noControls(path, at)] : [required(at)];
  if (spec.nodeAffinity?.required) return causes;
  return [
    ...causes,
    required(source.replace(/local$/, "nodeAffinity"), "Local volume requires node affinity"),
  ];
}

function sourceCauses(spec: PersistentVolumeSpec, path = "spec"): Cause[] {
  const there = sourcesOf(spec);
  const [first] = there;
  if (!first) return [required(path, "must specify a volume type")];
  const [name, source] = first;
  const at = `${path}.${name}`;
  const names = there.map(([each]) => each);
  // Upstream checks this one beside another one, and allows it there.
  const flex = name !== "flexVolume" && spec.flexVolume;
  return [
    ...oneSource(spec, name, source, at),
    ...(flex ? checkVendor("flexVolume", flex, `${path}.flexVolume`) : []),
    ...tooManySources(
      names.filter((each, index) => index === 0 || each !== "flexVolume"),
      path,
    ),
  ];
}

/** A volume that only its attachment describes: where it is, and nothing of how it is used. */
export function checkInlineVolume(spec: PersistentVolumeSpec, path: string): Cause[] {
  const inline = "in the context of inline volumes";
  const unset = ["claimRef", "capacity", "nodeAffinity", "storageClassName"] as const;
  const { accessModes, persistentVolumeReclaimPolicy: policy, volumeMode } = spec;
  const there = unset.filter((field) => {
    const value = spec[field];
    return typeof value === "object" ? Object.keys(value).length > 0 : Boolean(value);
  });
  return [
    ...there.map((field) => forbidden(`${path}.${field}`, `may not be specified ${inline}`)),
    ...(spec.csi ? [] : [required(`${path}.csi`, `has to be specified ${inline}`)]),
    ...checkAccessModes(accessModes, `${path}.accessModes`),
    ...(policy && policy !== "Retain"
      ? [forbidden(`${path}.persistentVolumeReclaimPolicy`, `may only be Retain ${inline}`)]
      : []),
    ...sourceCauses(spec, path),
    ...(volumeMode !== undefined && volumeMode !== "Filesystem"
      ? [
          forbidden(
            `${path}.volumeMode`,
            `may not specify volumeMode other than Filesystem ${inline}`,
          ),
        ]
      : []),
  ];
}

function oneSource(spec: PersistentVolumeSpec, name: string, source: object, at: string): Cause[] {
  if (name === "hostPath" && spec.hostPath) return checkHostPath(spec.hostPath, at);
  if (name === "nfs" && spec.nfs) return checkNfs(spec.nfs, at);
  if (name === "csi" && spec.csi) return csiCauses(spec.csi, at);
  if (name === "local") return localCauses(spec, at);
  return [...checkVendor(name, source, at), ...checkVendorPlaces(spec, name, at)];
}

/** Existing options stay valid. */
const optionCauses = (spec: PersistentVolumeSpec, old: PersistentVolumeSpec | undefined) =>
  each(spec.mountOptions, "spec.mountOptions", (option, at) =>
    isMountOption(option) || old?.mountOptions?.includes(option)
      ? []
      : [invalid(at, option, "must be one option of the file system")],
  );

function recycleCauses({ hostPath, persistentVolumeReclaimPolicy }: PersistentVolumeSpec): Cause[] {
  const whole = hostPath?.path !== undefined && posix.normalize(hostPath.path) === "/";
  if (!whole || persistentVolumeReclaimPolicy !== "Recycle") return [];
  const detail = "may not be 'recycle' for a hostPath mount of '/'";
  return [forbidden("spec.persistentVolumeReclaimPolicy", detail)];
}

function capacityCauses({ capacity }: PersistentVolumeSpec): Cause[] {
  const at = "spec.capacity";
  const names = Object.keys(capacity ?? {}).sort();
  const causes = names.length === 0 ? [required(at)] : [];
  if (names.length !== 1 || names[0] !== "storage") {
    const shown = capacity && Object.fromEntries(names.map((name) => [name, capacity[name]]));
    causes.push(notSupported(at, shown ?? null, ["storage"]));
  }
  for (const [name, quantity] of Object.entries(capacity ?? {})) {
    const path = `${at}[${name}]`;
    const value = quantityValue(quantity);
    if (value < 0) causes.push(invalid(path, value, "must be a valid resource quantity"));
    if (compareQuantity(quantity, "0") <= 0) {
      causes.push(invalid(path, quantity, "must be greater than zero"));
    }
  }
  return causes;
}

function classCauses(spec: PersistentVolumeSpec): Cause[] {
  const { storageClassName, volumeAttributesClassName: attributes } = spec;
  const causes = storageClassName
    ? byRule(subdomainErrors, storageClassName, "spec.storageClassName")
    : [];
  if (attributes === undefined) return causes;
  const at = "spec.volumeAttributesClassName";
  if (attributes === "") causes.push(required(at, "an empty string is disallowed"));
  else causes.push(...byRule(subdomainErrors, attributes, at));
  if (!spec.csi) {
    const detail = "has to be specified when using volumeAttributesClassName";
    causes.push(required("spec.csi", detail));
  }
  return causes;
}

function updateCauses(spec: PersistentVolumeSpec, old: PersistentVolumeSpec): Cause[] {
  const source = (from: PersistentVolumeSpec) => Object.fromEntries(sourcesOf(from));
  const next = source(spec);
  const before = source(old);
  const causes: Cause[] = [];
  // A secret for expanding may be named later.
  if (old.csi && spec.csi && !old.csi.controllerExpandSecretRef) {
    const { controllerExpandSecretRef: _, ...csi } = spec.csi;
    next["csi"] = csi;
  }
  if (!sameTyped(SPEC, next, before)) {
    const detail = "spec.persistentvolumesource is immutable after creation";
    causes.push(forbidden("spec.persistentvolumesource", detail));
  }
  causes.push(...immutable(spec.volumeMode, old.volumeMode, "volumeMode"));
  if (old.nodeAffinity && !sameField(SPEC, "nodeAffinity", spec, old)) {
    const detail = "field is immutable, except for updating from beta label to GA";
    causes.push(invalid("nodeAffinity", spec.nodeAffinity ?? null, detail));
  }
  if (old.volumeAttributesClassName !== undefined && spec.volumeAttributesClassName === undefined) {
    const detail = "update from non-nil value to nil is forbidden";
    causes.push(forbidden("spec.volumeAttributesClassName", detail));
  }
  return causes;
}

export function validatePersistentVolume(
  volume: PersistentVolume,
  old: PersistentVolume | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") return [];
  const spec = volume.spec ?? {};
  const { nodeAffinity } = spec;
  const policies = ["Delete", "Recycle", "Retain"];
  return [
    ...checkAccessModes(spec.accessModes, "spec.accessModes"),
    ...capacityCauses(spec),
    ...supported(
      spec.persistentVolumeReclaimPolicy,
      policies,
      "spec.persistentVolumeReclaimPolicy",
    ),
    ...(nodeAffinity
      ? nodeAffinity.required
        ? checkNodeSelector(nodeAffinity.required, "spec.nodeAffinity.required")
        : [required("spec.nodeAffinity.required", "must specify required node constraints")]
      : []),
    ...sourceCauses(spec),
    ...optionCauses(spec, old?.spec),
    ...recycleCauses(spec),
    ...classCauses(spec),
    ...supported(spec.volumeMode, VOLUME_MODES, "spec.volumeMode"),
    ...(old ? updateCauses(spec, old.spec ?? {}) : []),
  ];
}

export function validateClaim(
  claim: PersistentVolumeClaim,
  old: PersistentVolumeClaim | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    return Object.entries(claim.status?.capacity ?? {}).flatMap(([name, quantity]) =>
      compareQuantity(quantity, "0") < 0
        ? [
            invalid(
              `status.capacity[${name}]`,
              quantityValue(quantity),
              "must be a valid resource quantity",
            ),
          ]
        : [],
    );
  }
  const causes = checkClaimSpec(claim.spec, "spec");
  return old ? [...causes, ...checkClaimUpdate(claim, old)] : causes;
}
