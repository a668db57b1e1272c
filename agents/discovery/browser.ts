/** Looks for announced services until its time is over or the caller has seen enough. */
import type { Packet } from "dns-packet";
import type { Lan } from "#agents/discovery/lan.ts";
import type { Link } from "#agents/discovery/link.ts";
import type { Found } from "#agents/discovery/plan.ts";
import * as plan from "#agents/discovery/plan.ts";
import type { Cancel, Clock } from "#base/clock.ts";

export interface BrowseOptions {
  /** Milliseconds; without it until `signal` aborts. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** For each instance, and again when something of it changed. */
  onFound?: (found: Found) => void;
  /** It said goodbye, or was not heard of for long. */
  onLost?: (instance: string) => void;
}

/** Questions come after 0, 1, 3, 7 … seconds, at last once a minute (RFC 6762 section 5.2). */
const QUERY_MS_MIN = 1_000;
const QUERY_MS_MAX = 60_000;
const EXPIRE_MS = 1_000;

/** Which instances were named on which link. */
class KnownOnLinks {
  readonly #named = new Map<string, Set<string>>();

  note({ name, family }: Link, packet: Packet): void {
    const key = `${name} ${family}`;
    const named = this.#named.get(key) ?? new Set();
    for (const record of packet.answers ?? []) {
      if (record.type === "PTR") named.add(record.data.toLowerCase());
    }
    this.#named.set(key, named);
  }

  /** Forgets all others. */
  keep(instances: ReadonlySet<string>): void {
    for (const named of this.#named.values()) {
      for (const instance of named) if (!instances.has(instance)) named.delete(instance);
    }
  }

  on({ name, family }: Link, instances: readonly string[]): string[] {
    const named = this.#named.get(`${name} ${family}`);
    return instances.filter((instance) => named?.has(instance.toLowerCase()));
  }
}

export class LanBrowser {
  readonly #lan: Lan;
  readonly #clock: Clock;
  readonly #options: BrowseOptions;
  readonly #directory = new plan.Directory();
  readonly #told = new Map<string, string>();
  readonly #known = new KnownOnLinks();
  readonly #asked = new Set<string>();
  readonly #timers = new Map<string, Cancel>();
  readonly #done = Promise.withResolvers<Found[]>();
  #end: () => void = () => {};

  constructor(lan: Lan, clock: Clock, options: BrowseOptions) {
    this.#lan = lan;
    this.#clock = clock;
    this.#options = options;
  }

  run(): Promise<Found[]> {
    const { timeoutMs, signal } = this.#options;
    if (signal?.aborted === true) return Promise.resolve([]);
    this.#end = this.#lan.listen({
      onPacket: ({ packet, link }) => {
        if (packet.type !== "response") return;
        this.#directory.take(packet, this.#clock.monotonic(), link.name);
        this.#known.note(link, packet);
        this.#tell();
        this.#resolve();
      },
      onLink: (link) => void this.#lan.send(link, this.#question(link)),
    });
    if (timeoutMs !== undefined) this.#after("timeout", timeoutMs, () => this.#finish());
    signal?.addEventListener("abort", () => this.#finish(), { once: true });
    this.#query(QUERY_MS_MIN);
    this.#expire();
    return this.#done.promise;
  }

  #after(name: string, delayMs: number, work: () => void): void {
    this.#timers.set(name, this.#clock.after(delayMs, work));
  }

  /** The first question goes out on each link as it opens. */
  #query(delayMs: number): void {
    this.#after("query", delayMs, () => {
      this.#asked.clear();
      for (const link of this.#lan.links()) void this.#lan.send(link, this.#question(link));
      this.#resolve();
      this.#query(Math.min(QUERY_MS_MAX, delayMs * 2));
    });
  }

  /** What was heard on another link only has other addresses to tell on this one. */
  #question(link: Link): Packet {
    return plan.browsePacket(this.#known.on(link, [...this.#told.keys()]));
  }

  #expire(): void {
    this.#after("expire", EXPIRE_MS, () => {
      const nowMs = this.#clock.monotonic();
      this.#directory.expire(nowMs);
      this.#tell();
      const left = [...this.#told.keys(), ...this.#directory.incomplete(nowMs)];
      this.#known.keep(new Set(left.map((instance) => instance.toLowerCase())));
      this.#expire();
    });
  }

  #send(packet: Packet): void {
    for (const link of this.#lan.links()) void this.#lan.send(link, packet);
  }

  /** Asks once between two questions for what a response left out. */
  #resolve(): void {
    for (const instance of this.#directory.incomplete(this.#clock.monotonic())) {
      if (this.#asked.has(instance)) continue;
      this.#asked.add(instance);
      this.#send(plan.resolvePacket(instance));
    }
  }

  #tell(): void {
    const { onFound, onLost } = this.#options;
    const found = this.#directory.found(this.#clock.monotonic());
    const present = new Set(found.map(({ instance }) => instance));
    for (const instance of [...this.#told.keys()]) {
      if (present.has(instance)) continue;
      this.#told.delete(instance);
      onLost?.(instance);
    }
    for (const one of found) {
      const text = JSON.stringify(one);
      if (this.#told.get(one.instance) === text) continue;
      this.#told.set(one.instance, text);
      onFound?.(one);
    }
  }

  #finish(): void {
    for (const cancel of this.#timers.values()) cancel();
    this.#end();
    this.#done.resolve(this.#directory.found(this.#clock.monotonic()));
  }
}
