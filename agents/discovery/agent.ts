/**
 * Servers and waiting devices find each other on the LAN by mDNS/DNS-SD as `_bramble._tcp`. What is
 * heard is a hint, never proof: who uses it checks the CA's fingerprint against a token.
 */
import { LanAnnouncer } from "#agents/discovery/announcer.ts";
import { LanBrowser } from "#agents/discovery/browser.ts";
import { Lan } from "#agents/discovery/lan.ts";
import { type Link, listLinks, type OpenLink, openLink } from "#agents/discovery/link.ts";
import type { Announcement, Found } from "#agents/discovery/plan.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { type Random, realRandom } from "#base/random.ts";

/** What a server or a waiting device says of itself. */
export interface Facts {
  /** The node's name. */
  name: string;
  role: "server" | "device";
  port: number;
  version: string;
  /** SHA-256 of the cluster's CA, hex; empty for a device that waits. */
  caSha256?: string;
  cluster?: string;
}

export interface FoundService extends Omit<Facts, "role"> {
  role: string;
  caSha256: string;
  cluster: string;
  /** Unique on the LAN. */
  instance: string;
  /** IPv4 first. */
  addresses: readonly string[];
}

interface Surroundings {
  clock: Clock;
  log: Log;
  random?: Random;
  /** The machine's own where left out. */
  listLinks?: () => readonly Link[];
  openLink?: OpenLink;
}

export interface BrowseOptions extends Surroundings {
  /** Milliseconds; without it until `signal` aborts. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** For each service, and again when something of it changed. */
  onFound?: (service: FoundService) => void;
  /** It said goodbye, or was not heard of for long. */
  onLost?: (instance: string) => void;
}

function announcementOf(facts: Facts): Announcement {
  const { name, port, role, version, caSha256 = "", cluster = "" } = facts;
  return { name, port, txt: { name, role, version, ca: caSha256, cluster } };
}

function serviceOf({ instance, port, addresses, txt }: Found): FoundService {
  const { name = "", role = "", version = "", ca = "", cluster = "" } = txt;
  return { instance, port, addresses, name, role, version, caSha256: ca, cluster };
}

const lanOf = (around: Surroundings): Lan => new Lan({ listLinks, openLink, ...around });

/**
 * Announces on every interface and follows their changes. Answers how to take it back: with a
 * goodbye, once.
 */
export function announce(options: Facts & Surroundings): () => Promise<void> {
  const { clock, log, random = realRandom } = options;
  const announcer = new LanAnnouncer(announcementOf(options), {
    lan: lanOf(options),
    clock,
    random,
    log,
  });
  return () => announcer.stop();
}

/** Resolves with all that is present at the end. */
export async function browse(options: BrowseOptions): Promise<FoundService[]> {
  const { timeoutMs, signal, onFound, onLost } = options;
  const browser = new LanBrowser(lanOf(options), options.clock, {
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(signal && { signal }),
    ...(onLost && { onLost }),
    onFound: (found) => onFound?.(serviceOf(found)),
  });
  return (await browser.run()).map(serviceOf);
}
