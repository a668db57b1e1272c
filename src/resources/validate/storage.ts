/** Kinds of storage.k8s.io (storage validation). */
import { isDeepStrictEqual } from "node:util";
import { LABEL_SELECTOR, sameTyped } from "#resources/equal.ts";
import { type Cause, duplicate, forbidden, invalid, required, tooLong } from "#resources/field.ts";
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  TopologySelectorLabelRequirement,
  VolumeAttachment,
  VolumeAttributesClass,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  immutable,
  notNegative,
  present,
  supported,
  unique,
} from "#resources/validate/basic.ts";
import { checkInlineVolume } from "#resources/validate/persistentvolume.ts";
import { checkQuantity } from "#resources/validate/resources.ts";
import { checkSelector } from "#resources/validate/selector.ts";
import { checkDriverName } from "#resources/validate/source.ts";
import { qualifiedNameErrors, subdomainErrors } from "#resources/validate/text.ts";

const PARAMETERS_MAX = 512;
const PARAMETERS_BYTES_MAX = 256 * 1024;
const NODE_ID_BYTES_MAX = 256;

type Parameters = Readonly<Record<string, string>> | undefined;

function parameterCauses(parameters: Parameters, needed: boolean): Cause[] {
  const entries = Object.entries(parameters ?? {});
  if (entries.length > PARAMETERS_MAX) return [tooLong("parameters", PARAMETERS_MAX)];
  const causes = entries.some(([key]) => key === "")
    ? [invalid("parameters", "", "field can not be empty.")]
    : [];
  const bytes = entries.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (bytes > PARAMETERS_BYTES_MAX) causes.push(tooLong("parameters", PARAMETERS_BYTES_MAX));
  if (needed && entries.length === 0) {
    causes.push(required("parameters", "must contain at least one key/value pair"));
  }
  return causes;
}

const provisionerCauses = (name: string | undefined, path: string): Cause[] =>
  name ? byRule(qualifiedNameErrors, name.toLowerCase(), path) : [required(path)];

const fixed = <T extends object>(next: T, old: T, field: keyof T & string): Cause[] =>
  isDeepStrictEqual(next[field] ?? {}, old[field] ?? {})
    ? []
    : [forbidden(field, `updates to ${field} are forbidden.`)];

function labelCauses(label: TopologySelectorLabelRequirement, path: string): Cause[] {
  const at = `${path}.values`;
  return [
    ...((label.values ?? []).length === 0 ? [required(at)] : []),
    ...unique(
      label.values,
      (value) => value,
      (index) => `${at}[${index}]`,
    ),
    ...byRule(qualifiedNameErrors, label.key, `${path}.key`),
  ];
}

/** Terms that say the same are one too many; one that says nothing says too little. */
function topologyCauses(terms: StorageClass["allowedTopologies"]): Cause[] {
  const seen = new Set<string>(["[]"]);
  return each(terms, "allowedTopologies", ({ matchLabelExpressions = [] }, path) => {
    const at = `${path}.matchLabelExpressions`;
    const causes = each(matchLabelExpressions, at, labelCauses);
    const twice = unique(
      matchLabelExpressions,
      ({ key }) => key,
      (index) => `${at}[${index}].key`,
    );
    const text = JSON.stringify(
      matchLabelExpressions.map(({ key, values }) => [key, [...(values ?? [])].sort()]).sort(),
    );
    if (seen.has(text)) twice.push(duplicate(at, ""));
    seen.add(text);
    return [...causes, ...twice];
  });
}

export function validateStorageClass(next: StorageClass, old: StorageClass | undefined): Cause[] {
  const changes = old
    ? [
        ...fixed(next, old, "parameters"),
        ...fixed(next, old, "provisioner"),
        ...fixed(next, old, "reclaimPolicy"),
        ...immutable(next.volumeBindingMode, old.volumeBindingMode, "volumeBindingMode"),
      ]
    : [];
  const modes = ["Immediate", "WaitForFirstConsumer"];
  return [
    ...provisionerCauses(next.provisioner, "provisioner"),
    ...parameterCauses(next.parameters, false),
    ...supported(next.reclaimPolicy || undefined, ["Delete", "Retain"], "reclaimPolicy"),
    ...supported(next.volumeBindingMode, modes, "volumeBindingMode"),
    ...topologyCauses(next.allowedTopologies),
    ...changes,
  ];
}

export function validateAttributesClass(
  next: VolumeAttributesClass,
  old: VolumeAttributesClass | undefined,
): Cause[] {
  return [
    ...(old ? [...fixed(next, old, "driverName"), ...fixed(next, old, "parameters")] : []),
    ...provisionerCauses(next.driverName, "driverName"),
    ...parameterCauses(next.parameters, true),
  ];
}

export function validateVolumeAttachment(
  attachment: VolumeAttachment,
  old: VolumeAttachment | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") return [];
  const { spec } = attachment;
  const { persistentVolumeName, inlineVolumeSpec } = spec?.source ?? {};
  const changed = old && !sameTyped("io.k8s.api.storage.v1.VolumeAttachmentSpec", spec, old.spec);
  const causes = [
    ...(changed ? [invalid("spec", spec ?? null, "field is immutable")] : []),
    ...checkDriverName(spec?.attacher, "spec.attacher"),
    ...byRule(subdomainErrors, spec?.nodeName ?? "", "spec.nodeName"),
  ];
  const at = "spec.source";
  const detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
  if (inlineVolumeSpec && persistentVolumeName !== undefined) {
    causes.push(forbidden(at, detail));
  } else if (inlineVolumeSpec) {
    causes.push(...checkInlineVolume(inlineVolumeSpec, `${at}.inlineVolumeSpec`));
  } else if (persistentVolumeName === undefined) {
    causes.push(required(at, detail));
  } else if (persistentVolumeName === "") {
    const path = `${at}.persistentVolumeName`;
    causes.push(required(path, "must specify non empty persistentVolumeName"));
    causes.push(...byRule(subdomainErrors, "", path));
  } else {
    causes.push(...byRule(subdomainErrors, persistentVolumeName, `${at}.persistentVolumeName`));
  }
  return causes;
}

export function validateCsiDriver(driver: CSIDriver, old: CSIDriver | undefined): Cause[] {
  const { spec } = driver;
  const policies = ["File", "None", "ReadWriteOnceWithFSType"];
  const seen = new Set<string>();
  const causes = [
    ...(old ? [] : checkDriverName(driver.metadata?.name, "metadata.name")),
    ...supported(spec?.fsGroupPolicy, policies, "spec.fsGroupPolicy"),
    ...(spec?.volumeLifecycleModes ?? []).flatMap((mode) =>
      supported(mode, ["Persistent", "Ephemeral"], "spec.volumeLifecycleModes"),
    ),
    ...each(spec?.tokenRequests, "spec.tokenRequests", ({ audience, expirationSeconds }, at) => {
      const found = seen.has(audience) ? [duplicate(`${at}.audience`, audience)] : [];
      seen.add(audience);
      if (expirationSeconds !== undefined && expirationSeconds < 600) {
        const detail = "may not specify a duration less than 10 minutes";
        found.push(invalid(`${at}.expirationSeconds`, expirationSeconds, detail));
      }
      return found;
    }),
  ];
  if (!old) return causes;
  const before = old.spec;
  return [
    ...causes,
    ...immutable(spec?.attachRequired, before?.attachRequired, "spec.attachedRequired"),
    ...immutable(
      spec?.volumeLifecycleModes,
      before?.volumeLifecycleModes,
      "spec.volumeLifecycleModes",
    ),
  ];
}

export function validateCsiNode(node: CSINode): Cause[] {
  const seen = new Set<string>();
  return each(node.spec?.drivers, "spec.drivers", (driver, at) => {
    const { name, nodeID, topologyKeys, allocatable } = driver;
    const causes = checkDriverName(name, `${at}.name`);
    if (!nodeID) causes.push(required(`${at}.nodeID`));
    else if (nodeID.length > NODE_ID_BYTES_MAX) {
      const detail = `must be ${NODE_ID_BYTES_MAX} characters or less`;
      causes.push(invalid(`${at}.nodeID`, nodeID, detail));
    }
    causes.push(...notNegative(allocatable?.count, `${at}.allocatable.count`));
    if (seen.has(name)) causes.push(duplicate(`${at}.name`, name));
    seen.add(name);
    return [
      ...causes,
      ...unique(
        topologyKeys,
        (key) => key,
        () => at,
      ),
      ...(topologyKeys ?? []).flatMap((key) => [
        ...present(key, at),
        ...byRule(qualifiedNameErrors, key, at),
      ]),
    ];
  });
}

export function validateStorageCapacity(
  next: CSIStorageCapacity,
  old: CSIStorageCapacity | undefined,
): Cause[] {
  const moved = old && !sameTyped(LABEL_SELECTOR, next.nodeTopology, old.nodeTopology);
  return [
    ...(moved ? [invalid("nodeTopology", next.nodeTopology ?? null, "field is immutable")] : []),
    ...(old ? immutable(next.storageClassName, old.storageClassName, "storageClassName") : []),
    ...checkSelector(next.nodeTopology, "nodeTopology"),
    ...byRule(subdomainErrors, next.storageClassName ?? "", "storageClassName"),
    ...(next.capacity === undefined ? [] : checkQuantity(next.capacity, "capacity")),
  ];
}
