/**
 * The shape of every loop: data, not code. `read` gathers what is, `plan` decides (pure), the
 * actions are applied by `apply.ts`, queue, retries and timers are `loop.ts`. Which event woke it
 * is not told.
 */
import type { CacheChange, Caches } from "#client/cache.types.ts";
import type { Client, DeleteOptions, PatchType, WriteOptions } from "#client/client.ts";
import type { Kind } from "#resources/kind.ts";
import type { ApiObject, Ref, Stored } from "#resources/meta.ts";
import type { Json } from "#resources/types.gen.ts";

export type Action =
  | { do: "create"; kind: Kind; object: ApiObject; options?: WriteOptions; ignoreExists?: boolean }
  | { do: "update"; kind: Kind; object: ApiObject; options?: WriteOptions }
  | { do: "patch"; kind: Kind; ref: Ref; type: PatchType; body: Json; options?: WriteOptions }
  | { do: "delete"; kind: Kind; ref: Ref; options?: DeleteOptions }
  | { do: "deleteAll"; kind: Kind; namespace: string; options?: DeleteOptions }
  | { do: "post"; kind: Kind; ref: Ref; subresource: string; body: object }
  | { do: "event"; about: ApiObject; type: "Normal" | "Warning"; reason: string; message: string };

export interface Plan {
  /** Applied in order; the first failure ends the run and the key is tried again with back-off. */
  actions: readonly Action[];
  /** Look again after this many milliseconds, whatever happens in between. */
  againMs?: number;
  /** Other keys to look at: what is refused for one of them holds up no other. */
  wake?: readonly string[];
}

export interface Trigger<T extends ApiObject = ApiObject> {
  kind: Kind<T>;
  /**
   * Keys of the root kind that this object concerns; for a change: those of before and of after.
   */
  keys(object: Stored<T>, caches: Caches): readonly string[];
  /** The part of the kind to look at; default: all. */
  query?: { fieldSelector?: string; labelSelector?: string; namespace?: string };
  /** Look at metadata only: any cache of the kind will do. */
  metadataOnly?: boolean;
  /** False for a change that no plan looks at (a heartbeat): it wakes nobody. */
  changed?(change: CacheChange<T>): boolean;
}

export interface World {
  readonly caches: Caches;
  /** Wall clock, milliseconds. */
  readonly now: number;
  /** A fresh random name suffix, uuid or number in [0,1), drawn outside of the pure plan. */
  readonly random: () => number;
}

/** An action that the API refused, and why. */
export interface Failure {
  readonly action: Action;
  readonly code: number;
  readonly reason: string;
  readonly message: string;
}

export interface Controller<State> {
  readonly name: string;
  /** The root kind: one key, one run at a time. */
  readonly kind: Kind;
  /** The part of the root kind to look at (a node looks at its own pods); default: all. */
  readonly query?: { fieldSelector?: string; labelSelector?: string; namespace?: string };
  /** Keys of an object of the root kind. Default: its own. */
  keys?(object: Stored, caches: Caches): readonly string[];
  /** As in a trigger, for the root kind. */
  changed?(change: CacheChange<ApiObject>): boolean;
  readonly triggers: readonly Trigger[];
  /** Called once at the start, to listen to kinds that come and go (custom resources). */
  grow?(caches: Caches, listen: (trigger: Trigger) => () => void): void;
  /** What is, for one key; undefined: nothing to do. Reads caches only. */
  read(key: string, world: World): State | undefined;
  /** Asks the API for what caches cannot tell for sure (that nothing is left), after `read`. */
  confirm?(state: State, client: Client): Promise<State>;
  /** What to do about it. */
  plan(state: State, now: number): Plan;
  /**
   * What to tell about an action that the API refused (events, a condition); then the key is tried
   * again.
   */
  failed?(state: State, failure: Failure, now: number): readonly Action[];
  /** Runs at once for different keys. Default 4. */
  readonly parallel?: number;
  /**
   * Least time from a run of a key to the next one, milliseconds; a function says it after each
   * run. Default `limits.controllerSpacingMs`.
   */
  readonly spacingMs?: number | ((caches: Caches) => number);
}

/** Keeps the type of each trigger's object while the array forgets it. */
export function trigger<T extends ApiObject>(
  kind: Kind<T>,
  keys: (object: Stored<T>, caches: Caches) => readonly string[],
  more: Omit<Trigger<T>, "kind" | "keys"> = {},
): Trigger {
  const made: Trigger<T> = { kind, keys, ...more };
  return made;
}
