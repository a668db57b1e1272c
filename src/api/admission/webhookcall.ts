/**
 * One call of a webhook.
 * https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
 */

import { requestOf } from "#api/admission/request.ts";
import type { Attributes } from "#api/admission.ts";
import type { Core } from "#api/core.ts";
import { seenIn } from "#api/policy/match.ts";
import type { Resource } from "#api/registry.ts";
import { postReview } from "#api/reviewcall.ts";
import type { Json, MutatingWebhook, ValidatingWebhook } from "#resources/types.gen.ts";

export type Webhook = MutatingWebhook | ValidatingWebhook;

export interface Verdict {
  readonly allowed: boolean;
  readonly code: number | undefined;
  readonly reason: string | undefined;
  readonly message: string | undefined;
  readonly patch: Json | undefined;
  readonly warnings: readonly string[];
}

const SECONDS_DEFAULT = 10;
const REVIEW = { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1" } as const;

interface Answer {
  apiVersion?: string;
  kind?: string;
  response?: {
    uid?: string;
    allowed?: boolean;
    patch?: string;
    patchType?: string;
    warnings?: string[];
    status?: { code?: number; reason?: string; message?: string };
  };
}

function verdictOf(text: string, uid: string): Verdict {
  const { apiVersion, kind, response } = JSON.parse(text) as Answer;
  if (apiVersion !== REVIEW.apiVersion || kind !== REVIEW.kind) {
    throw new Error(
      `expected webhook response of ${REVIEW.apiVersion}, got ${apiVersion}, ${kind}`,
    );
  }
  if (response === undefined)
    throw new Error("expected response.kind=AdmissionReview, got no response");
  if (response.uid !== uid)
    throw new Error(`expected response.uid="${uid}", got "${response.uid}"`);
  const { patch, patchType } = response;
  if (patch !== undefined && patchType !== "JSONPatch") {
    throw new Error(`invalid response.patchType, expected "JSONPatch", got "${patchType}"`);
  }
  return {
    allowed: response.allowed === true,
    code: response.status?.code,
    reason: response.status?.reason,
    message: response.status?.message,
    patch: patch && (JSON.parse(Buffer.from(patch, "base64").toString()) as Json),
    warnings: response.warnings ?? [],
  };
}

const OPTIONS: Readonly<Record<string, string>> = {
  CREATE: "CreateOptions",
  UPDATE: "UpdateOptions",
  DELETE: "DeleteOptions",
};

function optionsOf({ operation }: Attributes): object | null {
  const kind = OPTIONS[operation];
  return kind === undefined ? null : { kind, apiVersion: "meta.k8s.io/v1" };
}

/** @throws Error where the webhook cannot be asked or does not answer as it must. */
export async function callWebhook(
  core: Core,
  webhook: Webhook,
  attributes: Attributes,
  seen: Resource,
): Promise<Verdict> {
  const uid = core.random.uuid();
  const review = {
    ...REVIEW,
    request: {
      uid,
      ...requestOf(attributes, seen),
      object: (await seenIn(seen, attributes.object)) ?? null,
      oldObject: (await seenIn(seen, attributes.old)) ?? null,
      options: optionsOf(attributes),
    },
  };
  const seconds = webhook.timeoutSeconds ?? SECONDS_DEFAULT;
  return postReview(core, webhook.clientConfig, seconds, review, (text) => verdictOf(text, uid));
}
