/** The environment of a container: pure, from objects that were fetched before. */
import { type DownwardSource, fieldText, resourceText } from "#agents/kubelet/downward.ts";
import type { Container, EnvVar, EnvVarSource, Service } from "#resources/types.gen.ts";

export interface Variable {
  name: string;
  value: string;
}

/** What stops a container from being created until someone mends its configuration. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

export interface NeededObject {
  kind: "configMap" | "secret";
  name: string;
}

export interface EnvSource extends DownwardSource {
  /** Decoded data by key; undefined where the object does not exist. */
  data(object: NeededObject): Readonly<Record<string, string>> | undefined;
  /** Of the pod's namespace, and `default/kubernetes`. */
  services: readonly Service[];
}

/** ConfigMaps and Secrets that the container's environment names. */
export function neededObjects(container: Container): NeededObject[] {
  const found: NeededObject[] = [];
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    if (configMapRef?.name) found.push({ kind: "configMap", name: configMapRef.name });
    if (secretRef?.name) found.push({ kind: "secret", name: secretRef.name });
  }
  for (const { valueFrom } of container.env ?? []) {
    const { configMapKeyRef, secretKeyRef } = valueFrom ?? {};
    if (configMapKeyRef?.name) found.push({ kind: "configMap", name: configMapKeyRef.name });
    if (secretKeyRef?.name) found.push({ kind: "secret", name: secretKeyRef.name });
  }
  return found;
}

/** `$(NAME)` by the mapping; `$$` is a dollar; what is not known stays as it is. */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  if (!text.includes("$")) return text;
  let out = "";
  for (let i = 0; i < text.length; i++) {
    const next = text[i + 1];
    if (text[i] !== "$" || next === undefined) out += text[i];
    else if (next === "$") {
      out += "$";
      i++;
    } else if (next === "(") {
      const end = text.indexOf(")", i + 2);
      if (end < 0) {
        out += "$(";
        i++;
      } else {
        out += lookup(text.slice(i + 2, end)) ?? text.slice(i, end + 1);
        i = end;
      }
    } else {
      out += `$${next}`;
      i++;
    }
  }
  return out;
}

const variableName = (name: string): string => name.toUpperCase().replaceAll("-", "_");

function serviceVariables({ metadata, spec }: Service): Variable[] {
  const ip = spec?.clusterIP;
  const ports = spec?.ports ?? [];
  const first = ports[0];
  if (!metadata?.name || !ip || ip === "None" || first === undefined) return [];
  const prefix = variableName(metadata.name);
  const host = ip.includes(":") ? `[${ip}]` : ip;
  const out: Variable[] = [
    { name: `${prefix}_SERVICE_HOST`, value: ip },
    { name: `${prefix}_SERVICE_PORT`, value: String(first.port) },
  ];
  for (const { name, port } of ports) {
    if (name) {
      out.push({ name: `${prefix}_SERVICE_PORT_${variableName(name)}`, value: String(port) });
    }
  }
  for (const [index, { port, protocol = "TCP" }] of ports.entries()) {
    const low = protocol.toLowerCase();
    const url = `${low}://${host}:${port}`;
    const one = `${prefix}_PORT_${port}_${protocol}`;
    if (index === 0) out.push({ name: `${prefix}_PORT`, value: url });
    out.push({ name: one, value: url });
    out.push({ name: `${one}_PROTO`, value: low });
    out.push({ name: `${one}_PORT`, value: String(port) });
    out.push({ name: `${one}_ADDR`, value: ip });
  }
  return out;
}

function keyOf(
  source: EnvSource,
  kind: NeededObject["kind"],
  ref: { name?: string; key: string; optional?: boolean },
): string | undefined {
  const name = ref.name ?? "";
  const data = source.data({ kind, name });
  const value = data?.[ref.key];
  if (value !== undefined || ref.optional === true) return value;
  if (data === undefined) throw new ConfigError(`${kind.toLowerCase()} "${name}" not found`);
  const word = kind === "secret" ? "Secret" : "ConfigMap";
  const namespace = source.pod.metadata.namespace ?? "";
  throw new ConfigError(`couldn't find key ${ref.key} in ${word} ${namespace}/${name}`);
}

function valueFrom(source: EnvSource, from: EnvVarSource, container: string): string | undefined {
  if (from.fieldRef) return fieldText(source, from.fieldRef.fieldPath);
  if (from.resourceFieldRef) return resourceText(source, from.resourceFieldRef, container);
  if (from.configMapKeyRef) return keyOf(source, "configMap", from.configMapKeyRef);
  if (from.secretKeyRef) return keyOf(source, "secret", from.secretKeyRef);
  if (from.fileKeyRef) throw new ConfigError("fileKeyRef is not supported on this node");
  return "";
}

function fromObjects(source: EnvSource, container: Container, into: Map<string, string>): void {
  for (const { prefix = "", configMapRef, secretRef } of container.envFrom ?? []) {
    const kind = configMapRef ? "configMap" : "secret";
    const ref = configMapRef ?? secretRef;
    if (ref === undefined) continue;
    const data = source.data({ kind, name: ref.name ?? "" });
    if (data === undefined && ref.optional !== true) {
      throw new ConfigError(`${kind.toLowerCase()} "${ref.name ?? ""}" not found`);
    }
    for (const [key, value] of Object.entries(data ?? {})) into.set(prefix + key, value);
  }
}

function oneVariable(
  source: EnvSource,
  variable: EnvVar,
  container: string,
  lookup: (name: string) => string | undefined,
): string | undefined {
  if (variable.value) return expand(variable.value, lookup);
  return variable.valueFrom ? valueFrom(source, variable.valueFrom, container) : "";
}

/** All variables, in the order of the spec. Throws ConfigError. */
export function environment(source: EnvSource, container: Container): Variable[] {
  const links = source.pod.spec?.enableServiceLinks ?? true;
  const services = new Map<string, string>();
  for (const service of source.services) {
    const master = service.metadata?.name === "kubernetes";
    if (!links && !(master && service.metadata?.namespace === "default")) continue;
    for (const { name, value } of serviceVariables(service)) services.set(name, value);
  }
  const result = new Map<string, string>();
  fromObjects(source, container, result);
  const lookup = (name: string) => result.get(name) ?? services.get(name);
  for (const variable of container.env ?? []) {
    const value = oneVariable(source, variable, container.name, lookup);
    if (value !== undefined) result.set(variable.name, value);
  }
  for (const [name, value] of services) if (!result.has(name)) result.set(name, value);
  return [...result].map(([name, value]) => ({ name, value }));
}
