/** Limits for volumes and for tar archives that a container sends. */
export const fileLimits = {
  /** Levels of nested folders. Each level holds a file descriptor during the walk. */
  volumeDepthMax: 256,
  /** Size of one header with a long name or with pax attributes. */
  tarHeaderBytesMax: 64 * 1024,
} as const;
