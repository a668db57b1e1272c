/** ConfigMaps and Secrets by name: one watch an object, shared by all who want to know of it. */
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import { backoffMs } from "#base/backoff.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { type Client, StatusError } from "#client/client.ts";
import type { Kind } from "#resources/kind.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { ConfigMap, Secret } from "#resources/types.gen.ts";

type Data = ReadonlyMap<string, Uint8Array>;
type ObjectKind = "configMap" | "secret";

export interface ObjectsOptions {
  client: Client;
  clock: Clock;
  log: Log;
}

const base64 = (text: string): Uint8Array => Buffer.from(text, "base64");

function configMapData(object: ConfigMap): Data {
  const text = Object.entries(object.data ?? {}).map(
    ([key, value]) => [key, Buffer.from(value)] as const,
  );
  const binary = Object.entries(object.binaryData ?? {}).map(
    ([key, value]) => [key, base64(value)] as const,
  );
  return new Map<string, Uint8Array>([...text, ...binary]);
}

function secretData(object: Secret): Data {
  return new Map(Object.entries(object.data ?? {}).map(([key, value]) => [key, base64(value)]));
}

/**
 * Not an answer about the object, but none at all: no connection, or a server that cannot serve
 * now.
 */
const isAway = (error: unknown): boolean =>
  !(error instanceof StatusError) || error.code >= 500 || error.code === 429;

interface Watched {
  listeners: Set<() => void>;
  stop: AbortController;
}

class WatchedObjects implements ObjectSource {
  readonly #options: ObjectsOptions;
  readonly #watched = new Map<string, Watched>();
  /** Last answers, for starting containers while the API is away. */
  readonly #known = new Map<string, Data>();

  constructor(options: ObjectsOptions) {
    this.#options = options;
  }

  async get(kind: ObjectKind, namespace: string, name: string): Promise<Data | undefined> {
    const key = `${kind}/${namespace}/${name}`;
    let data: Data | undefined;
    try {
      data = await this.#ask(kind, namespace, name);
    } catch (error) {
      const known = this.#known.get(key);
      if (known === undefined || !isAway(error)) throw error;
      this.#options.log.info("the API is away: using what it last told", { kind, name });
      return known;
    }
    this.#known.delete(key);
    if (data !== undefined) this.#remember(key, data);
    return data;
  }

  async #ask(kind: ObjectKind, namespace: string, name: string): Promise<Data | undefined> {
    const { client } = this.#options;
    if (kind === "secret") {
      const found = await client.get(secrets, { namespace, name });
      return found && secretData(found);
    }
    const found = await client.get(configMaps, { namespace, name });
    return found && configMapData(found);
  }

  /** The least recently asked for goes first. */
  #remember(key: string, data: Data): void {
    this.#known.set(key, data);
    const [oldest] = this.#known.keys();
    if (this.#known.size > limits.rememberedObjectsMax && oldest) this.#known.delete(oldest);
  }

  watch(kind: ObjectKind, namespace: string, name: string, changed: () => void): () => void {
    const key = `${kind}/${namespace}/${name}`;
    let watched = this.#watched.get(key);
    if (watched === undefined) {
      watched = { listeners: new Set(), stop: new AbortController() };
      this.#watched.set(key, watched);
      const of: Kind<ConfigMap> | Kind<Secret> = kind === "secret" ? secrets : configMaps;
      void this.#follow(of, namespace, name, watched);
    }
    const { listeners, stop } = watched;
    listeners.add(changed);
    return () => {
      listeners.delete(changed);
      if (listeners.size > 0 || stop.signal.aborted) return;
      stop.abort();
      this.#watched.delete(key);
    };
  }

  /**
   * A watch without a revision begins with what is there: every new beginning counts as a change.
   */
  async #follow(
    kind: Kind<ConfigMap> | Kind<Secret>,
    namespace: string,
    name: string,
    { listeners, stop }: Watched,
  ): Promise<void> {
    const { client, clock, log } = this.#options;
    const { signal } = stop;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const query = { namespace, fieldSelector: `metadata.name=${name}`, signal };
        for await (const { type } of client.watch<ConfigMap | Secret>(kind, query)) {
          failures = 0;
          if (type === "BOOKMARK") continue;
          for (const changed of [...listeners]) changed();
        }
      } catch (error) {
        if (!signal.aborted)
          log.debug("watch failed", { kind: kind.plural, name, error: messageOf(error) });
      }
      const waitMs = backoffMs(failures, limits.relistBackoffMsMin, limits.relistBackoffMsMax);
      await sleep(clock, waitMs, signal);
    }
  }
}

export function createObjectSource(options: ObjectsOptions): ObjectSource {
  return new WatchedObjects(options);
}
