/**
 * The baseline of the Pod Security Standards.
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline
 */
import {
  containerList,
  containersOf,
  type Finding,
  namesWhere,
  plural,
  quotedList,
  setters,
  sorted,
} from "#api/admission/podsecurity/visit.ts";
import { SAFE_SYSCTLS } from "#resources/sysctls.ts";
import type { Container, Pod, PodSpec } from "#resources/types.gen.ts";

export type Check = (spec: PodSpec, pod: Pod) => Finding | undefined;

const DEFAULT_CAPABILITIES = new Set([
  "AUDIT_WRITE",
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "MKNOD",
  "NET_BIND_SERVICE",
  "SETFCAP",
  "SETGID",
  "SETPCAP",
  "SETUID",
  "SYS_CHROOT",
]);

const SELINUX_TYPES = new Set([
  "",
  "container_t",
  "container_init_t",
  "container_kvm_t",
  "container_engine_t",
]);

const APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/";

const appArmor: Check = (spec, pod) => {
  const bad = (type: string | undefined): boolean => type === "Unconfined";
  const podBad = bad(spec.securityContext?.appArmorProfile?.type);
  const names = namesWhere(spec, (c) => bad(c.securityContext?.appArmorProfile?.type));
  const annotations = Object.entries(pod.metadata?.annotations ?? {})
    .filter(([key, value]) => key.startsWith(APPARMOR_ANNOTATION) && value === "unconfined")
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort();
  const parts = [setters(podBad, names)].filter((part) => part !== "");
  if (annotations.length > 0) {
    parts.push(`${plural(annotations.length, "annotation")} ${annotations.join(", ")}`);
  }
  if (parts.length === 0) return undefined;
  const values = podBad || names.length > 0 ? ["Unconfined"] : ["unconfined"];
  return {
    reason: "forbidden AppArmor profile",
    detail: `${parts.join(" and ")} must not set AppArmor profile type to ${quotedList(values)}`,
  };
};

export const capabilities: Check = (spec) => {
  const extra = (c: Container): string[] =>
    (c.securityContext?.capabilities?.add ?? []).filter((cap) => !DEFAULT_CAPABILITIES.has(cap));
  const names = namesWhere(spec, (c) => extra(c).length > 0);
  if (names.length === 0) return undefined;
  const added = sorted(containersOf(spec).flatMap(extra));
  return {
    reason: "non-default capabilities",
    detail:
      `${containerList(names)} must not include ${quotedList(added)} in ` +
      `securityContext.capabilities.add`,
  };
};

const hostNamespaces: Check = (spec) => {
  const shared = (["hostNetwork", "hostPID", "hostIPC"] as const).filter((name) => spec[name]);
  if (shared.length === 0) return undefined;
  return { reason: "host namespaces", detail: shared.map((name) => `${name}=true`).join(", ") };
};

export const hostPathVolumes: Check = (spec) => {
  const names = (spec.volumes ?? []).filter((v) => v.hostPath !== undefined).map((v) => v.name);
  if (names.length === 0) return undefined;
  return {
    reason: "hostPath volumes",
    detail: `${plural(names.length, "volume")} ${quotedList(names)}`,
  };
};

const hostPorts: Check = (spec) => {
  const portsOf = (c: Container): string[] =>
    (c.ports ?? []).flatMap(({ hostPort }) => (hostPort ? [String(hostPort)] : []));
  const names = namesWhere(spec, (c) => portsOf(c).length > 0);
  if (names.length === 0) return undefined;
  const ports = sorted(containersOf(spec).flatMap(portsOf));
  const uses = plural(names.length, "uses", "use");
  return {
    reason: "hostPort",
    detail:
      `${containerList(names)} ${uses} ${plural(ports.length, "hostPort")} ` +
      `${ports.join(", ")}`,
  };
};

const probeHosts: Check = (spec) => {
  const hostsOf = (c: Container): string[] =>
    [
      c.livenessProbe,
      c.readinessProbe,
      c.startupProbe,
      c.lifecycle?.postStart,
      c.lifecycle?.preStop,
    ].flatMap((handler) => [handler?.httpGet?.host ?? "", handler?.tcpSocket?.host ?? ""]);
  const local = new Set(["", "127.0.0.1", "::1"]);
  const bad = (c: Container): string[] => hostsOf(c).filter((host) => !local.has(host));
  const names = sorted(namesWhere(spec, (c) => bad(c).length > 0));
  if (names.length === 0) return undefined;
  const hosts = sorted(containersOf(spec).flatMap(bad));
  const uses = plural(names.length, "uses", "use");
  const what = plural(hosts.length, "probe or lifecycle host");
  return {
    reason: "probe or lifecycle host",
    detail: `${containerList(names)} ${uses} ${what} ${quotedList(hosts)}`,
  };
};

const privileged: Check = (spec) => {
  const names = namesWhere(spec, (c) => c.securityContext?.privileged === true);
  if (names.length === 0) return undefined;
  return {
    reason: "privileged",
    detail: `${containerList(names)} must not set securityContext.privileged=true`,
  };
};

const procMount: Check = (spec) => {
  const bad = (c: Container): boolean =>
    c.securityContext?.procMount !== undefined && c.securityContext.procMount !== "Default";
  const names = namesWhere(spec, bad);
  if (names.length === 0) return undefined;
  const types = sorted(
    containersOf(spec)
      .filter(bad)
      .map((c) => c.securityContext?.procMount ?? ""),
  );
  return {
    reason: "procMount",
    detail:
      `${containerList(names)} must not set securityContext.procMount to ` + `${quotedList(types)}`,
  };
};

interface SeLinux {
  readonly type?: string;
  readonly user?: string;
  readonly role?: string;
}

const seLinuxOptions: Check = (spec) => {
  const bad = (options: SeLinux | undefined): boolean =>
    options !== undefined &&
    (!SELINUX_TYPES.has(options.type ?? "") || Boolean(options.user) || Boolean(options.role));
  const pod = spec.securityContext?.seLinuxOptions;
  const names = namesWhere(spec, (c) => bad(c.securityContext?.seLinuxOptions));
  if (!bad(pod) && names.length === 0) return undefined;
  const all = [pod, ...containersOf(spec).map((c) => c.securityContext?.seLinuxOptions)];
  const types = sorted(
    all.flatMap((o) => (SELINUX_TYPES.has(o?.type ?? "") ? [] : (o?.type ?? []))),
  );
  const data: string[] = [];
  if (types.length > 0) data.push(`${plural(types.length, "type")} ${quotedList(types)}`);
  if (all.some((o) => o?.user)) data.push("user may not be set");
  if (all.some((o) => o?.role)) data.push("role may not be set");
  return {
    reason: "seLinuxOptions",
    detail:
      `${setters(bad(pod), names)} set forbidden securityContext.seLinuxOptions: ` +
      `${data.join("; ")}`,
  };
};

export const seccompBaseline: Check = (spec) => {
  const bad = (type: string | undefined): boolean => type === "Unconfined";
  const pod = bad(spec.securityContext?.seccompProfile?.type);
  const names = namesWhere(spec, (c) => bad(c.securityContext?.seccompProfile?.type));
  if (!pod && names.length === 0) return undefined;
  return {
    reason: "seccompProfile",
    detail:
      `${setters(pod, names)} must not set securityContext.seccompProfile.type to ` +
      `"Unconfined"`,
  };
};

const sysctls: Check = (spec) => {
  const bad = (spec.securityContext?.sysctls ?? [])
    .map(({ name }) => name)
    .filter((name) => !SAFE_SYSCTLS.has(name));
  if (bad.length === 0) return undefined;
  return { reason: "forbidden sysctls", detail: bad.join(", ") };
};

const windowsHostProcess: Check = (spec) => {
  const pod = spec.securityContext?.windowsOptions?.hostProcess === true;
  const names = namesWhere(spec, (c) => c.securityContext?.windowsOptions?.hostProcess === true);
  if (!pod && names.length === 0) return undefined;
  return {
    reason: "hostProcess",
    detail: `${setters(pod, names)} must not set securityContext.windowsOptions.hostProcess=true`,
  };
};

export const baselineChecks: readonly Check[] = [
  appArmor,
  capabilities,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  probeHosts,
  privileged,
  procMount,
  seLinuxOptions,
  seccompBaseline,
  sysctls,
  windowsHostProcess,
];
