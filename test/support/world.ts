/**
 * A cluster's objects in memory with the rules of the API that plans rely on (generation,
 * finalizers, uids, defaults), for tests of plans: controllers read it as caches, and their actions
 * change it at once.
 */
import { must } from "#base/assert.ts";
import type { Cache, Caches } from "#client/cache.types.ts";
import type { Action, Controller } from "#client/controller.ts";
import { Items } from "#client/items.ts";
import { apiVersionOf, type Kind, resourceOf } from "#resources/kind.ts";
import { type ApiObject, keyOf, refKey, type Stored } from "#resources/meta.ts";

type Doc = Stored & { spec?: unknown; status?: unknown };

export class Refused extends Error {
  readonly action: Action;
  readonly code: number;
  readonly reason: string;
  constructor(action: Action, code: number, reason: string, message: string = reason) {
    super(message);
    this.action = action;
    this.code = code;
    this.reason = reason;
  }
}

function merge(into: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base = typeof into === "object" && into !== null && !Array.isArray(into) ? into : {};
  const out: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else out[key] = merge(out[key], value);
  }
  return out;
}

/** What a deletion leaves for the garbage controller. */
const MARKS: Readonly<Record<string, string | undefined>> = {
  Foreground: "foregroundDeletion",
  Orphan: "orphan",
};

interface OwnerPatch {
  uid: string;
  $patch?: string;
}

const TAKE = "$deleteFromPrimitiveList/finalizers";

/** Of strategic merge only what plans use: owner references by uid, finalizers taken away. */
function strategic(
  object: Doc,
  patch: { metadata?: { ownerReferences?: OwnerPatch[]; [TAKE]?: string[] } },
): Doc {
  let owners = [...(object.metadata.ownerReferences ?? [])];
  for (const one of patch.metadata?.ownerReferences ?? []) {
    owners = owners.filter((owner) => owner.uid !== one.uid);
    if (one.$patch !== "delete") owners.push(one as (typeof owners)[number]);
  }
  const taken = patch.metadata?.[TAKE] ?? [];
  const finalizers = (object.metadata.finalizers ?? []).filter((name) => !taken.includes(name));
  const { ownerReferences: _, finalizers: __, ...metadata } = object.metadata;
  return {
    ...object,
    metadata: {
      ...metadata,
      ...(owners.length > 0 && { ownerReferences: owners }),
      ...(finalizers.length > 0 && { finalizers }),
    },
  };
}

export class World {
  readonly #kinds = new Map<string, Items<ApiObject>>();
  /** Milliseconds; tests move it. */
  now = Date.UTC(2026, 0, 1);
  /** Deleted pods stay, with a deletionTimestamp, until the test finishes them. */
  gracefulPods = false;
  /** Called before each action; throws `Refused` to refuse it. */
  gate: ((action: Action) => void) | undefined;
  readonly events: string[] = [];
  writes = 0;
  #revision = 0;

  items<T extends ApiObject>(kind: Kind<T>): Items<T> {
    const id = resourceOf(kind);
    let items = this.#kinds.get(id);
    if (items === undefined) {
      items = new Items<ApiObject>();
      this.#kinds.set(id, items);
    }
    return items as Items<ApiObject> & Items<T>;
  }

  get<T extends ApiObject>(kind: Kind<T>, key: string): Stored<T> | undefined {
    return this.items(kind).get(key);
  }

  list<T extends ApiObject>(kind: Kind<T>): ReadonlyArray<Stored<T>> {
    return this.items(kind).list(undefined);
  }

  /** Creates, or replaces what is there, with defaults as the API sets them. */
  put<T extends ApiObject>(kind: Kind<T>, object: T): Stored<T> {
    const doc = structuredClone(object) as T & Doc;
    kind.defaults(doc);
    const key = refKey(must(doc.metadata, "metadata"));
    const old = this.get(kind, key) as Doc | undefined;
    const changed = JSON.stringify(old?.spec) !== JSON.stringify(doc.spec);
    const generation = (old?.metadata.generation ?? 0) + Number(changed);
    const made: T & Doc = {
      ...doc,
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      metadata: {
        ...doc.metadata,
        uid: old?.metadata.uid ?? doc.metadata.uid ?? `uid-${++this.#revision}`,
        creationTimestamp:
          old?.metadata.creationTimestamp ?? doc.metadata.creationTimestamp ?? this.time(),
        resourceVersion: String(++this.#revision),
        ...(kind.generation && { generation }),
      },
    };
    this.items(kind).set(key, made as unknown as Stored<T>);
    return made as unknown as Stored<T>;
  }

  /** Changes an object as another client would. */
  change<T extends ApiObject>(kind: Kind<T>, key: string, patch: object): void {
    const old = must(this.get(kind, key), `${kind.plural} ${key}`);
    this.put(kind, merge(old, patch) as T);
  }

  remove(kind: Kind, key: string): void {
    this.items(kind).set(key, undefined);
  }

  time(): string {
    return `${new Date(this.now).toISOString().slice(0, 19)}Z`;
  }

  readonly caches: Caches = {
    of: <T extends ApiObject>(kind: Kind<T>): Cache<T> => {
      const items = this.items(kind);
      return {
        get: (key) => items.get(key),
        list: (namespace) => items.list(namespace),
        holds: (namespace) => items.holds(namespace),
        indexed: (index, value) => items.indexed(index, value),
        count: (namespace) => items.count(namespace),
        sums: (tally, at) => items.sums(tally, at),
        position: "",
        onChange: () => () => {},
        seen: () => true,
        synced: true,
        whenSynced: () => Promise.resolve(),
        refresh: () => false,
        renew: () => Promise.resolve(),
      };
    },
    metadataOf: (kind) => this.caches.of(kind),
    drop: () => {},
    renew: () => Promise.resolve(),
    stop: () => {},
  };

  apply(action: Action): void {
    this.gate?.(action);
    if (action.do === "event") {
      this.events.push(`${action.type} ${action.reason}: ${action.message}`);
      return;
    }
    this.writes++;
    if (action.do === "create") this.#create(action);
    if (action.do === "delete") this.#delete(action);
    if (action.do === "deleteAll") {
      for (const one of this.items(action.kind).list(action.namespace)) {
        if (one.metadata.deletionTimestamp !== undefined) continue;
        this.#delete({ do: "delete", kind: action.kind, ref: one.metadata });
      }
    }
    if (action.do === "patch") this.#patch(action);
    if (action.do === "update") {
      const key = refKey(must(action.object.metadata as Doc["metadata"], "metadata"));
      this.put(action.kind, { ...this.get(action.kind, key), ...action.object });
    }
  }

  #create(action: Action & { do: "create" }): void {
    const { kind, object } = action;
    const { generateName = "", namespace, name } = must(object.metadata, "metadata");
    const whole = name ?? `${generateName}${++this.#revision}`;
    const key = refKey({ namespace, name: whole });
    if (this.get(kind, key) === undefined) {
      this.put(kind, { ...object, metadata: { ...object.metadata, name: whole } });
    } else if (!action.ignoreExists) {
      throw new Refused(action, 409, "AlreadyExists");
    }
  }

  #delete({ kind, ref, options }: Action & { do: "delete" }): void {
    const key = refKey(ref);
    const old = this.get(kind, key);
    if (old === undefined || (options?.uid && options.uid !== old.metadata.uid)) return;
    const mark = MARKS[options?.propagationPolicy ?? "Background"];
    const finalizers = [...(old.metadata.finalizers ?? []), ...(mark === undefined ? [] : [mark])];
    const graceful = kind.kind === "Pod" && this.gracefulPods && options?.gracePeriodSeconds !== 0;
    if (finalizers.length === 0 && !graceful) {
      this.remove(kind, key);
      return;
    }
    const metadata = { ...old.metadata, deletionTimestamp: this.time() };
    if (finalizers.length > 0) metadata.finalizers = [...new Set(finalizers)];
    this.put(kind, { ...old, metadata });
  }

  #patch(action: Action & { do: "patch" }): void {
    const { kind, type, body, options } = action;
    const old = this.get(kind, refKey(action.ref)) as Doc | undefined;
    if (old === undefined) throw new Refused(action, 404, "NotFound");
    const { uid, resourceVersion } = old.metadata;
    const asked = { uid, resourceVersion, ...(body as { metadata?: object }).metadata };
    if (asked.uid !== uid || asked.resourceVersion !== resourceVersion)
      throw new Refused(action, 409, "Conflict");
    const next = type === "strategic" ? strategic(old, body as object) : (merge(old, body) as Doc);
    const metadata = { ...next.metadata, resourceVersion: old.metadata.resourceVersion };
    if (options?.subresource === "status") {
      const { annotations } = metadata;
      const kept = { ...old.metadata, ...(annotations !== undefined && { annotations }) };
      this.put(kind, { ...old, status: next.status, metadata: kept } as Doc);
    } else this.put(kind, { ...next, status: old.status, metadata } as Doc);
    const after = this.get(kind, refKey(action.ref));
    if (after?.metadata.deletionTimestamp && !after.metadata.finalizers?.length) {
      if (kind.kind !== "Pod" || !this.gracefulPods) this.remove(kind, keyOf(after));
    }
  }

  /** One run of a controller for a key. Answers how many actions it took, events apart. */
  run<S>(controller: Controller<S>, key: string, seed = 0.5): number {
    const world = { caches: this.caches, now: this.now, random: () => seed };
    const state = controller.read(key, world);
    if (state === undefined) return 0;
    const { actions } = controller.plan(state, this.now);
    try {
      for (const action of actions) this.apply(action);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { action, code, reason, message } = error;
      const told = controller.failed?.(state, { action, code, reason, message }, this.now) ?? [];
      for (const one of told) this.apply(one);
    }
    return actions.filter((action) => action.do !== "event").length;
  }

  /**
   * Runs controllers over all their keys until nothing is left to do. Answers the rounds it took.
   */
  settle(controllers: ReadonlyArray<Controller<unknown>>, roundsMax = 50): number {
    for (let round = 0; round < roundsMax; round++) {
      let actions = 0;
      for (const controller of controllers) {
        for (const key of [...this.items(controller.kind).keys()]) {
          actions += this.run(controller, key, ((round + 1) * 0.6180339887) % 1);
        }
      }
      if (actions === 0) return round;
    }
    throw new Error(`not settled after ${roundsMax} rounds`);
  }
}
