/**
 * The one way into the store: an object is prepared, admitted, validated, told apart by managers,
 * and then written at the revision it was read at. Verbs and subresources differ only in how they
 * make the next object.
 */
import type { Attributes, Operation } from "#api/admission.ts";
import { optionsOf } from "#api/body.ts";
import { encodeObject, stampRevision, storeKey, termsOf, withoutRevision } from "#api/codec.ts";
import { checkPreconditions, unchanged } from "#api/compare.ts";
import { type Call, type Core, timestamp } from "#api/core.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { cloneJson } from "#api/json.ts";
import { unsettable } from "#api/keep.ts";
import { managerOf } from "#api/manager.ts";
import {
  countGeneration,
  generateName,
  isFinished,
  keepIdentity,
  metadataCauses,
  metadataOf,
  stampNew,
} from "#api/meta.ts";
import type { Resource } from "#api/registry.ts";
import { writeResting } from "#api/resting.ts";
import { liveOf, toStored } from "#api/storedform.ts";
import { causesOf, warn } from "#api/verdict.ts";
import { limits } from "#base/limits.ts";
import { trackUpdate } from "#resources/managed.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { ClaimedError, ConflictError, type Item } from "#store/store.ts";

export interface Written {
  /** What stands now; for an object that went away with this write, what it last was. */
  readonly item: Item;
  readonly change: "created" | "updated" | "unchanged" | "deleted";
}

/** @throws ApiError 422 for anything but `All`. */
export function isDryRun(call: Call): boolean {
  if (call.query.size === 0) return false;
  const asked = call.query.getAll("dryRun").filter((value) => value !== "");
  if (asked.length === 0) return false;
  if (asked.every((value) => value === "All")) return true;
  throw refuse.invalid(optionsOf(call), "", [
    {
      reason: "FieldValueNotSupported",
      field: "dryRun",
      message: `Unsupported value: ${JSON.stringify(asked)}: supported values: "All"`,
    },
  ]);
}

interface About {
  readonly operation: Operation;
  readonly resource: Resource;
  readonly subresource: string;
  readonly name: string;
  readonly object: ApiObject | undefined;
  readonly old: Stored | undefined;
}

export function attributesOf(call: Call, about: About): Attributes {
  return {
    ...about,
    namespace: call.target.namespace,
    user: call.user,
    dryRun: isDryRun(call),
    warnings: call.warnings,
    ...(call.annotate && { annotate: call.annotate }),
    rests: [],
    undo: [],
  };
}

/** A fake item for what a dry run would have stored. */
function imagined(resource: Resource, key: string, value: string, object: ApiObject): Item {
  return { key, value, revision: 0, terms: termsOf(resource.kind, object) };
}

/** Renewals and Events may be lost with the power: they would wear out an SD card. */
function durabilityOf(resource: Resource, object: ApiObject, old?: Stored): "disk" | "lazy" {
  if (resource.bucket === "core/events") return "lazy";
  if (resource.bucket !== "coordination.k8s.io/leases" || old === undefined) return "disk";
  const holder = (lease: ApiObject): unknown =>
    (lease as { spec?: { holderIdentity?: string } }).spec?.holderIdentity;
  return holder(object) === holder(old) ? "lazy" : "disk";
}

function setManaged(
  core: Core,
  call: Call,
  about: { resource: Resource; object: ApiObject; old: Stored | undefined; subresource: string },
): void {
  const { resource, object, old, subresource } = about;
  const managed = trackUpdate({
    ...(old !== undefined && { before: old }),
    after: object,
    manager: managerOf(call),
    operation: "Update",
    ...(subresource !== "" && { subresource }),
    schema: resource.schema,
    time: timestamp(core.clock.now()),
    apiVersion: resource.apiVersion,
    ignore: unsettable(resource, subresource),
  });
  const metadata = metadataOf(object);
  if (managed.length > 0) metadata.managedFields = managed;
  else delete metadata.managedFields;
}

function undoAll(attributes: Attributes): void {
  for (const undo of attributes.undo.splice(0).reverse()) undo();
}

/** With another generated name each, or after another server took what this one gave out. */
const CREATE_TRIES = 8;

export interface CreateOptions {
  readonly resource?: Resource;
  /** Server-side apply sets the managers itself. */
  readonly managed?: boolean;
}

/** Creates `given`, which is in the call's version and belongs to this call from here on. */
export async function createObject(
  core: Core,
  call: Call,
  given: ApiObject,
  options: CreateOptions = {},
): Promise<Written> {
  const { resource = call.resource, managed = false } = options;
  resource.kind.defaults(given);
  const object = await toStored(resource, given);
  const metadata = metadataOf(object);
  const generated = !metadata.name && metadata.generateName ? metadata.generateName : undefined;
  const mayRepeat = generated !== undefined || resource.kind.claims !== undefined;
  for (let tries = 1; ; tries++) {
    if (generated !== undefined) metadata.name = generateName(core, generated);
    try {
      const copy = mayRepeat ? cloneJson(object) : object;
      return await createOnce(core, call, copy, resource, managed);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      const isClaimed = error instanceof ClaimedError;
      if ((generated !== undefined || isClaimed) && tries < CREATE_TRIES) continue;
      const { name = "" } = metadata;
      if (isClaimed) throw refuse.conflict(resource.kind, name, error.message);
      throw refuse.exists(resource.kind, name);
    }
  }
}

async function createOnce(
  core: Core,
  call: Call,
  object: ApiObject,
  requested: Resource,
  managed: boolean,
): Promise<Written> {
  const resource = requested.stored;
  const { kind } = resource;
  stampNew(core, resource, object);
  if (requested !== resource) kind.defaults(object);
  const metadata = metadataOf(object);
  const name = metadata.name ?? "";
  const attributes = attributesOf(call, {
    operation: "CREATE",
    resource: requested,
    subresource: "",
    name,
    object,
    old: undefined,
  });
  try {
    // What admission and allocation add belongs to nobody, as upstream has it.
    if (!managed) setManaged(core, call, { resource, object, old: undefined, subresource: "" });
    await core.admission.mutate(attributes);
    kind.prepare(object, undefined, call.user);
    const causes = [
      ...metadataCauses(resource, object, undefined),
      ...(await causesOf(kind, object, undefined)),
    ];
    if (causes.length > 0) throw refuse.invalid(kind, name, causes);
    warn(kind, attributes, object, undefined);
    await core.admission.validate(attributes);
    const key = storeKey(resource.bucket, metadata.namespace, name);
    const value = encodeObject(object);
    checkSize(value);
    if (attributes.dryRun) {
      if ((await core.store.get(key)) !== undefined) throw new ConflictError(key, undefined);
      undoAll(attributes);
      const item = imagined(resource, key, withoutRevision(value), object);
      return { item, change: "created" };
    }
    const item = await writeResting(core, attributes.rests, {
      key,
      value,
      terms: termsOf(kind, object),
      expect: 0,
      durability: durabilityOf(resource, object),
    });
    core.views.wrote(resource, item, object);
    return { item, change: "created" };
  } catch (error) {
    undoAll(attributes);
    throw error;
  }
}

function checkSize(value: string): void {
  if (value.length > limits.objectBytesMax) {
    throw refuse.tooLarge(`limit is ${limits.objectBytesMax}`);
  }
}

export interface Update {
  readonly name: string;
  /** "" for the object itself. */
  readonly subresource: string;
  /** Makes the next object, from a copy of the live one in the call's version where it wants it. */
  next(read: () => Stored): ApiObject | Promise<ApiObject>;
  /** Puts back what this way of writing may not change. */
  keep(object: ApiObject, old: Stored): void;
  readonly managed?: boolean;
  /** A replacement must name the revision that it replaces. */
  readonly needsRevision?: boolean;
  /** The server made the change itself: the kind's own rules for clients do not apply. */
  readonly trusted?: boolean;
  /** Kinds that PUT may create. */
  missing?(): ApiObject | undefined;
}

/** The right to update or patch does not include the right to create. @throws ApiError 403. */
function requireCreate(core: Core, call: Call, resource: Resource, name: string): Promise<void> {
  const { group, version, plural } = resource.kind;
  const { namespace } = call.target;
  const about = { group, version, plural, name, ...(namespace !== undefined && { namespace }) };
  return core.authorizer.require({ user: call.user, verb: "create", ...about });
}

/** Updates the object that `update.name` names, again and again until nobody came in between. */
export async function updateObject(
  core: Core,
  call: Call,
  update: Update,
  resource = call.resource,
): Promise<Written> {
  const key = storeKey(resource.bucket, call.target.namespace, update.name);
  const guess = isDryRun(call) ? undefined : core.store.known(key);
  const guessed = guess && (await updateKnown(core, call, update, resource, guess));
  if (guessed !== undefined) return guessed;
  for (let tries = 0; tries < limits.writeRetriesMax; tries++) {
    const live = await core.store.get(key);
    if (live === undefined) {
      const object = update.missing?.();
      if (object === undefined) throw refuse.notFound(resource.kind, update.name);
      await requireCreate(core, call, resource, update.name);
      return createObject(core, call, object, { resource, managed: update.managed === true });
    }
    try {
      return await updateOnce(core, call, update, resource, live);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  throw refuse.modified(resource.kind, update.name);
}

/**
 * Updates by what this server knows of the object, as long as that is how it stands: only a write
 * proves that by itself. Undefined where it is not.
 */
async function updateKnown(
  core: Core,
  call: Call,
  update: Update,
  resource: Resource,
  known: Item,
): Promise<Written | undefined> {
  const holds = async (): Promise<boolean> =>
    (await core.store.get(known.key))?.revision === known.revision;
  try {
    const written = await updateOnce(core, call, update, resource, known);
    return written.change !== "unchanged" || (await holds()) ? written : undefined;
  } catch (error) {
    if (error instanceof ConflictError) return undefined;
    if (error instanceof ApiError && !(await holds())) return undefined;
    throw error;
  }
}

async function updateOnce(
  core: Core,
  call: Call,
  update: Update,
  requested: Resource,
  live: Item,
): Promise<Written> {
  const resource = requested.stored;
  const { old, read } = await liveOf(requested, live);
  const made = await update.next(read);
  checkPreconditions(requested, update, made, old);
  if (update.subresource !== "status") requested.kind.defaults(made);
  const object = await toStored(requested, made);
  keepIdentity(object, old);
  update.keep(object, old);
  const attributes = attributesOf(call, {
    operation: "UPDATE",
    resource: requested,
    subresource: update.subresource,
    name: update.name,
    object,
    old,
  });
  try {
    if (update.managed !== true) {
      setManaged(core, call, { resource, object, old, subresource: update.subresource });
    }
    await core.admission.mutate(attributes);
    await judge(core, resource, attributes, object, old, update.trusted === true);
    if (unchanged(object, old)) {
      undoAll(attributes);
      return { item: live, change: "unchanged" };
    }
    return await store(core, attributes, resource, object, old, live);
  } catch (error) {
    undoAll(attributes);
    throw error;
  }
}

async function judge(
  core: Core,
  resource: Resource,
  attributes: Attributes,
  object: ApiObject,
  old: Stored,
  trusted: boolean,
): Promise<void> {
  const { kind } = resource;
  if (attributes.subresource === "") kind.prepare(object, old, attributes.user);
  // Where a pod runs is not what its author asked for: a binding is no new generation.
  // Nor is what a status brings along.
  const { subresource } = attributes;
  if (subresource !== "binding" && subresource !== "status") {
    countGeneration(resource, object, old);
  }
  const causes = metadataCauses(resource, object, old);
  if (!trusted) causes.push(...(await causesOf(kind, object, old, attributes.subresource)));
  if (causes.length > 0) throw refuse.invalid(kind, attributes.name, causes);
  if (subresource === "") warn(kind, attributes, object, old);
  await core.admission.validate(attributes);
}

async function store(
  core: Core,
  attributes: Attributes,
  resource: Resource,
  object: ApiObject,
  old: Stored,
  live: Item,
): Promise<Written> {
  const value = encodeObject(object);
  checkSize(value);
  const terms = termsOf(resource.kind, object);
  const finished = isFinished(object);
  const stamped = stampRevision(value, live.revision);
  if (attributes.dryRun) {
    undoAll(attributes);
    const item = imagined(resource, live.key, stamped, object);
    return { item, change: finished ? "deleted" : "updated" };
  }
  if (finished) {
    const gone = await core.store.write({ key: live.key, expect: live.revision });
    const last = stampRevision(value, gone.revision);
    return { item: { ...gone, value: last, terms }, change: "deleted" };
  }
  const item = await core.store.write({
    key: live.key,
    value,
    terms,
    expect: live.revision,
    durability: durabilityOf(resource, object, old),
  });
  core.views.wrote(resource, item, object);
  return { item, change: "updated" };
}
