/** Claims of storage: their own, and in templates (core validation; "Persistent Volumes"). */
import { sameTyped } from "#resources/equal.ts";
import { type Cause, forbidden, invalid, required } from "#resources/field.ts";
import { compareQuantity } from "#resources/quantity.ts";
import type {
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  TypedObjectReference,
} from "#resources/types.gen.ts";
import { byRule, immutable, present, supported } from "#resources/validate/basic.ts";
import { checkQuantity } from "#resources/validate/resources.ts";
import { checkSelector } from "#resources/validate/selector.ts";
import { checkAccessModes, VOLUME_MODES } from "#resources/validate/source.ts";
import { labelErrors, subdomainErrors } from "#resources/validate/text.ts";

const SPEC = "io.k8s.api.core.v1.PersistentVolumeClaimSpec";
const REFERENCE = "io.k8s.api.core.v1.TypedLocalObjectReference";
const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";

function sizeCauses(spec: PersistentVolumeClaimSpec, path: string): Cause[] {
  const at = `${path}.resources[storage]`;
  const size = spec.resources?.requests?.["storage"];
  if (size === undefined) return [required(at)];
  if (compareQuantity(size, "0") > 0) return checkQuantity(size, at);
  return [invalid(at, size, "must be greater than zero")];
}

function sourceCauses(source: TypedObjectReference | undefined, path: string): Cause[] {
  if (!source) return [];
  const { apiGroup, kind, name, namespace } = source;
  const causes = [...present(name, `${path}.name`), ...present(kind, `${path}.kind`)];
  if (!apiGroup && kind !== "PersistentVolumeClaim") {
    const detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
    causes.push(invalid(path, kind ?? "", detail));
  }
  if (apiGroup) causes.push(...byRule(subdomainErrors, apiGroup, `${path}.apiGroup`));
  if (namespace) causes.push(...byRule(labelErrors, namespace, `${path}.namespace`));
  return causes;
}

function sourcesCauses(spec: PersistentVolumeClaimSpec, path: string): Cause[] {
  const { dataSource, dataSourceRef } = spec;
  const causes = [
    ...sourceCauses(dataSource, `${path}.dataSource`),
    ...sourceCauses(dataSourceRef, `${path}.dataSourceRef`),
  ];
  if (!dataSource || !dataSourceRef) return causes;
  if (dataSourceRef.namespace) {
    const detail = "may not be specified when dataSourceRef.namespace is specified";
    // Upstream shows a path where a value belongs, and it comes out as nothing.
    causes.push(invalid(path, {}, detail));
  } else if (!sameTyped(REFERENCE, dataSource, dataSourceRef)) {
    causes.push(invalid(path, {}, "must match dataSourceRef"));
  }
  return causes;
}

export function checkClaimSpec(spec: PersistentVolumeClaimSpec | undefined, path: string): Cause[] {
  const claim = spec ?? {};
  const { storageClassName, volumeAttributesClassName } = claim;
  return [
    ...checkAccessModes(
      claim.accessModes,
      `${path}.accessModes`,
      "at least 1 access mode is required",
    ),
    ...checkSelector(claim.selector, `${path}.selector`),
    ...sizeCauses(claim, path),
    ...(storageClassName
      ? byRule(subdomainErrors, storageClassName, `${path}.storageClassName`)
      : []),
    ...supported(claim.volumeMode, VOLUME_MODES, `${path}.volumeMode`),
    ...sourcesCauses(claim, path),
    ...(volumeAttributesClassName
      ? byRule(subdomainErrors, volumeAttributesClassName, `${path}.volumeAttributesClassName`)
      : []),
  ];
}

const classAnnotation = (claim: PersistentVolumeClaim): string | undefined =>
  claim.metadata?.annotations?.[CLASS_ANNOTATION];

/** The spec as it would be had only what may change been changed. */
function changeable(
  claim: PersistentVolumeClaim,
  old: PersistentVolumeClaim,
): PersistentVolumeClaimSpec {
  const before = old.spec ?? {};
  const spec = { ...claim.spec };
  // Set once: by the controller that binds, and where a class came late.
  if (!before.volumeName) delete spec.volumeName;
  const annotation = classAnnotation(old);
  const late = before.storageClassName === undefined;
  if (late && (annotation === undefined || annotation === spec.storageClassName)) {
    delete spec.storageClassName;
  }
  if (claim.status?.phase === "Bound") {
    const storage = before.resources?.requests?.["storage"];
    const { requests } = spec.resources ?? {};
    if (requests && storage !== undefined) {
      spec.resources = { ...spec.resources, requests: { ...requests, storage } };
    }
    delete spec.volumeAttributesClassName;
    if (before.volumeAttributesClassName !== undefined) {
      spec.volumeAttributesClassName = before.volumeAttributesClassName;
    }
  }
  return spec;
}

function shrinkCauses(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): Cause[] {
  const size = claim.spec?.resources?.requests?.["storage"] ?? "0";
  const before = old.spec?.resources?.requests?.["storage"];
  if (before === undefined || compareQuantity(size, before) >= 0) return [];
  const real = old.status?.capacity?.["storage"] ?? "0";
  if (compareQuantity(size, real) > 0) return [];
  return [
    forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"),
  ];
}

export function checkClaimUpdate(
  claim: PersistentVolumeClaim,
  old: PersistentVolumeClaim,
): Cause[] {
  const causes: Cause[] = [];
  const annotation = classAnnotation(claim);
  if (annotation !== classAnnotation(old) && claim.spec?.storageClassName === undefined) {
    const at = `metadata.annotations[${CLASS_ANNOTATION}]`;
    causes.push(invalid(at, annotation ?? "", "field is immutable"));
  }
  if (!sameTyped(SPEC, changeable(claim, old), old.spec)) {
    const detail =
      "spec is immutable after creation except resources.requests and " +
      "volumeAttributesClassName for bound claims";
    causes.push(forbidden("spec", detail));
  }
  return [
    ...causes,
    ...shrinkCauses(claim, old),
    ...immutable(claim.spec?.volumeMode, old.spec?.volumeMode, "volumeMode"),
  ];
}
