/** What the files of this folder hand to each other about a node. */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import type { NodeSettings } from "./settings.ts";

/** What the node must know of its cluster. */
export interface ClusterNet {
  clusterCidr: string;
  serviceCidr: string;
  clusterDns: string;
  clusterDomain: string;
}

export interface NodeParts {
  settings: NodeSettings;
  nodeName: string;
  cluster: ClusterNet;
  /** Of the API, where it is in this process. */
  apiPort?: number;
  /** Servers of the datastore, where this process uses some. */
  datastore?: ReadonlyArray<{ address: string; port: number }>;
  client: Client;
  caches: Caches;
  clock: Clock;
  random: Random;
  log: Log;
}
