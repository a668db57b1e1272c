/** ConfigMaps and Secrets (core validation). */
import { sameField } from "#resources/equal.ts";
import { type Cause, forbidden, invalid, required, tooLong } from "#resources/field.ts";
import type { ConfigMap, Secret } from "#resources/types.gen.ts";
import { byRule, immutable } from "#resources/validate/basic.ts";
import { configKeyErrors } from "#resources/validate/text.ts";

const DATA_BYTES_MAX = 1024 * 1024;
const FROZEN = "field is immutable when `immutable` is set";

type Data = Readonly<Record<string, string>> | undefined;

const keyCauses = (data: Data, path: string): Cause[] =>
  Object.keys(data ?? {}).flatMap((key) => byRule(configKeyErrors, key, `${path}[${key}]`));

const decodedBytes = (base64: string): number => Buffer.byteLength(base64, "base64");

const total = (data: Data, size: (value: string) => number): number =>
  Object.values(data ?? {}).reduce((bytes, value) => bytes + size(value), 0);

/** What was frozen stays, and stays frozen. */
function frozenCauses<T extends { immutable?: boolean }>(
  object: T,
  old: T | undefined,
  definition: string,
  fields: ReadonlyArray<keyof T & string>,
): Cause[] {
  if (old?.immutable !== true) return [];
  const causes = object.immutable === true ? [] : [forbidden("immutable", FROZEN)];
  const changed = fields.filter((field) => !sameField(definition, field, object, old));
  return [...causes, ...changed.map((field) => forbidden(field, FROZEN))];
}

export function validateConfigMap(map: ConfigMap, old: ConfigMap | undefined): Cause[] {
  const causes = [
    ...frozenCauses(map, old, "io.k8s.api.core.v1.ConfigMap", ["data", "binaryData"]),
    ...keyCauses(map.data, "data"),
    ...keyCauses(map.binaryData, "binaryData"),
  ];
  for (const key of Object.keys(map.data ?? {})) {
    if (map.binaryData?.[key] === undefined) continue;
    causes.push(invalid(`data[${key}]`, key, "duplicate of key present in binaryData"));
  }
  const bytes = total(map.data, Buffer.byteLength) + total(map.binaryData, decodedBytes);
  if (bytes > DATA_BYTES_MAX) causes.push(tooLong("", DATA_BYTES_MAX));
  return causes;
}

const ACCOUNT_NAME = "kubernetes.io/service-account.name";

/** Keys that a type cannot do without. */
const TYPE_KEYS: Readonly<Record<string, readonly string[]>> = {
  "kubernetes.io/dockercfg": [".dockercfg"],
  "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
};

function jsonCauses(base64: string, path: string): Cause[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(base64, "base64").toString("utf8"));
    if (typeof value === "object" && !Array.isArray(value)) return [];
  } catch {
    // The same answer as for what is JSON and no object; the content is never repeated.
  }
  return [invalid(path, "<secret contents redacted>", "must be a JSON object")];
}

function typeCauses(secret: Secret): Cause[] {
  const { type = "", data = {} } = secret;
  if (type === "kubernetes.io/service-account-token") {
    if (secret.metadata?.annotations?.[ACCOUNT_NAME]) return [];
    return [required(`metadata.annotations[${ACCOUNT_NAME}]`)];
  }
  if (type === "kubernetes.io/basic-auth") {
    if (data["username"] !== undefined || data["password"] !== undefined) return [];
    return [required("data[username]"), required("data[password]")];
  }
  const causes = (TYPE_KEYS[type] ?? [])
    .filter((key) => data[key] === undefined || (key === "ssh-privatekey" && data[key] === ""))
    .map((key) => required(`data[${key}]`));
  const json = type.startsWith("kubernetes.io/docker") ? TYPE_KEYS[type]?.[0] : undefined;
  const content = json === undefined ? undefined : data[json];
  if (json === undefined || content === undefined) return causes;
  return [...causes, ...jsonCauses(content, `data[${json}]`)];
}

export function validateSecret(secret: Secret, old: Secret | undefined): Cause[] {
  const causes = [
    ...(old ? immutable(secret.type, old.type, "type") : []),
    ...frozenCauses(secret, old, "io.k8s.api.core.v1.Secret", ["data"]),
    ...keyCauses(secret.data, "data"),
  ];
  if (total(secret.data, decodedBytes) > DATA_BYTES_MAX) {
    causes.push(tooLong("data", DATA_BYTES_MAX));
  }
  return [...causes, ...typeCauses(secret)];
}
