/** A container's environment (core validation; "Expose Pod Information to Containers"). */
import { type Cause, invalid, notSupported, required } from "#resources/field.ts";
import { canonicalQuantity, quantityValue } from "#resources/quantity.ts";
import type {
  EnvFromSource,
  EnvVar,
  EnvVarSource,
  ObjectFieldSelector,
  ResourceFieldSelector,
} from "#resources/types.gen.ts";
import { byRule, each, present, requiredByRule } from "#resources/validate/basic.ts";
import { relativePath } from "#resources/validate/path.ts";
import {
  configKeyErrors,
  envNameErrors,
  labelErrors,
  qualifiedNameErrors,
  subdomainErrors,
} from "#resources/validate/text.ts";

const ENV_FIELDS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
/** What a pod's fields may be named at all; files take fewer of them, variables others. */
const KNOWN_FIELDS = new Set([...ENV_FIELDS, "metadata.labels", "metadata.annotations"]);

const RESOURCES = ["limits", "requests"].flatMap((list) =>
  ["cpu", "ephemeral-storage", "memory"].map((name) => `${list}.${name}`),
);
const UNITS = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

const SUBSCRIPT = /^(metadata\.(?:labels|annotations))\['(.*)'\]$/;

/** A field of the pod for a variable or a file. */
export function checkFieldRef(
  ref: ObjectFieldSelector,
  valid: readonly string[],
  path: string,
): Cause[] {
  if (!ref.apiVersion) return [required(`${path}.apiVersion`)];
  if (!ref.fieldPath) return [required(`${path}.fieldPath`)];
  const at = `${path}.fieldPath`;
  if (ref.apiVersion !== "v1") {
    const detail = `error converting fieldPath: unsupported pod version: ${ref.apiVersion}`;
    return [invalid(at, ref.fieldPath, detail)];
  }
  const [, map, key] = SUBSCRIPT.exec(ref.fieldPath) ?? [];
  if (map !== undefined && key !== undefined) {
    const name = map === "metadata.annotations" ? key.toLowerCase() : key;
    return byRule(qualifiedNameErrors, name, path);
  }
  if (!KNOWN_FIELDS.has(ref.fieldPath)) {
    const detail = `error converting fieldPath: field label not supported: ${ref.fieldPath}`;
    return [invalid(at, ref.fieldPath, detail)];
  }
  return valid.includes(ref.fieldPath) ? [] : [notSupported(at, ref.fieldPath, [...valid].sort())];
}

function divisorCauses(ref: ResourceFieldSelector, path: string): Cause[] {
  const { divisor, resource } = ref;
  try {
    if (divisor === undefined || quantityValue(divisor) === 0) return [];
    const [kind = ""] = /(cpu|memory|ephemeral-storage|hugepages)/.exec(resource) ?? [];
    const valid = kind === "cpu" ? ["1m", "1"] : UNITS;
    if (kind === "" || valid.includes(canonicalQuantity(divisor))) return [];
    const words = kind === "cpu" ? "1m and 1" : UNITS.join(", ");
    const what = kind === "ephemeral-storage" ? "local ephemeral storage" : kind;
    const detail = `only divisor's values ${words} are supported with the ${what} resource`;
    return [invalid(`${path}.divisor`, resource, detail)];
  } catch {
    return [invalid(`${path}.divisor`, divisor ?? "", "must be a valid resource quantity")];
  }
}

/** A resource of a container for a variable or, with `named`, a file. */
export function checkResourceRef(
  ref: ResourceFieldSelector,
  path: string,
  named: boolean,
): Cause[] {
  if (named && !ref.containerName) return [required(`${path}.containerName`)];
  if (!ref.resource) return [required(`${path}.resource`)];
  const known =
    RESOURCES.includes(ref.resource) || /^(limits|requests)\.hugepages-/.test(ref.resource);
  const causes = known ? [] : [notSupported(`${path}.resource`, ref.resource, RESOURCES)];
  return [...causes, ...divisorCauses(ref, path)];
}

const keyRef = (ref: { name?: string; key: string }, path: string): Cause[] => [
  ...byRule(subdomainErrors, ref.name ?? "", `${path}.name`),
  ...requiredByRule(configKeyErrors, ref.key, `${path}.key`),
];

function sourceCauses(source: EnvVarSource, path: string): Cause[] {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef, fileKeyRef } = source;
  const causes: Cause[] = [];
  if (fieldRef) causes.push(...checkFieldRef(fieldRef, ENV_FIELDS, `${path}.fieldRef`));
  if (resourceFieldRef) {
    causes.push(...checkResourceRef(resourceFieldRef, `${path}.resourceFieldRef`, false));
  }
  if (configMapKeyRef) causes.push(...keyRef(configMapKeyRef, `${path}.configMapKeyRef`));
  if (secretKeyRef) causes.push(...keyRef(secretKeyRef, `${path}.secretKeyRef`));
  if (fileKeyRef) {
    const at = `${path}.fileKeyRef`;
    causes.push(
      ...requiredByRule(envNameErrors, fileKeyRef.key, `${at}.key`),
      ...requiredByRule(labelErrors, fileKeyRef.volumeName, `${at}.volumeName`),
      ...present(fileKeyRef.path, `${at}.path`),
      ...relativePath(fileKeyRef.path, `${at}.path`),
    );
  }
  return causes;
}

function valueCauses(variable: EnvVar, path: string): Cause[] {
  const source = variable.valueFrom;
  if (!source) return [];
  const causes = sourceCauses(source, path);
  const count = Object.values(source).filter(Boolean).length;
  if (count === 0) {
    const fields = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`";
    causes.push(invalid(path, "", `must specify one of: ${fields}`));
  } else if (variable.value) {
    causes.push(invalid(path, "", "may not be specified when `value` is not empty"));
  } else if (count > 1) {
    causes.push(invalid(path, "", "may not have more than one field specified at a time"));
  }
  return causes;
}

export const checkEnv = (variables: readonly EnvVar[] | undefined, path: string): Cause[] =>
  each(variables, path, (variable, at) => [
    ...requiredByRule(envNameErrors, variable.name, `${at}.name`),
    ...valueCauses(variable, `${at}.valueFrom`),
  ]);

export const checkEnvFrom = (
  sources: readonly EnvFromSource[] | undefined,
  path: string,
): Cause[] =>
  each(sources, path, ({ prefix, configMapRef, secretRef }, at) => {
    const causes = prefix ? byRule(envNameErrors, prefix, `${at}.prefix`) : [];
    if (configMapRef) {
      causes.push(...requiredByRule(subdomainErrors, configMapRef.name, `${at}.configMapRef.name`));
    }
    if (secretRef) {
      causes.push(...requiredByRule(subdomainErrors, secretRef.name, `${at}.secretRef.name`));
    }
    if (!configMapRef && !secretRef) {
      causes.push(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"));
    } else if (configMapRef && secretRef) {
      causes.push(invalid(path, "", "may not have more than one field specified at a time"));
    }
    return causes;
  });
