/** Bounds of connections and of what floods them; part of `limits`. */
export const connectionLimits = {
  /** Frames of one connection that are read before others have their turn. */
  framesPerTurnMax: 256,
  /** Empty and control frames of one connection in a second; past it the connection is closed. */
  emptyFramesPerSecondMax: 1_000,
  /** Fragments of one WebSocket message. */
  socketFragmentsMax: 4_096,
  /** A SPDY header block as it is sent, and unpacked. */
  spdyBlockBytesMax: 16 * 1024,
  spdyHeadersBytesMax: 64 * 1024,
  /** One SPDY frame. */
  spdyFrameBytesMax: 1024 * 1024,
  /** Requests that a client sent at once and that are answered before others have their turn. */
  requestsPerTurnMax: 32,
} as const;
