/**
 * Where the server is: given, remembered, or found by mDNS. A server that moved is found again by
 * its CA, which the node has pinned, without a restart; its answers also tell the time.
 */
import { browse } from "#agents/discovery/agent.ts";
import { RetryLater } from "#agents/join/join.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { TrueClock } from "#base/truetime.ts";
import type { Surroundings } from "./control.ts";
import { watchServer } from "./serverwatch.ts";

export interface Locator {
  /** The best known URL of a server. */
  url(): string;
  /** Somebody who is to be believed named these URLs. */
  add(urls: readonly string[]): void;
  /** The servers that the cluster has now, as they say. */
  publish(urls: readonly string[]): void;
  published(): readonly string[];
  /** The server may be gone: it is asked at once. */
  doubt(): void;
  /** A server whose CA has this fingerprint; throws RetryLater where none shows itself in time. */
  find(caSha256: string): Promise<string>;
  /** From now on looks for the server anew whenever it does not answer. */
  pin(pinned: Pinned): void;
}

export interface Pinned {
  caPem: string;
  caSha256: string;
  /** When the server last answered anything, by the steady clock: then it need not be asked. */
  heardMs(): number;
  /** The server answers at another URL now. */
  onMoved(url: string): void;
  /** It does not answer at the last one: what waits for it waits in vain. */
  onLost(): void;
  /** It answers, and says its version; those of before say none. */
  onVersion(version: string): void;
}

export interface LocatorOptions {
  /** As the operator named them; mDNS is asked where none of them answers. */
  given: readonly string[];
  known: readonly string[];
  around: Surroundings & { clock: TrueClock };
  /** Whether to look by mDNS at all. */
  discovers: boolean;
}

export const TIME_PATH = "/bramble/v1/time";

/** URLs that a browse shows for one CA, each as it comes; ends with the signal or its time. */
async function lookAround(
  caSha256: string,
  around: Surroundings,
  enough: AbortController,
  onUrl: (url: string) => void,
): Promise<void> {
  const stop = () => enough.abort();
  around.signal.addEventListener("abort", stop, { once: true });
  await browse({
    timeoutMs: limits.browseMs,
    signal: enough.signal,
    clock: around.clock,
    log: around.log.part("discovery"),
    onFound: (service) => {
      if (service.role !== "server" || service.caSha256 !== caSha256) return;
      for (const address of service.addresses) {
        const host = address.includes(":") ? `[${address}]` : address;
        onUrl(`https://${host}:${service.port}`);
      }
    },
  });
  around.signal.removeEventListener("abort", stop);
}

/** True when a server of the pinned CA answers here; it also sets the clock right. */
async function answers(
  url: string,
  { caPem, onVersion }: Pinned,
  clock: TrueClock,
  msMax: number = limits.serverAnswerMsMax,
): Promise<boolean> {
  if (url === "") return false;
  try {
    const askedMs = clock.monotonic();
    const signal = AbortSignal.timeout(msMax);
    const answer = await fetch(`${url}${TIME_PATH}`, { tls: { ca: caPem }, signal });
    if (!answer.ok) return false;
    const said = (await answer.json()) as { nowMs?: unknown; version?: unknown };
    const { nowMs, version } = said;
    if (typeof nowMs !== "number") return false;
    if (typeof version === "string") onVersion(version);
    clock.correct(nowMs + (clock.monotonic() - askedMs) / 2);
    return true;
  } catch {
    return false;
  }
}

/** The first of these that answers; undefined where none does. */
async function firstOf(
  urls: readonly string[],
  asks: (url: string) => Promise<boolean>,
): Promise<string | undefined> {
  try {
    return await Promise.any(
      urls.map(async (url) => {
        if (await asks(url)) return url;
        throw new RetryLater(`${url} does not answer`);
      }),
    );
  } catch {
    return undefined;
  }
}

/** Asks known places and the LAN at once: the first good answer wins, until the signal aborts. */
async function search(
  places: readonly string[],
  pinned: Pinned,
  { around, discovers }: LocatorOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const found = Promise.withResolvers<string | undefined>();
  const enough = new AbortController();
  const stop = () => {
    enough.abort();
    found.resolve(undefined);
  };
  signal.addEventListener("abort", stop, { once: true });
  const asks = (url: string) => answers(url, pinned, around.clock);
  const take = (url: string | undefined) => {
    if (url === undefined) return;
    enough.abort();
    found.resolve(url);
  };
  const known = firstOf(places, asks).then(take);
  const asked = new Map<string, Promise<void>>();
  // Another cluster's server fails here: its CA is not the pinned one.
  const ask = (url: string) => {
    if (!asked.has(url)) asked.set(url, firstOf([url], asks).then(take));
  };
  const looked = discovers ? lookAround(pinned.caSha256, around, enough, ask) : Promise.resolve();
  void Promise.all([known, looked])
    .then(() => Promise.all(asked.values()))
    .then(() => found.resolve(undefined));
  return found.promise;
}

/** A pause that a doubt ends; and whether what was heard before the doubt still counts. */
function doubtful(clock: Clock, signal: AbortSignal) {
  let doubtedMs = Number.NEGATIVE_INFINITY;
  let nap = new AbortController();
  return {
    doubt() {
      doubtedMs = clock.monotonic();
      nap.abort();
    },
    since: (heardMs: number) => (heardMs > doubtedMs ? heardMs : Number.NEGATIVE_INFINITY),
    async pause(ms: number) {
      nap = new AbortController();
      await sleep(clock, ms, AbortSignal.any([signal, nap.signal]));
    },
  };
}

export function createLocator(options: LocatorOptions): Locator {
  const { around, discovers } = options;
  const { clock, signal } = around;
  const given = [...options.given];
  const places = new Set([...given, ...options.known]);
  let published: readonly string[] = [];
  let [current = ""] = places;
  let turn = 0;
  const { doubt, since, pause } = doubtful(clock, signal);

  async function watch(pinned: Pinned): Promise<void> {
    // Where another one can take its place, it has less time to answer.
    const msMax = () => (published.length > 1 ? limits.serverSpareMsMax : limits.serverAnswerMsMax);
    const server = {
      url: () => current,
      heardMs: () => since(pinned.heardMs()),
      answers: () => answers(current, pinned, clock, msMax()),
      search: (enough: AbortSignal) =>
        search([...new Set([...published, ...places])], pinned, options, enough),
      lost: () => pinned.onLost(),
      moved(url: string) {
        current = url;
        pinned.onMoved(url);
      },
      pause,
    };
    await watchServer(server, around);
  }

  return {
    url: () => current,
    add(urls) {
      given.push(...urls);
      for (const url of urls) places.add(url);
    },
    publish(urls) {
      published = urls;
    },
    published: () => published,
    doubt,
    async find(caSha256) {
      // Those that were named, in turn, then the LAN: the join finds out which one is right.
      const place = given[turn++ % (given.length + 1)];
      if (place !== undefined || (given.length > 0 && !discovers)) {
        current = place ?? given[0] ?? "";
        return current;
      }
      const enough = new AbortController();
      let found: string | undefined;
      await lookAround(caSha256, around, enough, (url) => {
        found ??= url;
        enough.abort();
      });
      if (found === undefined) throw new RetryLater("no server of this token answers by mDNS");
      current = found;
      return found;
    },
    pin: (pinned) => void watch(pinned),
  };
}
