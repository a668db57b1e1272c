/** Bounds of several servers on one etcd, a part of all bounds (`limits.ts`). */
export const sharedLimits = {
  /** Until a member of etcd takes a connection. */
  etcdConnectMsMax: 2_000,
  /** One attempt at one member. */
  etcdAttemptMsMax: 3_000,
  /** All attempts of a call together: an election and a member that is away fit in. */
  etcdMsMax: 10_000,
  /** Turns of the event loop, a few microseconds each, in which reads gather for one question. */
  etcdGatherTurnsMax: 80,
  /** A member that answers nothing is noticed this often. */
  etcdLookMs: 3_000,
  /** Until a member said whether it leads. */
  etcdLeaderMsMax: 1_000,
  /** One that did not answer in time is not chosen for its being the leader. */
  etcdSilentMs: 20_000,
  /** A watch that is behind after this, for other users write or it was cut, is looked at. */
  etcdProgressMs: 100,
  /** Keys of one page while the state is loaded. */
  etcdPageMax: 1_000,
  /** A server that did not renew its Lease for this long is not advertised any more. */
  serverLeaseMs: 6_000,
  /** Servers that a node remembers and has tunnels to; one is named until it is silent so long. */
  serversMax: 8,
  serverForgottenMs: 24 * 60 * 60_000,
  /** A node with several servers asks for a sign of life, and waits for an answer, so long. */
  tunnelPingSharedMs: 1_000,
  serverSpareMsMax: 1_000,
  /** Tunnels of one node to one server: by several addresses, or some of them dead. */
  tunnelsPerNodeMax: 4,
  /** Who began to make a cluster in a shared datastore has this long before another one may. */
  clusterClaimMs: 30_000,
  /** Objects and bytes of one step of a migration; etcd takes 128 operations, 1.5 MiB. */
  migrationBatchMax: 100,
  migrationBatchBytesMax: 1024 * 1024,
} as const;
