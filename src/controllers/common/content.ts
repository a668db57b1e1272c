/** Every kind whose objects are stored, custom ones included. */
import type { Caches } from "#client/cache.types.ts";
import { defineKind, type Kind } from "#resources/kind.ts";
import { customResourceDefinitions } from "#resources/kinds/customresourcedefinition.ts";
import { kinds } from "#resources/kinds.ts";
import type { Stored } from "#resources/meta.ts";
import type { CustomResourceDefinition } from "#resources/types.gen.ts";

const canHold = (kind: Kind): boolean =>
  kind.storedAs === undefined &&
  !kind.verbsLeftOut.includes("list") &&
  !kind.verbsLeftOut.includes("delete");

const builtIn: readonly Kind[] = kinds.filter(canHold);

/** A definition's kind, made once: callers compare kinds by identity. */
const made = new WeakMap<object, Kind>();

function customKind(definition: Stored<CustomResourceDefinition>): Kind | undefined {
  const { spec, status } = definition;
  const established = status?.conditions?.some(
    ({ type, status: is }) => type === "Established" && is === "True",
  );
  const version = spec.versions.find((one) => one.storage)?.served
    ? spec.versions.find((one) => one.storage)
    : spec.versions.find((one) => one.served);
  if (!established || version === undefined) return undefined;
  let kind = made.get(definition);
  if (kind === undefined) {
    kind = defineKind({
      group: spec.group,
      version: version.name,
      kind: spec.names.kind,
      plural: spec.names.plural,
      namespaced: spec.scope === "Namespaced",
      schema: {},
    });
    made.set(definition, kind);
  }
  return kind;
}

/** By the list of definitions, which a cache keeps until one changes. */
const known = new WeakMap<object, readonly Kind[]>();

export function contentKinds(caches: Caches): readonly Kind[] {
  const custom = caches.of(customResourceDefinitions).list();
  let all = known.get(custom);
  if (all === undefined) {
    all = [...builtIn, ...custom.flatMap((definition) => customKind(definition) ?? [])];
    known.set(custom, all);
  }
  return all;
}
