import { accessLimits } from "#base/accesslimits.ts";
import { careLimits } from "#base/carelimits.ts";
import { celLimits } from "#base/cellimits.ts";
import { connectionLimits } from "#base/connectionlimits.ts";
import { dnsLimits } from "#base/dnslimits.ts";
import { ingressLimits } from "#base/ingresslimits.ts";
import { joinLimits } from "#base/joinlimits.ts";
import { parserLimits } from "#base/parserlimits.ts";
import { sharedLimits } from "#base/sharedlimits.ts";
import { threadLimits } from "#base/threadlimits.ts";

/** Every bound of the program, with its unit in its name and the reason beside it. */
export const limits = {
  ...accessLimits,
  ...careLimits,
  ...connectionLimits,
  ...joinLimits,
  ...parserLimits,
  /** Largest request body; the API server's own limit upstream (3 MiB). */
  requestBodyBytesMax: 3 * 1024 * 1024,
  /** Head of a request: its first line and headers (Go's default upstream: 1 MiB). */
  requestHeadBytesMax: 64 * 1024,
  /** How long a client may take to send a head, and a body (upstream: 32 s and a minute). */
  requestHeadMsMax: 32_000,
  requestBodyMsMax: 60_000,
  /** Connections of clients at once, and how often they are looked at for being too slow. */
  connectionsMax: 20_000,
  connectionSweepMs: 5_000,
  /** Managers by update in one object; the oldest are merged past it, as upstream. */
  updateManagersMax: 10,
  /** OpenAPI documents kept as bytes; each has up to a megabyte. */
  openApiDocumentsMax: 8,
  /** Warnings of one answer together, and each where that is too little; as upstream. */
  warningCharactersMax: 4_096,
  warningCutCharactersMax: 256,
  /** Operations in one JSON patch, as upstream. */
  jsonPatchOperationsMax: 10_000,
  /** Largest stored object; etcd's default request limit upstream (1.5 MiB). */
  objectBytesMax: 1536 * 1024,
  /** Powers of ten in a quantity (`1e308`); more only costs memory. */
  quantityExponentMax: 308,
  /** Canonical texts of quantities that are remembered. */
  quantityCacheMax: 2_048,
  /** Levels of a request's object; each costs some of the stack. */
  objectDepthMax: 1_000,
  /**
   * Changes kept for watches that resume and lists that continue. What lives takes twice its size
   * until garbage is collected.
   */
  watchHistoryEventsMax: 16_384,
  watchHistoryBytesMax: 12 * 1024 * 1024,
  /**
   * How often is looked which changes to forget, and after how many looks one more is too old:
   * while all that is kept is small (upstream: 5 min), and while it is not.
   */
  historyLookMs: 25_000,
  historyCalmLooks: 12,
  historyCalmBytesMax: 4 * 1024 * 1024,
  historyBusyLooks: 2,
  /** A watcher that is this far behind is cut; it lists again. */
  watcherBacklogBytesMax: 4 * 1024 * 1024,
  watchersMax: 10_000,
  /**
   * Milliseconds of a second in which many watchers are told (each takes some 30 us of a core, on
   * small boards more), and at once after a rest: past it what happens meanwhile is told together,
   * this many changes at most. Few are told at once.
   */
  fanoutMsPerSecond: 100,
  fanoutBurstMs: 1_500,
  /** A watcher counts for this much at least: what its socket takes later is not measured. */
  fanoutTellMsMin: 0.01,
  fanoutPendingMax: 256,
  fanoutFewMax: 16,
  /** So long others wait while many are told; the rest is told in later turns of the event loop. */
  fanoutPartMs: 20,
  /** Changes that come meanwhile; past them all are told at once, however long it takes. */
  fanoutBehindMax: 2_048,
  /** Answers above this are packed where the client asks for it (upstream: 128 KiB). */
  gzipBytesMin: 128 * 1024,
  /**
   * Lists above this, also over loopback: one of 10 MB takes a fifth less of server and client so;
   * one of 1 MB as much, of which the server's part is a quarter, so it is there a tenth sooner;
   * one of 400 KB a tenth more.
   */
  gzipNearBytesMin: 512 * 1024,
  /** Between two tries of what a full disk kept from being written at the start. */
  refusedWriteRetryMs: 5_000,
  /** A list of so many objects is written to the socket object by object, not as one text. */
  listSlicedMin: 16,
  /** What filters chose of so many objects and more is remembered: so many lists, of so many. */
  selectionScannedMin: 64,
  selectionsMax: 64,
  selectionItemsMax: 50_000,
  /** Specs of which is remembered what was found out about them, and the longest of them. */
  recentSpecsMax: 64,
  recentSpecCharsMax: 16 * 1024,
  /** A list longer than this is sent in slices of so much, so that others get their turn. */
  listSliceItems: 500,
  listSliceChars: 256 * 1024,
  /** From so much on a slice may end where its items say so. */
  listRunChars: 160 * 1024,
  /** Slices of lists are kept packed (5 to 10 % of their texts): how many, and for how long. */
  runBytesMax: 4 * 1024 * 1024,
  runsMax: 1024,
  runIdleMs: 20_000,
  /** The same where each object is parsed first, for tables and metadata. */
  listSliceObjects: 100,
  /** Objects that a client may ask for in one page. */
  listLimitMax: 100_000,
  /** Watches without `timeoutSeconds` end after this, and half of that more at random. */
  watchMsMin: 30 * 60 * 1000,
  watchBookmarkMs: 60_000,
  /** Optimistic retries of a patch or an unconditional update. */
  writeRetriesMax: 10,
  collectionDeletesAtOnce: 16,
  /** WebSockets of exec, attach and port-forward: one message, and what waits for a slow client. */
  socketMessageBytesMax: 1024 * 1024,
  socketBacklogBytesMax: 4 * 1024 * 1024,
  /** Tokens whose signature was checked and that need no second check. */
  tokenCacheEntries: 4_096,
  /** Streams of one port-forward connection. */
  spdyStreamsMax: 256,
  /** Events kept at most, and how often old ones are looked for. */
  eventsMax: 10_000,
  eventSweepMs: 60_000,
  ...celLimits,
  /** API services of others: the time to say what is served, and how often one is asked. */
  aggregationProbeMsMax: 5_000,
  aggregationProbeEveryMs: 30_000,
  aggregationProbeAgainMs: 2_000,
  /** Requests in flight, watches and streams apart; past it 429 with Retry-After. */
  requestsInFlightMax: 4_000,
  /** How long a request may wait for its turn (upstream: 15 s), and how often that is looked at. */
  requestQueueMsMax: 15_000,
  requestQueueSweepMs: 500,
  /** Writes waiting for one group commit. */
  storeQueueMax: 10_000,
  /** Writes in one transaction: bounds how long a commit holds the event loop (about 6 us each). */
  storeBatchMax: 1_000,
  /** Revisions reserved at a time, so that they never go back though lazy writes may be lost. */
  storeRevisionBlock: 10_000,
  /** Audit log: what waits for the disk, and the longest body that is written into it. */
  auditBacklogBytesMax: 16 * 1024 * 1024,
  auditObjectBytesMax: 1536 * 1024,
  /** Keys that are kept to read what was encrypted before. */
  encryptionKeysMax: 16,
  /** How often the certificates of server and nodes are looked at. */
  certificateCheckMs: 60_000,
  /** Pages (4 KiB) in the write-ahead log before they are moved to the database file. */
  storeLogPagesMax: 1_000,
  /** Lazy writes (Lease renewals, Events) ride along or are flushed this late. */
  lazyFlushMsMax: 5 * 60 * 1000,
  lazyPendingMax: 4_096,
  /** Work queue of a controller: first retry and the longest wait. */
  retryBackoffMsMin: 5,
  retryBackoffMsMax: 60_000,
  /** A list or watch of a cache that fails is tried again within this. */
  relistBackoffMsMin: 100,
  relistBackoffMsMax: 5_000,
  /** A cache that does not show a controller's own write for this long lists again. */
  readYourWritesMsMax: 5_000,
  /** Runs of one key of a controller are at least this far apart, so that bursts become one run. */
  controllerSpacingMs: 20,
  /** Writes of one run under way at once, reached by doubling from one (slow start). */
  controllerWritesMax: 64,
  /**
   * Events: keys remembered for counting, events waiting to be sent, burst and refill a source and
   * object.
   */
  eventKeysMax: 4_096,
  eventQueueMax: 1_000,
  eventBurstMax: 25,
  eventRefillMs: 300_000,
  /** This many events alike but for their message within the window become one combined event. */
  eventSimilarMax: 10,
  eventSimilarWindowMs: 600_000,
  /**
   * Leader election: length of the Lease, give-up time, time between tries. A write that was under
   * way when a term ended has the difference of the first two to arrive before another one leads.
   */
  leaderLeaseMs: 6_000,
  leaderRenewMsMax: 3_000,
  leaderRetryMs: 1_000,
  /** One call of an external program, unless the caller names another limit. */
  processMsMax: 30_000,
  processOutputBytesMax: 8 * 1024 * 1024,
  imagePullMsMax: 20 * 60 * 1000,
  /** Rules, routes and records that could not be applied: first retry and the longest wait. */
  levelBackoffMsMin: 50,
  levelBackoffMsMax: 15_000,
  /**
   * Service ports from which on nft maps serve them, where the mode is `auto`: at 1,000 rules of
   * iptables load in 0.21 s, maps in 0.036 s, at 5,000 in 3.5 and 0.13 s.
   */
  proxyMapsPorts: 1_000,
  /** Someone else's change of packet rules is found and mended within this. */
  packetRulesCheckMs: 20_000,
  /** Routes that the kernel dropped (address or link changed) are put back within this. */
  routesCheckMs: 5_000,
  ...dnsLimits,
  ...threadLimits,
  ...ingressLimits,
  /** Network interfaces are looked at this often for mDNS. */
  linksScanMs: 3_000,
  /** Answers of one link to whoever asks. */
  mdnsAnswersPerSecondMax: 20,
  /** One iptables-restore or -save: 40,000 rules take 4 s on a fast machine. */
  packetRulesMsMax: 120_000,
  /** Nerdctl calls at once on a node: more only queue in containerd. */
  runtimeCallsMax: 4,
  /** Shapes of containers of which more are made without nerdctl; each keeps some 10 KB. */
  containerMouldsMax: 64,
  /** Image pulls at once on a node. */
  imagePullsMax: 3,
  ...sharedLimits,
  /** Until containerd's socket takes a connection: it is on this machine. */
  containerdConnectMsMax: 2_000,
  /** One call of containerd's API that does little; starting a task runs runc. */
  containerdMsMax: 30_000,
  /** A signal to a container; its shim may hang, and its pod must not be silent for long. */
  containerdKillMsMax: 5_000,
  /** Output kept of a command that is run to its end (upstream keeps 10 KiB of a probe). */
  execOutputBytesMax: 16 * 1024,
  /** How often an attach looks for new output. */
  logFollowMs: 50,
  /** The shim tells of a container's end before it has copied what was written last: so much. */
  logSettleMs: 50,
  /** As long for a client that is attached, which sees nothing later: a busy machine is slower. */
  attachSettleMs: 300,
  /** One `sync` of a slow card after an image was fetched. */
  diskSyncMsMax: 5 * 60 * 1000,
  /** One message of an exec or attach. */
  execChunkBytesMax: 32 * 1024,
  /** While a command does not read its input: how often it is looked whether there is room. */
  stdinPauseMsMin: 1,
  stdinPauseMsMax: 50,
  /** After a command has exited, silence of this length ends the reading of its output. */
  execDrainMsMax: 2_000,
  /** A shim opens the input of a process after its start: how long, and how often to look. */
  execInputMsMax: 10_000,
  execInputLookMs: 10,
  /** Streams (exec, attach, logs, port-forward) open at once through one node's tunnel. */
  tunnelStreamsMax: 512,
  /** When one side of a stream has left: until the other one has taken what is under way. */
  leftMessageMsMax: 2_000,
  tunnelWindowBytes: 256 * 1024,
  tunnelFrameBytesMax: 64 * 1024,
  /**
   * A pod of a Service is told to end this late at most, so that the rules have left it; and this
   * much later for requests under way, looked for this often; a look is a program's run, and the
   * rest after it takes so many times as long at least.
   */
  drainMsMax: 5_000,
  drainAnswersMsMax: 2_000,
  /** For requests that have got no byte of an answer: an overloaded node is slow, not silent. */
  drainUnansweredMsMax: 10_000,
  drainLookMs: 100,
  drainRest: 4,
  /** In between this long: the rules of other nodes follow, and packets under way arrive. */
  drainQuietMs: 200,
  /**
   * Ending connections to where nobody is: what comes within this time is one program's work, of
   * this long at most. What comes on top of the most is left to time out.
   */
  flowsGatherMs: 50,
  flowsMsMax: 5_000,
  flowsWaitingMax: 1_000,
  /** A process that is asked to end is killed after this. */
  stopMsMax: 10_000,
  tunnelPingMs: 3_000,
  tunnelSilentMsMax: 9_000,
  tunnelOpenMsMax: 10_000,
  /** A node dials its server again at least this often. */
  tunnelRedialMsMax: 2_000,
  /** Logs and exec of a ready node that is not connected wait so long for it to dial. */
  nodeLinkWaitMsMax: 5_000,
  /** Shell output kept for a termination message (Kubernetes: 4096 bytes). */
  terminationMessageBytesMax: 4096,
  /** Starts of pods under way at once on a node: 2 to 4 gave the most pods a second on 2 cores. */
  podStartsMax: 4,
  /**
   * What is left of pods that the API has forgotten is cleared for so many at once, after starts
   * that are under way, this late at most; at once where as many wait (their addresses are taken).
   */
  podCleanupsMax: 3,
  podCleanupYieldMsMax: 5_000,
  podCleanupsWaitingMax: 40,
  /** How long a status that the next moment makes untrue may wait (creating; partly started). */
  podStatusPendingMs: 500,
  podStatusPartialMs: 250,
  /** The same of a pod that is going, where only its generation was noticed. */
  podStatusGoingMs: 2_000,
  podStatusRetryMsMin: 500,
  podStatusRetryMsMax: 30_000,
  /** A stop looks for a shortened grace this often, and kills again after `killRetryMs`. */
  stopLookMs: 500,
  killRetryMs: 10_000,
  /** Dead containers are removed this late, many in one call. */
  containerDiscardMs: 3_000,
  /** All containers are compared with the records this often, should an event have been lost. */
  containerSweepMs: 300_000,
  /** Exits of containers whose start has not been answered yet. */
  earlyExitsMax: 256,
  /** Body of an HTTP probe's answer that is looked at (upstream: 10 KiB). */
  probeBodyBytesMax: 10 * 1024,
  /** Head of an HTTP probe's answer. */
  probeHeadBytesMax: 64 * 1024,
  /** A container that was never ready is asked again sooner than its period says, from this on. */
  probeEagerMsMin: 50,
  /** What the node's disk had no room for is written again after this. */
  recordRetryMs: 5_000,
  /** A runtime that does not answer yet is asked again after this. */
  runtimeRetryMs: 500,
  /** A node status in which nothing changed is written this seldom: heartbeats are Leases. */
  nodeStatusRefreshMs: 30 * 60 * 1000,
  /** Changes of the node's images are told this late, many in one write. */
  nodeImagesDelayMs: 10_000,
  nodeImagesMax: 50,
  /** A mounted ConfigMap or Secret is written anew this long after its change. */
  volumeUpdateMs: 100,
  volumeRetryMsMax: 60_000,
  /** Making or growing the file system of a volume on a slow card. */
  volumeFormatMsMax: 10 * 60 * 1000,
  /**
   * Memory is given back by a process that computed this little between two looks, and grew by so
   * much.
   */
  trimLookMs: 10_000,
  trimQuietMsMax: 300,
  trimBytesMin: 8 * 1024 * 1024,
  /**
   * So much is given back though work goes on (a fifth of a core: heartbeats of many nodes, some
   * clients), not more often than this: what was compiled is compiled again then.
   */
  trimCalmMsMax: 2_000,
  trimCalmBytesMin: 16 * 1024 * 1024,
  trimCalmApartMs: 60_000,
  trimSettleMs: 3_000,
  /** Until what work left in the history of changes is forgotten. */
  trimAgainMs: 80_000,
  /**
   * A container's log keeps this much; older bytes go back to the disk in these steps (5 files of
   * 10 MiB upstream).
   */
  logBytesMax: 50 * 1024 * 1024,
  logPunchBytes: 5 * 1024 * 1024,
  /** Notes of which byte of a log came when: at most one in this time, and so many in all. */
  logMarkMs: 50,
  logMarksMax: 2_048,
  logChunkBytes: 64 * 1024,
  /** A port that is forwarded must accept within this. */
  dialMsMax: 5_000,
  /** Files of static pods are read this long after a change. */
  staticPodsDelayMs: 200,
  /**
   * How often the node looks at what it has left (upstream: 10 s), and at limits of local storage.
   */
  pressureLookMs: 10_000,
  storageLookMs: 30_000,
  /** Unused images go when the disk is fuller than this, until it is emptier than that. */
  imageDiskShareMax: 0.85,
  imageDiskShareMin: 0.8,
  imageGcMs: 300_000,
  imageAgeMsMin: 120_000,
  /**
   * CPU use is a rate over at least and at most this; the API server asks a node for it this often,
   * and waits so long.
   */
  usageWindowMsMin: 1_000,
  usageWindowMsMax: 60_000,
  usageAgeMsMax: 10_000,
  usageAnswerMsMax: 5_000,
  /** Device plugins: one answer, and what one may say when it registers. */
  pluginMsMax: 10_000,
  pluginMessageBytesMax: 64 * 1024,
  /** The node's own addresses are asked for this often at most. */
  nodeAddressMs: 5_000,
  /** ConfigMaps and Secrets whose last content a node keeps for the time without an API. */
  rememberedObjectsMax: 512,
  /** After a fault of its own the kubelet looks at the pod again. */
  faultRetryMs: 10_000,
  /** How often a node that goes down looks whether its containers have ended. */
  shutdownLookMs: 200,
  /** Lifecycle hooks: a command, which the grace period ends sooner, and an HTTP request. */
  hookMsMax: 3_600_000,
  hookHttpMsMax: 60_000,
  /** Probes due within this are run together. */
  probeSlotMs: 25,
  /** Bindings under way at once. */
  bindingsMax: 64,
  /** A pod that did not fit is tried again after this though nothing changed (upstream: 5 min). */
  unschedulableMsMax: 300_000,
  schedulingBackoffMsMin: 200,
  schedulingBackoffMsMax: 10_000,
  /** A pod whose volumes are not made by then is placed anew (upstream: 10 min). */
  volumeBindingMsMax: 600_000,
  /** Node heartbeat: Lease renewal and how long without one until the node counts as gone. */
  nodeLeaseRenewMs: 3_000,
  nodeLeaseDurationMs: 9_000,
} as const;
