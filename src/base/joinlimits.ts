/** Bounds of joining, of life far from the server, and of backups; a part of `limits.ts`. */
export const joinLimits = {
  /** A copy of the datastore waits this long for a moment in which it may read. */
  datastoreBusyMsMax: 10_000,
  /** Revisions left out by a restored datastore: those given out after the backup was made. */
  restoredRevisionGap: 1_000_000_000,
  /** Largest backup that is read: it is held in memory. */
  backupBytesMax: 2 * 1024 * 1024 * 1024,
  /** Limit of a backup's header line and of its list of files. */
  backupHeadBytesMax: 4 * 1024,
  backupIndexBytesMax: 64 * 1024,
  /** A node's request for one: decided by then, looked at this often, made again after this. */
  certificateIssueMsMax: 30_000,
  certificateLookMs: 500,
  certificateRetryMs: 30_000,
  /** Its file is read this seldom; after a refusal the node's token stands in for it so long. */
  certificateReadMs: 5_000,
  certificateAsideMs: 60_000,
  /**
   * How long a look for servers by mDNS lasts, and how often a node asks whether its server is
   * there.
   */
  browseMs: 3_000,
  serverCheckMs: 3_000,
  serverAnswerMsMax: 3_000,
  /** One that has not answered by then is looked for elsewhere, beside the question. */
  serverSlowMs: 500,
  /** An answer that is younger than this shows that the server is there; the time is asked for. */
  serverHeardMs: 4_000,
  serverTimeMs: 60_000,
  /** An answer with a date that is further from the node's is no reason not to ask. */
  clockDoubtMs: 20_000,
  /** A node that was refused for so long was removed, and says so this seldom. */
  unknownAfterMs: 5_000,
  unknownToldMs: 60_000,
  /** One request of a node to its server, watches apart. */
  remoteRequestMsMax: 15_000,
  /** The time is written to the disk this often, and asked this often whether NTP keeps it. */
  clockKeepMs: 10 * 60_000,
  clockSyncCheckMs: 60_000,
  /** The server looks at its own addresses this often: they are in its certificate. */
  addressCheckMs: 2_000,
  /** A device whose name is taken asks again this seldom. */
  joinAgainMs: 10_000,
  /** Limit of the body of a join request, which holds a name and a key. */
  joinBodyBytesMax: 16 * 1024,
  /** Pairing: a wrong code costs this time; a request's body; the life of the token inside. */
  pairingPauseMs: 1_000,
  pairingBodyBytesMax: 16 * 1024,
  adoptTokenMs: 10 * 60_000,
  /** An adopted device should have joined by then; looked for this often. */
  adoptMsMax: 30_000,
  adoptLookMs: 200,
  /** One step of joining a cluster. */
  joinMsMax: 10_000,
  /**
   * A node whose server does not answer in this time goes on with what it knows, which it writes to
   * its disk this late after a change, this seldom if there are many, and so many texts of it.
   */
  recallMs: 3_000,
  recallAwayMs: 200,
  memoryDelayMs: 2_000,
  memorySpacingMs: 30_000,
  memoryBurst: 8,
  vaultEntriesMax: 1_024,
} as const;
