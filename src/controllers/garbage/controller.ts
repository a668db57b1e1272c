import type { CacheChange, Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import { type Controller, type Trigger, trigger } from "#client/controller.ts";
import {
  concerned,
  dependentsOf,
  graphKinds,
  idOf,
  ownerPlace,
  parseId,
  stateOf,
} from "#controllers/garbage/graph.ts";
import { type Owner, plan, type State } from "#controllers/garbage/plan.ts";
import type { Kind } from "#resources/kind.ts";
import { customResourceDefinitions } from "#resources/kinds/customresourcedefinition.ts";
import { type ApiObject, keyRef } from "#resources/meta.ts";
import type { OwnerReference } from "#resources/types.gen.ts";

interface Doubt {
  ref: OwnerReference;
  kind: Kind;
  key: string;
}

interface Reading extends State {
  /** Owners that the caches do not show: the API is asked before anything is deleted. */
  doubts: readonly Doubt[];
}

const same = (a: readonly unknown[] = NONE, b: readonly unknown[] = NONE): boolean =>
  (a.length === 0 && b.length === 0) || JSON.stringify(a) === JSON.stringify(b);

const NONE: readonly unknown[] = [];

function isRewired({ before, after }: CacheChange<ApiObject>): boolean {
  if (before === undefined || after === undefined) return true;
  const [was, is] = [before.metadata, after.metadata];
  return (
    was.uid !== is.uid ||
    (was.deletionTimestamp === undefined) !== (is.deletionTimestamp === undefined) ||
    !same(was.ownerReferences, is.ownerReferences) ||
    !same(was.finalizers, is.finalizers)
  );
}

function listenTo(kind: Kind): Trigger {
  return trigger(kind, (object, caches) => concerned(kind, object, caches), {
    metadataOnly: true,
    changed: isRewired,
  });
}

/** Listens to all kinds, and to custom ones as they come and go. */
function grow(caches: Caches, listen: (trigger: Trigger) => () => void): void {
  const heard = new Map<string, { kind: Kind; end: () => void }>();
  const update = (): void => {
    const kinds = new Map(graphKinds(caches).map((kind) => [idOf(kind, kind.version), kind]));
    for (const [id, kind] of kinds) {
      if (!heard.has(id)) heard.set(id, { kind, end: listen(listenTo(kind)) });
    }
    for (const [id, { kind, end }] of heard) {
      if (kinds.has(id)) continue;
      end();
      caches.drop(kind);
      heard.delete(id);
    }
  };
  caches.of(customResourceDefinitions).onChange(update);
  update();
}

function read(id: string, caches: Caches): Reading | undefined {
  const place = parseId(id, caches);
  const object = place && caches.metadataOf(place.kind).get(place.key);
  if (place === undefined || object === undefined) return undefined;
  const { kind } = place;
  const owners: Owner[] = [];
  const doubts: Doubt[] = [];
  for (const ref of object.metadata.ownerReferences ?? []) {
    const at = ownerPlace(ref, kind, object.metadata.namespace, caches);
    if (at === undefined) {
      owners.push({ ref, is: "unknown" });
      continue;
    }
    const is = stateOf(caches.metadataOf(at.kind).get(at.key), ref);
    if (is === "absent") doubts.push({ ref, ...at });
    else owners.push({ ref, is });
  }
  const { uid, deletionTimestamp } = object.metadata;
  const asked = deletionTimestamp !== undefined || owners.some(({ is }) => is === "waiting");
  return { kind, object, owners, dependents: asked ? dependentsOf(uid, caches) : [], doubts };
}

async function ask(state: Reading, client: Client): Promise<Reading> {
  const answers = await Promise.all(
    state.doubts.map(async ({ ref, kind, key }): Promise<Owner> => {
      return { ref, is: stateOf(await client.get(kind, keyRef(key)), ref) };
    }),
  );
  return { ...state, owners: [...state.owners, ...answers], doubts: [] };
}

export const garbageController: Controller<Reading> = {
  name: "garbage",
  kind: customResourceDefinitions,
  keys: () => [],
  triggers: [],
  parallel: 16,
  grow,
  read: (id, { caches }) => read(id, caches),
  confirm: (state, client) =>
    state.doubts.length === 0 ? Promise.resolve(state) : ask(state, client),
  plan,
};
