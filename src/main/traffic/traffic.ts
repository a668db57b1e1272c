/** What a node answers itself: the cluster's DNS and its Ingress, both in the thread of the caller. */
import { createDnsAgent } from "#agents/dns/agent.ts";
import { IngressAgent } from "#agents/ingress/agent.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import type { Family } from "#base/cidr.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import type { Level, Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import type { Random } from "#base/random.ts";
import type { ShownCaches } from "#client/cache.types.ts";

/** Can be posted to another thread. */
export interface TrafficSettings {
  nodeName: string;
  logLevel: Level;
  /** Undefined: somebody else does it. */
  dns?: { address: string; domain: string; cidrs: readonly string[] };
  ingress?: { host: string; httpPort: number; tlsPort: number; accessLog?: string };
}

export type Families<T> = Partial<Record<Family, T>>;

export interface TrafficAround {
  caches: ShownCaches;
  objects: ObjectSource;
  run: Run;
  writers: Families<Pick<PacketWriter, "apply">>;
  /** Writes on the node at which ports its Ingress listens. */
  mark: (ports: string | undefined) => Promise<void>;
  clock: Clock;
  random: Random;
  log: Log;
}

export interface Traffic {
  /** Resolves when the Ingress has no request under way to the pod, and none will be. */
  drained(podUid: string): Promise<void>;
  /** In Prometheus' text form. */
  metrics(): Promise<string>;
  /** Gives memory back, where it has a heap of its own. */
  shrink(): void;
  /** Answers no more; requests under way may end. */
  stop(): Promise<void>;
}

export type StartTraffic = (settings: TrafficSettings, around: TrafficAround) => Traffic;

/** Works until it is stopped. */
export const startTraffic: StartTraffic = ({ nodeName, dns, ingress }, around) => {
  const { log } = around;
  const ending = new AbortController();
  if (dns !== undefined) {
    createDnsAgent({ ...around, ...dns, log: log.part("dns") })
      .start(ending.signal)
      .catch((error: unknown) => log.error("DNS does not work", { error: messageOf(error) }));
  }
  const agent =
    ingress &&
    new IngressAgent({
      ...around,
      ...ingress,
      nodeName,
      log: log.part("ingress"),
    });
  agent?.start(ending.signal);
  return {
    drained: async (podUid) => agent?.drained(podUid),
    metrics: async () => agent?.metrics() ?? "",
    shrink: () => {},
    async stop() {
      ending.abort();
      await agent?.stop();
    },
  };
};
