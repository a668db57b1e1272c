/** Kinds of volumes that are gone or going, of pods and of persistent volumes. */
const MESSAGES = {
  photonPersistentDisk: "deprecated in v1.11, non-functional in v1.16+",
  gitRepo: "deprecated in v1.11, and disabled by default in v1.33+",
  scaleIO: "deprecated in v1.16, non-functional in v1.22+",
  flocker: "deprecated in v1.22, non-functional in v1.25+",
  storageos: "deprecated in v1.22, non-functional in v1.25+",
  quobyte: "deprecated in v1.22, non-functional in v1.25+",
  glusterfs: "deprecated in v1.25, non-functional in v1.26+",
  cephfs: "deprecated in v1.28, non-functional in v1.31+",
  rbd: "deprecated in v1.28, non-functional in v1.31+",
} as const;

type Gone = keyof typeof MESSAGES;

const KINDS = Object.keys(MESSAGES) as Gone[];

/** Upstream's own name of the field. */
const nameOf = (kind: Gone): string => (kind === "storageos" ? "storageOS" : kind);

/** `path` of the volume; `untold`: what upstream says nothing of there. */
export const goneWarnings = (
  volume: Readonly<Partial<Record<Gone, unknown>>>,
  path: string,
  untold: readonly Gone[] = [],
): string[] =>
  KINDS.flatMap((kind) =>
    volume[kind] === undefined || untold.includes(kind)
      ? []
      : [`${path}.${nameOf(kind)}: ${MESSAGES[kind]}`],
  );
