/** Bounds of several servers on one etcd, a part of all bounds (`limits.ts`). */
export const sharedLimits = {
  /** Until a member of etcd takes a connection. */
  etcdConnectMsMax: 2_000,
  /** One attempt at one member. */
  etcdAttemptMsMax: 3_000,
  /** All attempts of a call together: an election and a member that is away fit in. */
  etcdMsMax: 10_000,
  /** A member that answers nothing is noticed this often. */
  etcdLookMs: 3_000,
  /** A watch that is behind after this, for other users write or it was cut, is looked at. */
  etcdProgressMs: 100,
  /** Keys of one page while the state is loaded. */
  etcdPageMax: 1_000,
  /** A server that did not renew its Lease for this long is not advertised any more. */
  serverLeaseMs: 6_000,
  /** Who began to make a cluster in a shared datastore has this long before another one may. */
  clusterClaimMs: 30_000,
  /** Objects and bytes of one step of a migration; etcd takes 128 operations, 1.5 MiB. */
  migrationBatchMax: 100,
  migrationBatchBytesMax: 1024 * 1024,
} as const;
