/**
 * Custom resource definitions come to life: their kinds are served, their names are accepted, and
 * what they held goes with them.
 * https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/custom-resources/
 */

import type { MakePlugin } from "#api/admission.ts";
import { checkRules } from "#api/cel/rulecheck.ts";
import { validateRules } from "#api/cel/rules.ts";
import type { CelSchema } from "#api/cel/schema.ts";
import { followChanges } from "#api/changes.ts";
import { peek } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { timestamp } from "#api/core.ts";
import { converterOf } from "#api/custom/convert.ts";
import { kindsOf, type Rules } from "#api/custom/kind.ts";
import { deleteObject } from "#api/delete.ts";
import { internalCall } from "#api/ensure.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { sameJson } from "#api/json.ts";
import { metadataOf } from "#api/meta.ts";
import { updateObject } from "#api/write.ts";
import { must } from "#base/assert.ts";
import { messageOf } from "#base/errors.ts";
import type { Cause } from "#resources/field.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  CustomResourceDefinition,
  CustomResourceDefinitionCondition,
  CustomResourceDefinitionVersion,
} from "#resources/types.gen.ts";

type Definition = Stored<CustomResourceDefinition>;

const GROUP = "apiextensions.k8s.io";
const BUCKET = `${GROUP}/customresourcedefinitions`;
const PREFIX = `${BUCKET}/`;
const FINALIZER = "customresourcecleanup.apiextensions.k8s.io";

const bucketOf = ({ spec }: CustomResourceDefinition): string =>
  `${spec.group}/${spec.names.plural}`;

/** Sets a condition; its time changes only with its status. */
function setCondition(
  definition: CustomResourceDefinition,
  wanted: CustomResourceDefinitionCondition,
  now: string,
): void {
  definition.status ??= {};
  const before = definition.status.conditions ?? [];
  const old = before.find(({ type }) => type === wanted.type);
  const since = old?.status === wanted.status ? old.lastTransitionTime : now;
  const next = { ...wanted, ...(since && { lastTransitionTime: since }) };
  definition.status.conditions =
    old === undefined ? [...before, next] : before.map((each) => (each === old ? next : each));
}

const isTrue = (definition: CustomResourceDefinition, wanted: string): boolean =>
  (definition.status?.conditions ?? []).some(
    ({ type, status }) => type === wanted && status === "True",
  );

const wordsOf = ({ spec: { names } }: Definition): string[] => [
  ...[names.plural, names.singular, names.kind].filter((word) => word !== undefined),
  ...(names.shortNames ?? []),
];

/**
 * Returns a name that a built-in kind or another definition of the group uses. A built-in kind has
 * its own rules, and its objects are not the definition's.
 */
function conflictIn(
  { registry }: Core,
  definition: Definition,
  others: readonly Definition[],
): string | undefined {
  const { names, group } = definition.spec;
  const builtIn = registry.builtIn(group, wordsOf(definition));
  if (builtIn !== undefined) return `"${builtIn}" is already in use`;
  const rivals = others.filter(
    (other) =>
      other.metadata.name !== definition.metadata.name &&
      other.spec.group === group &&
      isTrue(other, "NamesAccepted"),
  );
  for (const { status } of rivals) {
    const taken = status?.acceptedNames;
    if (taken?.kind === names.kind) return `"${names.kind}" is already in use`;
    const words = new Set([taken?.plural, taken?.singular, ...(taken?.shortNames ?? [])]);
    const mine = [names.plural, names.singular, ...(names.shortNames ?? [])];
    const clash = mine.find((name) => name !== undefined && words.has(name));
    if (clash !== undefined) return `"${clash}" is already in use`;
  }
  return undefined;
}

/** Sets what the server says of a definition's names. */
function acceptNames(
  core: Core,
  definition: Definition,
  others: readonly Definition[],
  now: string,
): void {
  const conflict = conflictIn(core, definition, others);
  definition.status ??= {};
  if (conflict === undefined) {
    definition.status.acceptedNames = definition.spec.names;
    const message = "no conflicts found";
    setCondition(
      definition,
      { type: "NamesAccepted", status: "True", reason: "NoConflicts", message },
      now,
    );
    setCondition(
      definition,
      {
        type: "Established",
        status: "True",
        reason: "InitialNamesAccepted",
        message: "the initial names have been accepted",
      },
      now,
    );
    return;
  }
  definition.status.acceptedNames ??= { kind: "", plural: "" };
  setCondition(
    definition,
    { type: "NamesAccepted", status: "False", reason: "NamesConflict", message: conflict },
    now,
  );
  if (!isTrue(definition, "Established")) {
    setCondition(
      definition,
      {
        type: "Established",
        status: "False",
        reason: "NotAccepted",
        message: "not all names are accepted",
      },
      now,
    );
  }
}

function rulesOf({ schema }: CustomResourceDefinitionVersion): Rules {
  const root = schema?.openAPIV3Schema as CelSchema | undefined;
  return async (object, old) => (root === undefined ? [] : validateRules(root, object, old));
}

export class CustomResources {
  readonly #core: Core;
  /** Definitions that are being worked on, so that one is not twice. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #served = new Map<string, string>();

  constructor(core: Core) {
    this.#core = core;
  }

  start(): Promise<() => void> {
    const { store, log } = this.#core;
    return followChanges({
      ...{ store, log, prefix: PREFIX },
      onChanges: (changes) => {
        for (const { type, item } of changes) {
          const definition = peek<CustomResourceDefinition>(item);
          if (type === "delete") this.#forget(definition);
          else {
            this.#serve(definition);
            this.#settleSoon(definition.metadata.name);
          }
        }
      },
    });
  }

  #forget({ metadata }: Definition): void {
    this.#served.delete(metadata.name);
    this.#core.registry.replace(metadata.name, []);
  }

  /** Registers the kinds of an established definition, unless they are the same as before. */
  #serve(definition: Definition): void {
    const { name } = definition.metadata;
    if (!isTrue(definition, "Established") || this.#isBuiltIn(definition)) return;
    const print = JSON.stringify(definition.spec);
    if (this.#served.get(name) === print) return;
    this.#served.set(name, print);
    try {
      const convert = converterOf(this.#core, definition);
      const versions = kindsOf(definition, rulesOf).map((each) => ({ ...each, convert }));
      this.#core.registry.replace(name, versions);
    } catch (error) {
      const { log } = this.#core;
      log.warn("a definition cannot be served", { definition: name, error: messageOf(error) });
    }
  }

  /** Applies also to definitions that an earlier version accepted. */
  #isBuiltIn(definition: Definition): boolean {
    return this.#core.registry.builtIn(definition.spec.group, wordsOf(definition)) !== undefined;
  }

  #settleSoon(name: string): void {
    const before = this.#busy.get(name) ?? Promise.resolve();
    const next = before
      .then(() => this.#settle(name))
      .catch((error: unknown) => {
        const { log } = this.#core;
        log.warn("a definition cannot be settled", { definition: name, error: messageOf(error) });
      });
    this.#busy.set(name, next);
    void next.then(() => {
      if (this.#busy.get(name) === next) this.#busy.delete(name);
    });
  }

  async #settle(name: string): Promise<void> {
    const item = await this.#core.store.get(PREFIX + name);
    if (item === undefined) return;
    const definition = peek<CustomResourceDefinition>(item);
    if (definition.metadata.deletionTimestamp !== undefined) return this.#cleanUp(definition);
    const page = await this.#core.store.list({ prefix: PREFIX });
    const others = page.items.map((each) => peek<CustomResourceDefinition>(each));
    const wanted = structuredClone(definition);
    const now = timestamp(this.#core.clock.now());
    acceptNames(this.#core, wanted, others, now);
    if (sameJson(wanted.status, definition.status)) return;
    await this.#update(name, "status", (live) => acceptNames(this.#core, live, others, now));
  }

  async #update(
    name: string,
    subresource: string,
    change: (live: Definition) => void,
  ): Promise<void> {
    const resource = must(this.#core.registry.byBucket(BUCKET), "definitions");
    await updateObject(this.#core, internalCall(resource, { name }), {
      name,
      subresource,
      trusted: true,
      next: (read) => {
        const live = read();
        change(live as Definition);
        return live;
      },
      keep: () => {},
    });
  }

  /** Deletes what the definition held; it goes itself once nothing is left. */
  async #cleanUp(definition: Definition): Promise<void> {
    const { name, finalizers = [] } = definition.metadata;
    if (!finalizers.includes(FINALIZER)) return;
    const now = timestamp(this.#core.clock.now());
    if (!isTrue(definition, "Terminating")) {
      await this.#update(name, "status", (live) =>
        setCondition(
          live,
          {
            type: "Terminating",
            status: "True",
            reason: "InstanceDeletionInProgress",
            message: "CustomResource deletion is in progress",
          },
          now,
        ),
      );
    }
    const owns = !this.#isBuiltIn(definition);
    if (owns) await this.#deleteAll(bucketOf(definition));
    if (owns && this.#core.store.count(`${bucketOf(definition)}/`) > 0) {
      // Some wait for their finalizers: look again when they may be gone.
      this.#core.clock.after(CLEANUP_AGAIN_MS, () => this.#settleSoon(name));
      return;
    }
    await this.#update(name, "", (live) => {
      const left = (live.metadata.finalizers ?? []).filter((each) => each !== FINALIZER);
      metadataOf(live).finalizers = left;
    });
  }

  async #deleteAll(bucket: string): Promise<void> {
    const resource = this.#core.registry.byBucket(bucket);
    const page = await this.#core.store.list({ prefix: `${bucket}/` });
    for (const item of page.items) {
      const { metadata } = peek(item);
      if (metadata.deletionTimestamp !== undefined || resource === undefined) continue;
      const { namespace } = metadata;
      const call = internalCall(resource, namespace === undefined ? {} : { namespace });
      try {
        await deleteObject(this.#core, call, metadata.name, { dryRun: false });
      } catch (error) {
        if (!(error instanceof ApiError) || error.status.code !== 404) throw error;
      }
    }
  }
}

const CLEANUP_AGAIN_MS = 1_000;

/** What a schema's rules say wrong, when the definition is written. */
function ruleCauses(definition: CustomResourceDefinition): Cause[] {
  return (definition.spec.versions ?? []).flatMap(({ schema }, index) => {
    const place = `spec.versions[${index}].schema.openAPIV3Schema`;
    const root = schema?.openAPIV3Schema as CelSchema | undefined;
    return root === undefined ? [] : checkRules(root, place);
  });
}

/** The part of admission that concerns definitions. */
export const customResources: MakePlugin = (core) => ({
  name: "CustomResources",
  start: () => new CustomResources(core).start(),
  mutate({ resource, operation, object, subresource }) {
    if (resource.bucket !== BUCKET || operation !== "CREATE" || subresource !== "") return;
    if (object === undefined) return;
    const metadata = metadataOf(object);
    metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), FINALIZER])];
  },
  validate(attributes) {
    const { resource, object, old, operation, subresource, name } = attributes;
    if (resource.bucket !== BUCKET || subresource !== "" || object === undefined) return;
    if (operation !== "CREATE" && operation !== "UPDATE") return;
    const definition = object as CustomResourceDefinition;
    const before = old as CustomResourceDefinition | undefined;
    if (sameJson(definition.spec?.versions, before?.spec?.versions)) return;
    const causes = ruleCauses(definition);
    if (causes.length > 0) throw refuse.invalid(resource.kind, name, causes);
  },
});
