/** Keeps one service announced on every link until it is told to stop, then says goodbye. */
import { isLegacy, type Lan, type Received } from "#agents/discovery/lan.ts";
import type { Link } from "#agents/discovery/link.ts";
import type { Announcement, Records } from "#agents/discovery/plan.ts";
import * as plan from "#agents/discovery/plan.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";

/** RFC 6762 section 8: three probes 250 ms apart, then two announcements a second apart. */
const PROBES = 3;
const PROBE_MS = 250;
const ANNOUNCEMENTS = 2;
const ANNOUNCE_MS = 1_000;
/** Answers of records that several hosts may have wait a little, so that they do not collide. */
const ANSWER_DELAY_MS = 20;
const ATTEMPTS_MAX = 20;

export interface AnnouncerOptions {
  lan: Lan;
  clock: Clock;
  random: Random;
  log: Log;
}

export class LanAnnouncer {
  readonly #options: AnnouncerOptions;
  readonly #stop = new AbortController();
  readonly #end: () => void;
  /** Answers per link within the current second. */
  readonly #answers = new Map<string, { secondMs: number; count: number }>();
  readonly #announcement: Announcement;
  #attempt = 1;
  #probed = false;
  #taken = false;

  constructor(announcement: Announcement, options: AnnouncerOptions) {
    this.#announcement = announcement;
    this.#options = options;
    this.#end = options.lan.listen({
      onPacket: (received) => this.#take(received),
      onLink: (link) => {
        if (this.#probed) void this.#announce([link]);
      },
    });
    void this.#start();
  }

  /** The name in use: another where the wished one was taken. */
  get instance(): string {
    return plan.instanceOf(this.#label);
  }

  /** Says goodbye. Idempotent. */
  async stop(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    const { lan } = this.#options;
    if (this.#probed) {
      const goodbye = (link: Link) => plan.announcePacket(this.#records(link), true);
      await Promise.all(lan.links().map((link) => lan.send(link, goodbye(link))));
    }
    this.#end();
  }

  get #label(): string {
    return plan.labelOf(this.#announcement.name, this.#attempt);
  }

  #records(link: Link): Records {
    return plan.recordsOf(this.#announcement, this.#label, link.addresses);
  }

  /** Probes until a name is free, then announces it. */
  async #start(): Promise<void> {
    const { lan, clock, random, log } = this.#options;
    const { signal } = this.#stop;
    await sleep(clock, random.next() * PROBE_MS, signal);
    for (let probe = 0; probe < PROBES && !signal.aborted; probe++) {
      await Promise.all(
        lan.links().map((link) => lan.send(link, plan.probePacket(this.#records(link)))),
      );
      await sleep(clock, PROBE_MS, signal);
      if (!this.#taken) continue;
      this.#taken = false;
      if (this.#attempt >= ATTEMPTS_MAX) break;
      this.#attempt++;
      log.warn("name is taken on the LAN", { instance: this.instance });
      probe = -1;
    }
    if (signal.aborted) return;
    this.#probed = true;
    await this.#announce();
  }

  async #announce(links?: readonly Link[]): Promise<void> {
    const { lan, clock } = this.#options;
    for (let i = 0; i < ANNOUNCEMENTS && !this.#stop.signal.aborted; i++) {
      if (i > 0) await sleep(clock, ANNOUNCE_MS, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      const packet = (link: Link) => plan.announcePacket(this.#records(link));
      await Promise.all((links ?? lan.links()).map((link) => lan.send(link, packet(link))));
    }
  }

  #take({ packet, link, from }: Received): void {
    const records = this.#records(link);
    if (plan.conflicts(packet, records, this.#ownAddresses())) {
      this.#conflict();
      return;
    }
    if (packet.type !== "query" || !this.#probed) return;
    const response = plan.answer(packet, records);
    if (response === undefined || !this.#mayAnswer(link)) return;
    const { clock, random, lan } = this.#options;
    const delayMs = random.next() * ANSWER_DELAY_MS;
    clock.after(delayMs, () => {
      if (this.#stop.signal.aborted) return;
      if (isLegacy(from.port)) void lan.send(link, plan.legacyAnswer(packet, response), from);
      else void lan.send(link, response);
    });
  }

  #ownAddresses(): string[] {
    return this.#options.lan.links().flatMap(({ addresses }) => addresses);
  }

  /** Someone else has the name: take another. */
  #conflict(): void {
    this.#taken = true;
    if (!this.#probed) return;
    this.#probed = false;
    void this.#start();
  }

  /** A bound on what any host on the LAN can make us send. */
  #mayAnswer(link: Link): boolean {
    const nowMs = this.#options.clock.monotonic();
    const key = `${link.name} ${link.family}`;
    const window = this.#answers.get(key);
    if (window === undefined || nowMs - window.secondMs >= 1_000) {
      this.#answers.set(key, { secondMs: nowMs, count: 1 });
      return true;
    }
    window.count++;
    return window.count <= limits.mdnsAnswersPerSecondMax;
  }
}
