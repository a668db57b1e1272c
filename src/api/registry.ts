/**
 * The resources that are served now: the built-in kinds, and those of custom resource definitions.
 */
import { bucketOf } from "#api/codec.ts";
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import type { ApiObject } from "#resources/meta.ts";
import { definitions, type Schema } from "#resources/schema.ts";

/** One kind with what the API works out of it once. */
export interface Resource {
  readonly kind: Kind;
  /** `apps/deployments`: the first two segments of the store's keys. */
  readonly bucket: string;
  readonly apiVersion: string;
  readonly schema: Schema;
  /** The version that is stored; itself for most. */
  readonly stored: Resource;
  /** Made by a custom resource definition. */
  readonly custom: boolean;
  /** Field labels that selectors may use. */
  readonly fields: ReadonlySet<string>;
  /** Sent as a warning with every answer. */
  readonly deprecation?: string;
  /** Older objects may lack what is a default now: it is set when they are read. */
  readonly defaultsOnRead?: boolean;
  /** Objects of other versions must be converted by it. */
  readonly convert?: Convert;
}

/** Turns objects of any version into those of one. @throws ApiError 500. */
export type Convert = (
  objects: readonly ApiObject[],
  apiVersion: string,
) => Promise<readonly ApiObject[]>;

function fieldsOf(kind: Kind): Set<string> {
  const names = new Set(["metadata.name"]);
  if (kind.namespaced) names.add("metadata.namespace");
  for (const name of Object.keys(kind.fields({}))) names.add(name);
  return names;
}

type Extra = Pick<Resource, "deprecation" | "defaultsOnRead" | "convert">;

function makeResource(
  kind: Kind,
  stored: Resource | undefined,
  custom: boolean,
  extra: Extra = {},
): Resource {
  const schema = typeof kind.schema === "string" ? definitions()[kind.schema] : kind.schema;
  const base = {
    kind,
    bucket: bucketOf(kind),
    apiVersion: apiVersionOf(kind),
    schema: schema ?? {},
    custom,
    fields: fieldsOf(kind),
    ...(kind.deprecation !== undefined && { deprecation: kind.deprecation }),
    ...extra,
  };
  if (stored !== undefined) return { ...base, stored };
  const self: Resource = {
    ...base,
    get stored() {
      return self;
    },
  };
  return self;
}

/** A resource that is only read from bodies, never stored: Scale, Eviction, TokenRequest. */
export const describe = (kind: Kind): Resource => makeResource(kind, undefined, false);

const pathKey = (group: string, version: string, plural: string): string =>
  `${group}/${version}/${plural}`;

/** One version of a custom resource. */
export interface CustomVersion {
  readonly kind: Kind;
  readonly served: boolean;
  readonly storage: boolean;
  readonly deprecation: string | undefined;
  readonly hasDefaults: boolean;
  readonly convert?: Convert | undefined;
}

export interface Registry {
  find(group: string, version: string, plural: string): Resource | undefined;
  /** The stored version of whatever has this bucket. */
  byBucket(bucket: string): Resource | undefined;
  /** By kind, in whichever version comes first. */
  byKind(group: string, kind: string): Resource | undefined;
  all(): Iterable<Resource>;
  /** Returns the first of the names that a built-in kind of the group uses. */
  builtIn(group: string, words: readonly string[]): string | undefined;
  /** Replaces everything that `owner` (a definition's name) brought before. */
  replace(owner: string, versions: readonly CustomVersion[]): void;
  /** Calls back after each change; answers how to end that. */
  onChange(listener: () => void): () => void;
  /** Grows with every change. */
  readonly generation: number;
}

export function createRegistry(kinds: readonly Kind[]): Registry {
  const paths = new Map<string, Resource>();
  const buckets = new Map<string, Resource>();
  const owned = new Map<string, Resource[]>();
  const listeners = new Set<() => void>();
  let generation = 0;

  const put = (resource: Resource): void => {
    const { group, version, plural } = resource.kind;
    paths.set(pathKey(group, version, plural), resource);
  };

  function addCustom(versions: readonly CustomVersion[]): Resource[] {
    const added: Resource[] = [];
    const stored = versions.find((version) => version.storage);
    if (stored === undefined) return added;
    const make = (version: CustomVersion, of?: Resource): Resource => {
      const { kind, deprecation, hasDefaults, convert } = version;
      const extra = {
        defaultsOnRead: hasDefaults,
        ...(deprecation !== undefined && { deprecation }),
        ...(convert !== undefined && { convert }),
      };
      const resource = makeResource(kind, of, true, extra);
      added.push(resource);
      return resource;
    };
    const base = make(stored);
    buckets.set(base.bucket, base);
    if (stored.served) put(base);
    for (const version of versions) {
      if (version.served && !version.storage) put(make(version, base));
    }
    return added;
  }

  for (const kind of kinds.filter((each) => each.storedAs === undefined)) {
    const resource = makeResource(kind, undefined, false);
    buckets.set(resource.bucket, resource);
    put(resource);
  }
  for (const kind of kinds.filter((each) => each.storedAs !== undefined)) {
    put(makeResource(kind, buckets.get(bucketOf(kind)), false));
  }
  return {
    find: (group, version, plural) => paths.get(pathKey(group, version, plural)),
    byBucket: (bucket) => buckets.get(bucket),
    byKind: (group, name) => {
      for (const resource of paths.values()) {
        if (resource.kind.group === group && resource.kind.kind === name) return resource;
      }
      return undefined;
    },
    all: () => paths.values(),
    builtIn: (group, words) => {
      const own = kinds
        .filter((each) => each.group === group)
        .flatMap(({ kind, plural, singular, shortNames }) => [
          kind,
          plural,
          singular,
          ...shortNames,
        ]);
      return words.find((word) => own.includes(word));
    },
    replace: (owner, versions) => {
      for (const { kind, bucket } of owned.get(owner) ?? []) {
        paths.delete(pathKey(kind.group, kind.version, kind.plural));
        buckets.delete(bucket);
      }
      owned.delete(owner);
      if (versions.length > 0) owned.set(owner, addCustom(versions));
      generation += 1;
      for (const listener of [...listeners]) listener();
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get generation() {
      return generation;
    },
  };
}
