/** Bounds of what looks after a machine and its cluster: repairs, upgrades, local clusters. */
export const careLimits = {
  /** Each step of starting a local cluster, and of stopping it (30 s for its pods). */
  localStartMsMax: 60_000,
  localStopMsMax: 45_000,
  localLookMs: 50,
  localPortsMax: 1_000,
  /** Upgrading a cluster: emptying one node, how often it is looked at, and its coming back. */
  drainNodeMsMax: 10 * 60_000,
  drainLookMs: 500,
  nodeUpgradeMsMax: 5 * 60_000,
  /** Stopping (pods may end first) or starting the installed service. */
  serviceMsMax: 150_000,
  /** How often an upgraded server is asked, and how long it must stay up to count as well. */
  upgradeLookMs: 200,
  upgradeSettleMs: 3_000,
  /** One repair by `bramble doctor --fix`: installing packages on a slow card. */
  repairMsMax: 10 * 60 * 1000,
} as const;
