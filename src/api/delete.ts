/**
 * Deletion: at once, or by grace of a node's agent, or once finalizers are done. What depends on
 * the object is the garbage controller's work; here only its marks are set.
 * https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */

import { readBody } from "#api/body.ts";
import { decodeItem, encodeObject, stampRevision, storeKey, termsOf } from "#api/codec.ts";
import { type Call, type Core, timestamp } from "#api/core.ts";
import { itemIn } from "#api/custom/convert.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { isObject } from "#api/json.ts";
import { isFinished } from "#api/meta.ts";
import { listItems, textInVersion } from "#api/read.ts";
import { respond, respondText } from "#api/respond.ts";
import { attributesOf, isDryRun } from "#api/write.ts";
import { limits } from "#base/limits.ts";
import { invalid } from "#resources/field.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { ConflictError, type Item } from "#store/store.ts";

export type Propagation = "Background" | "Foreground" | "Orphan";

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagation?: Propagation;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly dryRun: boolean;
}

const FINALIZERS = { Foreground: "foregroundDeletion", Orphan: "orphan" } as const;
const PROPAGATIONS = ["Background", "Foreground", "Orphan"];
const OPTIONS = { group: "meta.k8s.io", plural: "deleteoptions", kind: "DeleteOptions" };

async function bodyOf(call: Call): Promise<Record<string, unknown>> {
  if (call.request.body === null) return {};
  if (call.request.headers.get("content-length") === "0") return {};
  const { raw: body } = await readBody(call.request, "{}");
  if (!isObject(body)) throw refuse.badRequest("the body is no DeleteOptions");
  if (body["kind"] !== undefined && body["kind"] !== "DeleteOptions") {
    throw refuse.badRequest(`the body is a ${String(body["kind"])}, not DeleteOptions`);
  }
  return body;
}

function graceOf(given: unknown): number | undefined {
  if (given === undefined || given === null || given === "") return undefined;
  const seconds = Number(given);
  if (!Number.isInteger(seconds)) {
    throw refuse.badRequest(`strconv.ParseInt: parsing ${JSON.stringify(given)}: invalid syntax`);
  }
  // A negative period is one second upstream.
  return seconds < 0 ? 1 : seconds;
}

function propagationOf(given: unknown, orphan: unknown): Propagation | undefined {
  if (given === undefined || given === null || given === "") {
    if (orphan === undefined || orphan === null) return undefined;
    return orphan === true || orphan === "true" ? "Orphan" : "Background";
  }
  if (orphan !== undefined && orphan !== null) {
    const detail = "orphanDependents and deletionPropagation cannot be both set";
    throw refuse.invalid(OPTIONS, "", [invalid("propagationPolicy", given, detail)]);
  }
  if (PROPAGATIONS.includes(String(given))) return given as Propagation;
  throw refuse.invalid(OPTIONS, "", [
    {
      reason: "FieldValueNotSupported",
      field: "propagationPolicy",
      message:
        `Unsupported value: ${JSON.stringify(given)}: supported values: ` +
        `"Foreground", "Background", "Orphan", "nil"`,
    },
  ]);
}

/** From the body or, where that says nothing, the query. */
export async function deleteOptionsOf(call: Call): Promise<DeleteOptions> {
  const body = await bodyOf(call);
  const { query } = call;
  const preconditions = isObject(body["preconditions"]) ? body["preconditions"] : {};
  const { uid, resourceVersion } = preconditions;
  const grace = graceOf(body["gracePeriodSeconds"] ?? query.get("gracePeriodSeconds"));
  const propagation = propagationOf(
    body["propagationPolicy"] ?? query.get("propagationPolicy"),
    body["orphanDependents"] ?? query.get("orphanDependents"),
  );
  const dry = Array.isArray(body["dryRun"]) && body["dryRun"].includes("All");
  return {
    ...(grace !== undefined && { gracePeriodSeconds: grace }),
    ...(propagation !== undefined && { propagation }),
    ...(typeof uid === "string" && uid !== "" && { uid }),
    ...(typeof resourceVersion === "string" && resourceVersion !== "" && { resourceVersion }),
    dryRun: dry || isDryRun(call),
  };
}

function checkPreconditions(call: Call, options: DeleteOptions, old: Stored): void {
  const { uid, resourceVersion } = options;
  const { metadata } = old;
  const refuseWith = (what: string, wanted: string, is: string, why: string): never => {
    throw refuse.precondition(
      call.resource.kind,
      metadata.name,
      `the ${what} in the precondition (${wanted}) does not match the ${what} in record (${is}). ` +
        `The object might have been ${why}`,
    );
  };
  if (uid !== undefined && uid !== metadata.uid) {
    refuseWith("UID", uid, metadata.uid, "deleted and then recreated");
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    refuseWith("ResourceVersion", resourceVersion, metadata.resourceVersion, "modified");
  }
}

/** Kinds whose dependents stay where nobody says what is to become of them, as of old. */
const ORPHANS = new Set(["batch/jobs", "core/replicationcontrollers"]);

const GARBAGE: readonly string[] = Object.values(FINALIZERS);

function propagationFor(call: Call, asked: Propagation | undefined, object: Stored) {
  const marked = object.metadata.finalizers?.some((name) => GARBAGE.includes(name)) === true;
  if (asked !== undefined || marked || !ORPHANS.has(call.resource.bucket)) return asked;
  return "Orphan";
}

function warnOfOrphans(call: Call, { propagation }: DeleteOptions): void {
  if (propagation !== undefined || call.resource.bucket !== "batch/jobs") return;
  call.warnings.push(
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background " +
      "to remove them or set propagationPolicy=Orphan to suppress this warning",
  );
}

/** Sets what `propagationPolicy` asks for; the garbage controller takes it away again. */
function markPropagation(metadata: NonNullable<ApiObject["metadata"]>, wanted?: Propagation): void {
  if (wanted === undefined) return;
  const others = (metadata.finalizers ?? []).filter(
    (name) => name !== FINALIZERS.Foreground && name !== FINALIZERS.Orphan,
  );
  if (wanted !== "Background") others.push(FINALIZERS[wanted]);
  if (others.length > 0) metadata.finalizers = others;
  else delete metadata.finalizers;
}

/** Kinds that tell no grace: their own storage marks them upstream. */
const NO_GRACE = new Set(["apiextensions.k8s.io/customresourcedefinitions", "core/namespaces"]);

/** Sets the marks of deletion; false where nothing is to wait for. */
function markDeleted(core: Core, call: Call, options: DeleteOptions, object: Stored): boolean {
  const { metadata } = object;
  markPropagation(metadata, propagationFor(call, options.propagation, object));
  const grace = graceFor(call, options, object);
  const before = metadata.deletionGracePeriodSeconds;
  if (metadata.deletionTimestamp === undefined) {
    metadata.deletionTimestamp = timestamp(core.clock.now() + grace * 1000);
    if (!NO_GRACE.has(call.resource.bucket)) metadata.deletionGracePeriodSeconds = grace;
    if (metadata.generation !== undefined) metadata.generation += 1;
  } else if (grace < (before ?? 0)) {
    const began = Date.parse(metadata.deletionTimestamp) - (before ?? 0) * 1000;
    metadata.deletionTimestamp = timestamp(began + grace * 1000);
    metadata.deletionGracePeriodSeconds = grace;
  }
  if (call.resource.bucket === "core/namespaces") {
    const namespace = object as { status?: { phase?: string } };
    namespace.status = { ...namespace.status, phase: "Terminating" };
  }
  return !isFinished(object);
}

/** Seconds until a node's agent must be done; 0 for everything that no agent runs. */
function graceFor(call: Call, options: DeleteOptions, object: Stored): number {
  const natural = call.resource.stored.kind.gracePeriodSeconds?.(object);
  if (natural === undefined || natural === 0) return 0;
  return options.gracePeriodSeconds ?? natural;
}

export interface Deleted {
  readonly item: Item;
  readonly uid: string;
  /** False while it waits for grace or finalizers. */
  readonly gone: boolean;
}

/** Deletes the object under `key`, or marks it. @throws ApiError 404, 409. */
export async function deleteObject(
  core: Core,
  call: Call,
  name: string,
  options: DeleteOptions,
): Promise<Deleted> {
  const { resource } = call;
  const key = storeKey(resource.bucket, call.target.namespace, name);
  for (let tries = 0; tries < limits.writeRetriesMax; tries++) {
    const live = await core.store.get(key);
    if (live === undefined) throw refuse.notFound(resource.kind, name);
    const old = decodeItem(live);
    checkPreconditions(call, options, old);
    await core.admission.validate(
      attributesOf(call, {
        operation: "DELETE",
        resource,
        subresource: "",
        name,
        object: undefined,
        old,
      }),
    );
    try {
      return await deleteOnce(core, call, options, live, old);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  throw refuse.modified(resource.kind, name);
}

/** What a client sees last: of what could have waited for grace, that it did not. */
function lastOf(call: Call, live: Item, marked: Stored): Item {
  if (call.resource.stored.kind.gracePeriodSeconds === undefined) return live;
  return { ...live, value: stampRevision(encodeObject(marked), live.revision) };
}

/** `object` is what was decoded of `live`; it gets the marks. */
async function deleteOnce(
  core: Core,
  call: Call,
  options: DeleteOptions,
  live: Item,
  object: Stored,
): Promise<Deleted> {
  const { uid } = object.metadata;
  const waits = markDeleted(core, call, options, object);
  if (!waits) {
    const last = lastOf(call, live, object);
    if (options.dryRun) return { item: last, uid, gone: true };
    const item = await core.store.write({
      key: live.key,
      expect: live.revision,
      ...(call.resource.bucket === "core/events" && { durability: "lazy" as const }),
    });
    return { item: last === live ? item : last, uid, gone: true };
  }
  const value = encodeObject(object);
  const stamped = stampRevision(value, live.revision);
  if (stamped === live.value) return { item: live, uid, gone: false };
  const terms = termsOf(call.resource.stored.kind, object);
  if (options.dryRun) return { item: { ...live, value: stamped, terms }, uid, gone: false };
  const item = await core.store.write({ key: live.key, value, terms, expect: live.revision });
  return { item, uid, gone: false };
}

/** Kinds whose last state is the answer to their deletion; others answer a Status. */
const ANSWERS_OBJECT = new Set([
  "core/namespaces",
  "core/persistentvolumeclaims",
  "core/persistentvolumes",
  "core/pods",
  "core/podtemplates",
  "core/resourcequotas",
  "core/serviceaccounts",
  "core/services",
  "resource.k8s.io/deviceclasses",
  "resource.k8s.io/resourceclaims",
  "resource.k8s.io/resourceclaimtemplates",
  "resource.k8s.io/resourceslices",
  "storage.k8s.io/csidrivers",
  "storage.k8s.io/csinodes",
  "storage.k8s.io/storageclasses",
  "storage.k8s.io/volumeattachments",
  "storage.k8s.io/volumeattributesclasses",
]);

export async function deleteOne(core: Core, call: Call): Promise<Response> {
  const name = call.target.name ?? "";
  const options = await deleteOptionsOf(call);
  warnOfOrphans(call, options);
  const { item, uid, gone } = await deleteObject(core, call, name, options);
  if (!gone || ANSWERS_OBJECT.has(call.resource.bucket)) {
    return respondText(call, textInVersion(call.resource, await itemIn(call.resource, item)));
  }
  const { group, plural } = call.resource.kind;
  return respond(call, {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { name, ...(group && { group }), kind: plural, uid },
  });
}

/** Deletes what the selectors choose, a few at a time, and answers what it deleted. */
export async function deleteCollection(core: Core, call: Call): Promise<Response> {
  const options = await deleteOptionsOf(call);
  warnOfOrphans(call, options);
  const { items, meta } = await listItems(core, call);
  const pending = [...items];
  const worker = async (): Promise<void> => {
    for (let item = pending.shift(); item !== undefined; item = pending.shift()) {
      await deleteIfThere(core, call, decodeItem(item), options);
    }
  };
  await Promise.all(Array.from({ length: limits.collectionDeletesAtOnce }, worker));
  const { kind, apiVersion } = call.resource;
  const head = JSON.stringify({ kind: kind.listKind, apiVersion, metadata: meta });
  const texts = items.map((item) => textInVersion(call.resource, item));
  return respondText(call, `${head.slice(0, -1)},"items":[${texts.join(",")}]}`);
}

async function deleteIfThere(
  core: Core,
  call: Call,
  object: Stored,
  options: DeleteOptions,
): Promise<void> {
  const { name, namespace } = object.metadata;
  const target = { ...call.target, ...(namespace !== undefined && { namespace }) };
  try {
    await deleteObject(core, { ...call, target }, name, options);
  } catch (error) {
    // Somebody else was quicker: it is gone, which is what was asked for.
    if (!(error instanceof ApiError) || error.status.code !== 404) throw error;
  }
}
