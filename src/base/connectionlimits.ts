/** Bounds of connections and of what floods them; part of `limits`. */
export const connectionLimits = {
  /** Pieces that a head may come in: each costs the server more than its bytes. */
  requestHeadPiecesMax: 1_000,
  /** Chunks of a body that may be small, and the bytes of the others on average. */
  bodyChunksMin: 1_024,
  bodyChunkBytesMin: 64,
  /** A body that nobody asked for: so much is read and discarded to keep the connection. */
  unreadBodyBytesMax: 64 * 1024,
  /** How long a client that still sends has to read the last answer. */
  connectionLingerMs: 500,
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
