/** Warnings of volumes, claims and their classes. */
import type {
  CSIStorageCapacity,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from "#resources/types.gen.ts";
import { claimSpecWarnings } from "#resources/warnings/amounts.ts";
import { annotated } from "#resources/warnings/annotated.ts";
import { goneWarnings } from "#resources/warnings/gone.ts";
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
    ...goneWarnings(spec, "spec", ["flocker", "quobyte"]),
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
