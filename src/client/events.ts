/**
 * Events about objects, counted instead of repeated and combined when alike, as client-go's
 * recorder does. Sending never holds up nor fails the work that it tells of.
 */

import { keepNewest } from "#base/bounded.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { type Client, isNotFound } from "#client/client.ts";
import { events } from "#resources/kinds/event.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { Event, ObjectReference } from "#resources/types.gen.ts";

export interface EventNote {
  /** Needs apiVersion, kind and metadata. `fieldPath` as in ObjectReference, for a container. */
  about: ApiObject;
  fieldPath?: string;
  type: "Normal" | "Warning";
  reason: string;
  message: string;
}

export interface Recorder {
  record(note: EventNote): void;
  /** Resolves when all that was recorded so far is sent or given up. */
  idle(): Promise<void>;
}

export interface RecorderOptions {
  client: Client;
  clock: Clock;
  log: Log;
  /** Who tells it: `deployment-controller`, `kubelet`. */
  component: string;
  /** The node, when a node tells it. */
  host?: string;
}

interface Known {
  namespace: string;
  name: string;
  count: number;
}

interface Similar {
  messages: Set<string>;
  sinceMs: number;
}

/** A map that forgets what was used longest ago. */
class Recent<V> {
  readonly #map = new Map<string, V>();

  take(key: string): V | undefined {
    const value = this.#map.get(key);
    if (value === undefined) return undefined;
    this.#map.delete(key);
    this.#map.set(key, value);
    return value;
  }

  put(key: string, value: V): void {
    this.#map.delete(key);
    this.#map.set(key, value);
    keepNewest(this.#map, limits.eventKeysMax);
  }
}

function referenceTo(note: EventNote): ObjectReference {
  const { about, fieldPath } = note;
  const { namespace, name, uid, resourceVersion } = about.metadata ?? {};
  return {
    ...(about.kind && { kind: about.kind }),
    ...(about.apiVersion && { apiVersion: about.apiVersion }),
    ...(namespace && { namespace }),
    ...(name && { name }),
    ...(uid && { uid }),
    ...(resourceVersion && { resourceVersion }),
    ...(fieldPath && { fieldPath }),
  };
}

const subjectOf = ({ about, fieldPath = "" }: EventNote): string => {
  const m = about.metadata;
  return compoundKey(about.kind, m?.namespace, m?.name, m?.uid, fieldPath);
};

class EventRecorder implements Recorder {
  readonly #options: RecorderOptions;
  readonly #sent = new Recent<Known>();
  readonly #similar = new Recent<Similar>();
  readonly #buckets = new Recent<{ tokens: number; atMs: number }>();
  readonly #queue: EventNote[] = [];
  #sending: Promise<void> | undefined;
  #counter = 0;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  record(note: EventNote): void {
    if (this.#queue.length >= limits.eventQueueMax || !this.#admitted(note)) return;
    this.#queue.push(note);
    this.#sending ??= this.#drain();
  }

  idle(): Promise<void> {
    return this.#sending ?? Promise.resolve();
  }

  /** A token bucket for each subject: a loop that fails fast does not fill the store. */
  #admitted(note: EventNote): boolean {
    const nowMs = this.#options.clock.monotonic();
    const key = subjectOf(note);
    const bucket = this.#buckets.take(key) ?? { tokens: limits.eventBurstMax, atMs: nowMs };
    const refilled = bucket.tokens + (nowMs - bucket.atMs) / limits.eventRefillMs;
    const tokens = Math.min(limits.eventBurstMax, refilled);
    this.#buckets.put(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs });
    return tokens >= 1;
  }

  /** The note itself, or the combined one when too many differ only in their message. */
  #combined(note: EventNote): EventNote & { key: string } {
    const group = compoundKey(subjectOf(note), note.type, note.reason);
    const nowMs = this.#options.clock.monotonic();
    let seen = this.#similar.take(group);
    if (seen === undefined || nowMs - seen.sinceMs > limits.eventSimilarWindowMs) {
      seen = { messages: new Set(), sinceMs: nowMs };
      this.#similar.put(group, seen);
    }
    const known = seen.messages.has(note.message);
    if (!known && seen.messages.size >= limits.eventSimilarMax) {
      const message = `(combined from similar events): ${note.message}`;
      return { ...note, message, key: group };
    }
    seen.messages.add(note.message);
    return { ...note, key: compoundKey(group, note.message) };
  }

  /** Counts an event that was sent before. False where it is there no more. */
  async #again(key: string, message: string, now: string): Promise<boolean> {
    const known = this.#sent.take(key);
    if (known === undefined) return false;
    const count = known.count + 1;
    const ref = { namespace: known.namespace, name: known.name };
    try {
      const body = { count, lastTimestamp: now, message };
      await this.#options.client.patch(events, ref, "merge", body);
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
    this.#sent.put(key, { ...known, count });
    return true;
  }

  async #send(note: EventNote): Promise<void> {
    const { client, clock, component, host } = this.#options;
    const { key, message } = this.#combined(note);
    const nowMs = clock.now();
    const now = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
    if (await this.#again(key, message, now)) return;
    const reference = referenceTo(note);
    const namespace = reference.namespace ?? "default";
    const stamp = ((BigInt(nowMs) << 20n) + BigInt(this.#counter++ % 0x100000)).toString(16);
    const event: Event = {
      metadata: { name: `${reference.name}.${stamp}`, namespace },
      involvedObject: reference,
      type: note.type,
      reason: note.reason,
      message,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component, ...(host && { host }) },
      reportingComponent: component,
      reportingInstance: host ?? "",
    };
    const made = await client.create(events, event);
    this.#sent.put(key, { namespace, name: made.metadata.name, count: 1 });
  }

  async #drain(): Promise<void> {
    const { log } = this.#options;
    for (let note = this.#queue.shift(); note !== undefined; note = this.#queue.shift()) {
      try {
        await this.#send(note);
      } catch (error) {
        log.debug("an event was not recorded", { reason: note.reason, error: messageOf(error) });
      }
    }
    this.#sending = undefined;
  }
}

export const createRecorder = (options: RecorderOptions): Recorder => new EventRecorder(options);
