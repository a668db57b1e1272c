/**
 * What the caches of a node showed last, kept in its vault: after a power cut far from the server
 * the node goes on from it. A change of a status alone, as pods have many, is not written.
 */
import type { Vault } from "#agents/offline/vault.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { CacheMemory } from "#client/cache.types.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";

export interface MemoryOptions {
  vault: Vault;
  clock: Clock;
  log: Log;
}

export interface KeptMemory extends CacheMemory {
  /** Writes what waits. */
  close(): void;
}

/** What makes an object worth another write: all but its status and revision; and how a pod ended. */
function essence(object: ApiObject): string {
  const { status, metadata, ...rest } = object as ApiObject & { status?: { phase?: unknown } };
  const { resourceVersion: _, managedFields: __, ...kept } = metadata ?? {};
  const phase = status?.phase;
  const over = phase === "Succeeded" || phase === "Failed" ? phase : "";
  return JSON.stringify([rest, kept, over]);
}

export function createMemory({ vault, clock, log }: MemoryOptions): KeptMemory {
  const timers = new Map<string, Cancel>();
  const waiting = new Map<string, () => ReadonlyArray<ApiObject>>();
  /** Of what is on the disk, by cache. */
  const written = new Map<string, string>();
  /**
   * When the writes so far are paid for, by cache: cards die of many writes, so what changes all
   * the time is written now and then, and a few changes at once.
   */
  const paidMs = new Map<string, number>();

  /** Unused time counts for a few writes only. */
  function paidOf(id: string): number {
    const oldestMs = clock.monotonic() - limits.memoryBurst * limits.memorySpacingMs;
    return Math.max(paidMs.get(id) ?? Number.NEGATIVE_INFINITY, oldestMs);
  }

  const delayOf = (id: string): number =>
    Math.max(limits.memoryDelayMs, paidOf(id) + limits.memorySpacingMs - clock.monotonic());

  function write(id: string): void {
    const objects = waiting.get(id)?.() ?? [];
    timers.delete(id);
    waiting.delete(id);
    const now = Bun.hash(objects.map(essence).join("\n")).toString(36);
    if (written.get(id) === now) return;
    try {
      vault.write(`cache ${id}`, JSON.stringify(objects));
      written.set(id, now);
      paidMs.set(id, paidOf(id) + limits.memorySpacingMs);
    } catch (error) {
      log.warn("the node's memory was not written", { cache: id, error: messageOf(error) });
    }
  }

  return {
    load(id) {
      const text = vault.read(`cache ${id}`);
      if (text === undefined) return undefined;
      const objects = JSON.parse(text) as Array<Stored<ApiObject>>;
      written.set(id, Bun.hash(objects.map(essence).join("\n")).toString(36));
      return objects;
    },
    keep(id, objects) {
      waiting.set(id, objects);
      if (timers.has(id)) return;
      timers.set(
        id,
        clock.after(delayOf(id), () => write(id)),
      );
    },
    close() {
      for (const [id, cancel] of [...timers]) {
        cancel();
        write(id);
      }
    },
  };
}
