/** Whether a webhook is asked about a request, what it says, and what that does to the object. */

import { ruleMatches, selectorsMatch } from "#api/admission/match.ts";
import { callWebhook, type Verdict, type Webhook } from "#api/admission/webhookcall.ts";
import type { Attributes } from "#api/admission.ts";
import type { Core } from "#api/core.ts";
import { objectIn } from "#api/custom/convert.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { cloneJson, sameJson } from "#api/json.ts";
import { webhookSight } from "#api/policy/environment.ts";
import { conditionsMatch, inputOf } from "#api/policy/evaluate.ts";
import { seenIn, versionsOf } from "#api/policy/match.ts";
import type { Resource } from "#api/registry.ts";
import { toStored } from "#api/storedform.ts";
import { messageOf } from "#base/errors.ts";
import type { ApiObject } from "#resources/meta.ts";
import { applyJsonPatch } from "#resources/patch.ts";
import { pruneUnknown } from "#resources/shape.ts";
import type { Json } from "#resources/types.gen.ts";

function denial({ name }: Webhook, { code, reason = "", message }: Verdict): ApiError {
  const words = message || reason;
  const why = words ? `denied the request: ${words}` : "denied the request without explanation";
  const status = code !== undefined && code >= 400 && code < 600 ? code : 400;
  return new ApiError(status, reason, `admission webhook "${name}" ${why}`);
}

export const failed = ({ name }: Webhook, error: unknown): ApiError =>
  refuse.internal(`failed calling webhook "${name}": ${messageOf(error)}`);

/** The version that a webhook's rules speak of; with Equivalent it may be another's. */
function versionFor(
  { registry }: Core,
  webhook: Webhook,
  attributes: Attributes,
): Resource | undefined {
  const { resource } = attributes;
  const exact = webhook.matchPolicy === "Exact";
  for (const version of exact ? [resource] : versionsOf(registry, resource)) {
    const as = { ...attributes, resource: version };
    if ((webhook.rules ?? []).some((rule) => ruleMatches(rule, as))) return version;
  }
  return undefined;
}

/**
 * The version in which a webhook is to be asked; undefined where it is not. @throws ApiError where
 * that cannot be known.
 */
export async function concerns(
  core: Core,
  webhook: Webhook,
  attributes: Attributes,
): Promise<Resource | undefined> {
  const version = versionFor(core, webhook, attributes);
  if (version === undefined) return undefined;
  if (!(await selectorsMatch(core.store, webhook, attributes))) return undefined;
  const { matchConditions } = webhook;
  if (matchConditions === undefined || matchConditions.length === 0) return version;
  try {
    const object = await seenIn(version, attributes.object);
    const old = await seenIn(version, attributes.old);
    const input = inputOf({ attributes, object, old, namespaceObject: undefined });
    const { authorizer } = core;
    const matches = await conditionsMatch(matchConditions, webhookSight, input, authorizer);
    return matches ? version : undefined;
  } catch (error) {
    if (webhook.failurePolicy === "Ignore") return undefined;
    throw failed(webhook, error);
  }
}

/** Undefined where the webhook could not be asked and that does not matter. */
export async function ask(
  core: Core,
  webhook: Webhook,
  attributes: Attributes,
  seen: Resource,
): Promise<Verdict | undefined> {
  if (attributes.dryRun && !["None", "NoneOnDryRun"].includes(webhook.sideEffects)) {
    throw refuse.badRequest(`admission webhook "${webhook.name}" does not support dry run`);
  }
  let verdict: Verdict;
  try {
    verdict = await callWebhook(core, webhook, attributes, seen);
  } catch (error) {
    if (webhook.failurePolicy !== "Ignore") throw failed(webhook, error);
    core.log.warn("a webhook failed and is ignored", {
      webhook: webhook.name,
      error: messageOf(error),
    });
    return undefined;
  }
  attributes.warnings.push(...verdict.warnings);
  if (!verdict.allowed) throw denial(webhook, verdict);
  return verdict;
}

/** Applies a patch of the object as it was `seen`, in place; true where it changed something. */
export async function patchObject(
  attributes: Attributes,
  patch: Json,
  seen: Resource,
): Promise<boolean> {
  const { object, resource } = attributes;
  if (object === undefined) return false;
  const before = cloneJson(object);
  const view = cloneJson((await seenIn(seen, object)) ?? object);
  const patched = applyJsonPatch(view as unknown as Json, patch) as unknown as ApiObject;
  const next = await backFrom(seen, object, patched);
  for (const key of Object.keys(object)) delete (object as Record<string, unknown>)[key];
  Object.assign(object, cloneJson(next));
  pruneUnknown(object, resource.schema);
  resource.kind.defaults(object);
  return !sameJson(before, object);
}

/** What a webhook saw in another version, as the store has it. */
async function backFrom(seen: Resource, object: ApiObject, patched: ApiObject): Promise<ApiObject> {
  if (object.kind !== seen.stored.kind.kind || patched.apiVersion === object.apiVersion) {
    return patched;
  }
  return seen.kind.storedAs === undefined
    ? objectIn(seen.stored, patched)
    : toStored(seen, patched);
}
