/**
 * What the API must know of a kind that its schema cannot say. Adding a kind: one file in `kinds/`
 * and one line in `kinds.ts`; routes, discovery, OpenAPI, tables and typed clients follow.
 */
import type { Cause } from "#resources/field.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { Schema } from "#resources/schema.ts";

/** One column of `kubectl get`. Priority 0 is always shown, 1 with `-o wide`. */
export interface Column<T> {
  name: string;
  type?: "string" | "integer" | "number" | "boolean" | "date";
  format?: string;
  priority?: 0 | 1;
  /** The cell; `now` in milliseconds, for ages. */
  cell(object: T, now: number): string | number | boolean | null;
}

/** Where the scale subresource finds its numbers (autoscaling/v1 Scale). */
export interface ScalePaths {
  specReplicas: string;
  statusReplicas: string;
  /** Serialized selector (custom resources) or LabelSelector (built-in kinds). */
  selector?: string;
}

/** Whoever makes a request. */
export interface Requester {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface Kind<T extends ApiObject = ApiObject> {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Name of the definition in the generated table, or a custom resource's own schema. */
  readonly schema: string | Schema;
  /** What a client is warned of with every request. */
  readonly deprecation?: string;
  /** Verbs that the resource does not serve; all others it does. */
  readonly verbsLeftOut: readonly string[];
  readonly subresources: {
    readonly status: boolean;
    readonly scale?: ScalePaths;
  };
  /** Count spec changes in metadata.generation. */
  readonly generation: boolean;
  readonly columns: ReadonlyArray<Column<T>>;
  /** Sets defaults in place, when written and never when read. */
  defaults(object: T): void;
  /**
   * Sets what a client may not choose, before validation; `old` on update. `by` is who asks, where
   * the object tells of it; left out, nobody does.
   */
  prepare(object: T, old: T | undefined, by?: Requester): void;
  /**
   * Checks what the schema cannot; `old` on update, for immutable fields. `subresource` is the way
   * that an update came ("" for the object itself): what a pod may change differs by it. Left out,
   * every way counts.
   */
  validate(object: T, old: T | undefined, subresource?: string): Cause[];
  /** What its author should know of a valid object; `old` on update. */
  warnings?(object: T, old: T | undefined): string[];
  /** What is checked of a valid object by rules that may take long: others have their turn. */
  rules?(object: T, old: T | undefined): Promise<Cause[]>;
  /** Names that one object of the cluster may hold at a time, as `ip/10.43.0.1`. */
  claims?(object: T): string[];
  /** Field selectors beyond metadata.name and metadata.namespace. */
  fields(object: T): Record<string, string>;
  /** Checks a name; default: DNS-1123 subdomain. */
  readonly nameRule: "subdomain" | "label" | "label1035" | "path";
  /** Seconds that a deletion waits for a node's agent; undefined deletes at once. Pods only. */
  gracePeriodSeconds?(object: T): number | undefined;
  /**
   * Another served version of a kind that is stored elsewhere: conversion both ways.
   * Example: events.k8s.io/v1 Event, stored as core/v1 Event.
   */
  readonly storedAs?: {
    readonly group: string;
    readonly version: string;
    toStored(object: T): ApiObject;
    fromStored(object: ApiObject): T;
    /** Field selectors that have another name in the stored version, by their name in this one. */
    readonly fieldNames?: Readonly<Record<string, string>>;
  };
}

export type KindSpec<T extends ApiObject> = Pick<
  Kind<T>,
  "group" | "version" | "kind" | "plural" | "namespaced" | "schema"
> &
  Partial<Kind<T>>;

/** A kind with everything left out set to what most kinds do. */
export function defineKind<T extends ApiObject>(spec: KindSpec<T>): Kind<T> {
  return {
    singular: spec.kind.toLowerCase(),
    listKind: `${spec.kind}List`,
    shortNames: [],
    categories: [],
    verbsLeftOut: [],
    subresources: { status: false },
    generation: false,
    columns: [],
    defaults: () => {},
    prepare: () => {},
    validate: () => [],
    fields: () => ({}),
    nameRule: "subdomain",
    ...spec,
  };
}

export const apiVersionOf = (kind: Pick<Kind, "group" | "version">): string =>
  kind.group === "" ? kind.version : `${kind.group}/${kind.version}`;

/** `deployments.apps`, or `pods` of the core group. */
export const resourceOf = (kind: Pick<Kind, "group" | "plural">): string =>
  kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
