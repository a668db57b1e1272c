/** Warnings of volumes, claims and their classes. */
import type {
  CSIStorageCapacity,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from "#resources/types.gen.ts";
import { claimSpecWarnings } from "#resources/warnings/amounts.ts";
import { annotated } from "#resources/warnings/annotated.ts";
import {
  expressionWarnings,
  labelDeprecation,
  selectorWarnings,
  termWarnings,
} from "#resources/warnings/labels.ts";

const CLASS = 'deprecated since v1.8; use "storageClassName" attribute instead';
const VOLUME_ANNOTATIONS: ReadonlyArray<readonly [string, string]> = [
  ["volume.beta.kubernetes.io/storage-class", CLASS],
  [
    "volume.beta.kubernetes.io/mount-options",
    'deprecated since v1.31; use "mountOptions" attribute instead',
  ],
];
const VOLUMES_GONE = [
  ["cephfs", "deprecated in v1.28, non-functional in v1.31+"],
  ["photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"],
  ["scaleIO", "deprecated in v1.16, non-functional in v1.22+"],
  ["storageos", "deprecated in v1.22, non-functional in v1.25+"],
  ["glusterfs", "deprecated in v1.25, non-functional in v1.26+"],
  ["rbd", "deprecated in v1.28, non-functional in v1.31+"],
] as const;

export function volumeWarnings(volume: PersistentVolume): string[] {
  const { spec = {} } = volume;
  const recycle =
    "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the " +
    "recommended approach is to use dynamic provisioning.";
  return [
    ...VOLUME_ANNOTATIONS.flatMap(([key, message]) =>
      annotated(volume, key) ? [`metadata.annotations[${key}]: ${message}`] : [],
    ),
    ...(spec.persistentVolumeReclaimPolicy === "Recycle" ? [recycle] : []),
    ...(spec.nodeAffinity?.required?.nodeSelectorTerms ?? []).flatMap((term, i) =>
      termWarnings(term, `spec.nodeAffinity.required.nodeSelectorTerms[${i}]`),
    ),
    ...VOLUMES_GONE.flatMap(([field, message]) =>
      spec[field] === undefined
        ? []
        : [`spec.${field === "storageos" ? "storageOS" : field}: ${message}`],
    ),
  ];
}

const CLAIM_CLASS = "volume.beta.kubernetes.io/storage-class";

export const claimWarnings = (claim: PersistentVolumeClaim): string[] => [
  ...(annotated(claim, CLAIM_CLASS) ? [`metadata.annotations[${CLAIM_CLASS}]: ${CLASS}`] : []),
  ...claimSpecWarnings(claim.spec, "spec"),
];

export const storageClassWarnings = ({ allowedTopologies = [] }: StorageClass): string[] =>
  allowedTopologies.flatMap(({ matchLabelExpressions = [] }, i) =>
    matchLabelExpressions.flatMap(({ key }, j) => {
      const message = labelDeprecation(key);
      const path = `allowedTopologies[${i}].matchLabelExpressions[${j}].key`;
      return message === undefined ? [] : [`${path}: ${message}`];
    }),
  );

export const capacityWarnings = ({ nodeTopology }: CSIStorageCapacity): string[] => [
  ...expressionWarnings(nodeTopology?.matchExpressions, "nodeTopology.matchExpressions"),
  ...selectorWarnings(nodeTopology?.matchLabels, (label) => `nodeTopology.matchLabels.${label}`),
];
