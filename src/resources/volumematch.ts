/**
 * Which PersistentVolume a claim may have: what the volume controller (one that must wait for
 * nobody) and the scheduler (one that the pod's node reaches) both ask
 * (kubernetes.io/docs/concepts/storage/persistent-volumes, "Binding").
 */
import type { Stored } from "#resources/meta.ts";
import { matchesTerm } from "#resources/nodeselector.ts";
import { quantityValue } from "#resources/quantity.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#resources/types.gen.ts";

const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";

type Classed = PersistentVolume | PersistentVolumeClaim;

/** The name of the class, "" for none. The older annotation still counts, as upstream. */
export function className(object: Classed): string {
  return object.metadata?.annotations?.[CLASS_ANNOTATION] ?? object.spec?.storageClassName ?? "";
}

/** Whether the claim says that it wants no class, or one: else it gets the default class. */
export function asksForClass(claim: PersistentVolumeClaim): boolean {
  const { metadata, spec } = claim;
  return (
    metadata?.annotations?.[CLASS_ANNOTATION] !== undefined || spec?.storageClassName !== undefined
  );
}

export const capacityOf = (volume: PersistentVolume): number =>
  quantityValue(volume.spec?.capacity?.["storage"] ?? 0);

export const requestOf = (claim: PersistentVolumeClaim): number =>
  quantityValue(claim.spec?.resources?.requests?.["storage"] ?? 0);

/** The volume is kept for this claim, by name and (once bound) by uid. */
export function isKeptFor(volume: PersistentVolume, claim: Stored<PersistentVolumeClaim>): boolean {
  const ref = volume.spec?.claimRef;
  if (ref === undefined) return false;
  if (ref.name !== claim.metadata.name || ref.namespace !== claim.metadata.namespace) return false;
  return !ref.uid || ref.uid === claim.metadata.uid;
}

/** Whether a node with these labels reaches the volume. */
export function reaches(
  volume: PersistentVolume,
  labels: Readonly<Record<string, string>>,
  nodeName: string,
): boolean {
  const terms = volume.spec?.nodeAffinity?.required?.nodeSelectorTerms;
  return terms === undefined || terms.some((term) => matchesTerm(term, labels, nodeName));
}

const attributesOf = (object: Classed): string => object.spec?.volumeAttributesClassName ?? "";
const modeOf = (object: Classed): string => object.spec?.volumeMode ?? "Filesystem";

/** Why the volume cannot serve the claim though it is kept for it; undefined when it can. */
export function misfit(volume: PersistentVolume, claim: PersistentVolumeClaim): string | undefined {
  if (capacityOf(volume) < requestOf(claim)) return "requested PV is too small";
  if (className(volume) !== className(claim)) return "storageClassName does not match";
  if (modeOf(volume) !== modeOf(claim)) return "incompatible volumeMode";
  if (!offersModes(volume, claim)) return "incompatible accessMode";
  if (attributesOf(volume) !== attributesOf(claim)) {
    return "volumeAttributesClassName does not match";
  }
  return undefined;
}

function offersModes(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  const offered = volume.spec?.accessModes ?? [];
  return (claim.spec?.accessModes ?? []).every((mode) => offered.includes(mode));
}

const isFree = (volume: PersistentVolume): boolean =>
  volume.spec?.claimRef === undefined && volume.status?.phase === "Available";

export interface MatchOptions {
  /** The pod's node, for the scheduler. */
  node?: { labels: Readonly<Record<string, string>>; name: string };
  /** The class waits for a pod: only volumes that are kept for the claim count. */
  waits?: boolean;
  /** Volumes that are spoken for. */
  taken?: (volumeName: string) => boolean;
}

/** Whether the volume is large enough and of the kind that is asked for, whoever it is for. */
function serves(volume: PersistentVolume, claim: PersistentVolumeClaim): boolean {
  return (
    capacityOf(volume) >= requestOf(claim) &&
    modeOf(volume) === modeOf(claim) &&
    attributesOf(volume) === attributesOf(claim) &&
    offersModes(volume, claim)
  );
}

/** The volume kept for the claim, or else the smallest free one that is large enough. */
export function findVolume(
  claim: Stored<PersistentVolumeClaim>,
  volumes: Iterable<Stored<PersistentVolume>>,
  options: MatchOptions = {},
): Stored<PersistentVolume> | undefined {
  const selector = claim.spec?.selector;
  const selects = selector === undefined ? () => true : matchLabelSelector(selector);
  const { node, waits = false, taken = () => false } = options;
  let best: Stored<PersistentVolume> | undefined;
  for (const volume of volumes) {
    if (volume.metadata.deletionTimestamp !== undefined) continue;
    if (taken(volume.metadata.name) || !serves(volume, claim)) continue;
    const reached = node === undefined || reaches(volume, node.labels, node.name);
    if (isKeptFor(volume, claim)) return reached ? volume : undefined;
    if (waits || !reached || !isFree(volume)) continue;
    if (className(volume) !== className(claim)) continue;
    if (!selects(volume.metadata.labels ?? {})) continue;
    if (best === undefined || capacityOf(volume) < capacityOf(best)) best = volume;
  }
  return best;
}
