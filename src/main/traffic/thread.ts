/**
 * DNS and Ingress on a thread of their own, where the API is in this process: neither lists nor
 * watches of many, nor the garbage of its heap, hold up their answers. The thread gets what the
 * caches show, has this process do what only it may, and is started again when it ends or hangs.
 */
import { backoffMs } from "#base/backoff.ts";
import { type Cancel, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import { Feed } from "#client/feed.ts";
import { Calls, type Message } from "./calls.ts";
import { offersOf } from "./offered.ts";
import { trafficSources } from "./sources.ts";
import type { Traffic, TrafficAround, TrafficSettings } from "./traffic.ts";
import type { ThreadOffers } from "./words.ts";

export interface Thread {
  post(message: Message): void;
  /** `ended` is told then. */
  terminate(): void;
}

/** Starts one. `ended` is told once, with the reason. */
export type OpenThread = (on: {
  message: (message: Message) => void;
  ended: (reason: string) => void;
}) => Thread;

/** One life of the thread. */
interface Life {
  thread: Thread;
  calls: Calls<ThreadOffers>;
  feed: Feed;
  /** Looks that it left without an answer, one after the other. */
  misses: number;
}

class ThreadTraffic implements Traffic {
  readonly #settings: TrafficSettings;
  readonly #around: TrafficAround;
  readonly #openThread: OpenThread;
  #life: Life;
  /** Lives that ended before they answered a look. */
  #failures = 0;
  #cancel: Cancel | undefined;
  #isStopped = false;

  constructor(settings: TrafficSettings, around: TrafficAround, openThread: OpenThread) {
    this.#settings = settings;
    this.#around = around;
    this.#openThread = openThread;
    this.#life = this.#begin();
  }

  async drained(podUid: string): Promise<void> {
    const { feed, calls } = this.#life;
    await this.#within(limits.threadAnswerMsMax, feed.flushed());
    // With the thread its requests are gone.
    await calls.ask("drained", podUid).catch(() => {});
  }

  async metrics(): Promise<string> {
    const asked = this.#life.calls.ask("metrics").catch(() => "");
    return (await this.#within(limits.threadAnswerMsMax, asked)) ?? "";
  }

  shrink(): void {
    this.#life.calls.ask("shrink").catch(() => {});
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel?.();
    const { calls, thread } = this.#life;
    await this.#within(
      limits.threadStopMsMax,
      calls.ask("stop").catch(() => {}),
    );
    thread.terminate();
  }

  /** Undefined where it takes longer. */
  async #within<T>(delayMs: number, work: Promise<T>): Promise<T | undefined> {
    const patience = new AbortController();
    const late = sleep(this.#around.clock, delayMs, patience.signal);
    try {
      return await Promise.race([work, late.then(() => undefined)]);
    } finally {
      patience.abort();
    }
  }

  #begin(): Life {
    const { caches, log } = this.#around;
    const { offers, end } = offersOf(this.#around, (...ref) => {
      calls.ask("changed", ...ref).catch(() => {});
    });
    const calls: Calls<ThreadOffers> = new Calls((message) => thread.post(message), { ...offers });
    const ended = (reason: string): void => {
      calls.end(reason);
      feed.stop();
      end();
      if (this.#isStopped) return;
      log.error("the thread of DNS and Ingress ended: starting another one", { why: reason });
      this.#again();
    };
    const thread = this.#openThread({ message: (message) => calls.take(message), ended });
    calls.ask("start", this.#settings).catch(() => {});
    const feed = new Feed(trafficSources(this.#settings, caches), (portions) =>
      calls.ask("feed", portions),
    );
    this.#later(limits.threadLookMs, () => this.#look());
    return { thread, calls, feed, misses: 0 };
  }

  #later(delayMs: number, run: () => void): void {
    this.#cancel?.();
    this.#cancel = this.#around.clock.after(delayMs, run);
  }

  #again(): void {
    const { threadAgainMsMin, threadAgainMsMax } = limits;
    this.#later(backoffMs(this.#failures++, threadAgainMsMin, threadAgainMsMax), () => {
      this.#life = this.#begin();
    });
  }

  /** A thread that hangs does not end by itself. */
  #look(): void {
    const life = this.#life;
    if (life.misses >= limits.threadMissesMax) {
      life.thread.terminate();
      return;
    }
    life.misses++;
    const answered = () => {
      life.misses = 0;
      this.#failures = 0;
    };
    life.calls.ask("alive").then(answered, () => {});
    this.#later(limits.threadLookMs, () => this.#look());
  }
}

export const startThread = (
  settings: TrafficSettings,
  around: TrafficAround,
  openThread: OpenThread,
): Traffic => new ThreadTraffic(settings, around, openThread);
