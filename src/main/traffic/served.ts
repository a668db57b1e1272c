/** DNS and Ingress in a thread of their own: what they need of the process they ask it for. */
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import type { Family } from "#base/cidr.ts";
import { realClock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { type Level, type Log, logTo } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { Replica } from "#client/replica.ts";
import { Calls, type Message } from "./calls.ts";
import { startTraffic, type Traffic, type TrafficAround, type TrafficSettings } from "./traffic.ts";
import { idOf, type ObjectRef, type ProcessOffers, type ThreadOffers } from "./words.ts";

/** The lines are written by the process; those that nobody reads are not sent. */
const sentLog = (calls: Calls<ProcessOffers>, least: Level): Log =>
  logTo(least, (level, message, { part = "", ...fields }) => {
    calls.ask("log", { level, part: String(part), message, fields }).catch(() => {});
  });

/** Secrets that the process looks at for us. */
class SentObjects implements ObjectSource {
  readonly #calls: Calls<ProcessOffers>;
  /** One who watches for each object. */
  readonly #watched = new Map<string, () => void>();

  constructor(calls: Calls<ProcessOffers>) {
    this.#calls = calls;
  }

  get(...ref: ObjectRef): ReturnType<ObjectSource["get"]> {
    return this.#calls.ask("object", ...ref);
  }

  watch(...[kind, namespace, name, changed]: Parameters<ObjectSource["watch"]>): () => void {
    const ref = [kind, namespace, name] as const;
    this.#watched.set(idOf(...ref), changed);
    this.#calls.ask("watch", ...ref).catch(() => {});
    return () => {
      this.#watched.delete(idOf(...ref));
      this.#calls.ask("unwatch", ...ref).catch(() => {});
    };
  }

  changed(...ref: ObjectRef): void {
    this.#watched.get(idOf(...ref))?.();
  }
}

export interface ThreadPort {
  post(message: Message): void;
  /** What was rejected and awaited by nobody: told of, and served on. */
  onRejection(told: (reason: unknown) => void): void;
}

/** Everything else comes as calls of the process. Answers who takes its messages. */
export function serveThread({ post, onRejection }: ThreadPort): (message: Message) => void {
  const replica = new Replica();
  let traffic: Traffic | undefined;
  const start = (settings: TrafficSettings): void => {
    const writer = (family: Family): TrafficAround["writers"] => ({
      [family]: {
        apply: (owner: string, rules: Parameters<ProcessOffers["apply"]>[2]) =>
          calls.ask("apply", family, owner, rules),
      },
    });
    const log = sentLog(calls, settings.logLevel);
    onRejection((reason) => {
      log.error("unhandled rejection in the thread", { error: messageOf(reason) });
    });
    traffic = startTraffic(settings, {
      caches: replica,
      objects,
      run: (argv) => calls.ask("run", argv),
      writers: { ...writer("IPv4"), ...writer("IPv6") },
      mark: (ports) => calls.ask("mark", ports),
      clock: realClock,
      random: realRandom,
      log,
    });
  };
  const ours: ThreadOffers = {
    start: async (settings) => start(settings),
    feed: async (portions) => {
      for (const portion of portions) replica.take(portion);
    },
    changed: async (...ref) => objects.changed(...ref),
    drained: async (podUid) => traffic?.drained(podUid),
    metrics: async () => traffic?.metrics() ?? "",
    shrink: async () => Bun.shrink(),
    stop: async () => traffic?.stop(),
    alive: async () => {},
  };
  const calls: Calls<ProcessOffers> = new Calls<ProcessOffers>(post, { ...ours });
  const objects = new SentObjects(calls);
  return (message) => calls.take(message);
}
