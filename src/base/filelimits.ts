/** Limits of what is read from volumes, and of archives that a container sends. */
export const fileLimits = {
  /** Folders in each other that are walked with each held open; the longest path has 2,048. */
  volumeDepthMax: 256,
  /** The header of a long name, or of a record of attributes, in an archive. */
  tarHeaderBytesMax: 64 * 1024,
} as const;
