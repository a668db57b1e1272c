/**
 * Metadata of every kind: names, labels, annotations, owners, finalizers (apimachinery
 * api/validation).
 */
import { type Cause, invalid, tooLong } from "#resources/field.ts";
import type { Kind } from "#resources/kind.ts";
import type { ObjectMeta, OwnerReference } from "#resources/types.gen.ts";
import {
  label1035Errors,
  labelErrors,
  labelValueErrors,
  pathErrors,
  qualifiedNameErrors,
  subdomainErrors,
} from "#resources/validate/text.ts";

const ANNOTATIONS_BYTES_MAX = 256 * 1024;

const RULES: Readonly<Record<Kind["nameRule"], (value: string) => string[]>> = {
  subdomain: subdomainErrors,
  label: labelErrors,
  label1035: label1035Errors,
  path: pathErrors,
};

const causesOf = (field: string, value: string, errors: readonly string[]): Cause[] =>
  errors.map((error) => invalid(field, value, error));

/** Nearly always there is nothing to add: then nothing is made either. */
function add(causes: Cause[], field: string, value: string, errors: readonly string[]): void {
  for (const error of errors) causes.push(invalid(field, value, error));
}

export const checkName = (name: string, rule: Kind["nameRule"], field: string): Cause[] =>
  causesOf(field, name, RULES[rule](name));

export function checkLabels(
  labels: Readonly<Record<string, string>> | undefined,
  field: string,
): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    add(causes, field, key, qualifiedNameErrors(key));
    add(causes, field, value, labelValueErrors(value));
  }
  return causes;
}

export function checkAnnotations(
  annotations: Readonly<Record<string, string>> | undefined,
  field: string,
): Cause[] {
  const causes: Cause[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations ?? {})) {
    // Case does not matter in the prefix of an annotation.
    add(causes, field, key, qualifiedNameErrors(key.toLowerCase()));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > ANNOTATIONS_BYTES_MAX) causes.push(tooLong(field, ANNOTATIONS_BYTES_MAX));
  return causes;
}

function checkOwner(owner: OwnerReference, field: string): Cause[] {
  const causes: Cause[] = [];
  if (!owner.apiVersion || owner.apiVersion.endsWith("/")) {
    causes.push(
      invalid(`${field}.apiVersion`, owner.apiVersion ?? "", "version must not be empty"),
    );
  }
  for (const part of ["kind", "name", "uid"] as const) {
    if (!owner[part]) causes.push(invalid(`${field}.${part}`, "", "must not be empty"));
  }
  if (owner.apiVersion === "v1" && owner.kind === "Event") {
    const detail = "/v1, Kind=Event is disallowed from being an owner";
    causes.push(invalid(field, owner, detail));
  }
  return causes;
}

function checkOwners(owners: readonly OwnerReference[] | undefined, field: string): Cause[] {
  if (owners === undefined) return [];
  const causes = owners.flatMap((owner) => checkOwner(owner, field));
  const controllers = owners.filter((owner) => owner.controller === true);
  const [first, ...others] = controllers.map((owner) => `${owner.kind}/${owner.name}`);
  for (const other of others) {
    const detail =
      `Only one reference can have Controller set to true. Found "true" in references for ` +
      `${first} and ${other}`;
    causes.push(invalid(field, owners, detail));
  }
  return causes;
}

function checkFinalizers(finalizers: readonly string[] | undefined, field: string): Cause[] {
  if (finalizers === undefined) return [];
  const causes = finalizers.flatMap((each) => causesOf(field, each, qualifiedNameErrors(each)));
  if (finalizers.includes("orphan") && finalizers.includes("foregroundDeletion")) {
    const detail = "finalizer foregroundDeletion and orphan cannot be both set";
    causes.push(invalid(field, finalizers, detail));
  }
  return causes;
}

/** All of metadata but the name, which each kind rules, and what only an update can break. */
export function checkMetadata(metadata: ObjectMeta, field: string): Cause[] {
  return [
    ...(metadata.namespace === undefined
      ? []
      : checkName(metadata.namespace, "label", `${field}.namespace`)),
    ...checkLabels(metadata.labels, `${field}.labels`),
    ...checkAnnotations(metadata.annotations, `${field}.annotations`),
    ...checkOwners(metadata.ownerReferences, `${field}.ownerReferences`),
    ...checkFinalizers(metadata.finalizers, `${field}.finalizers`),
  ];
}
