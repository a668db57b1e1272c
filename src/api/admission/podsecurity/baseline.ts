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

/** `minor`: 34 for the standards of v1.34. */
export type Check = (spec: PodSpec, pod: Pod, minor: number) => Finding | undefined;

/** A check that older versions of the standards do not have. */
export const since =
  (first: number, check: Check): Check =>
  (spec, pod, minor) =>
    minor < first ? undefined : check(spec, pod, minor);

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

/** Types that may be set, and since when. */
const SELINUX_TYPES: Readonly<Record<string, number>> = {
  "": 0,
  container_t: 0,
  container_init_t: 0,
  container_kvm_t: 0,
  container_engine_t: 31,
};

const APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/";
const APPARMOR_TYPES = new Set(["RuntimeDefault", "Localhost"]);

const isFine = (profile: string): boolean =>
  profile === "" || profile === "runtime/default" || profile.startsWith("localhost/");

const appArmor: Check = (spec, pod) => {
  const ofPod = spec.securityContext?.appArmorProfile?.type ?? "RuntimeDefault";
  const typeOf = (c: Container): string =>
    c.securityContext?.appArmorProfile?.type ?? "RuntimeDefault";
  const podBad = !APPARMOR_TYPES.has(ofPod);
  const names = namesWhere(spec, (c) => !APPARMOR_TYPES.has(typeOf(c)));
  const types = [ofPod, ...containersOf(spec).map(typeOf)];
  const annotations = Object.entries(pod.metadata?.annotations ?? {})
    .filter(([key, value]) => key.startsWith(APPARMOR_ANNOTATION) && !isFine(value))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort();
  const parts = [setters(podBad, names)].filter((part) => part !== "");
  if (annotations.length > 0) parts.push(plural(annotations.length, "annotation"));
  if (parts.length === 0) return undefined;
  // Upstream puts annotations, with quotes of their own, into quotes as they are.
  const values = [...sorted(types.filter((type) => !APPARMOR_TYPES.has(type))), ...annotations];
  return {
    reason: plural(values.length, "forbidden AppArmor profile"),
    detail:
      `${parts.join(" and ")} must not set AppArmor profile type to ` +
      values.map((value) => `"${value}"`).join(", "),
  };
};

const capabilities: Check = (spec) => {
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

const hostPathVolumes: Check = (spec) => {
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

const probeHosts: Check = since(34, (spec) => {
  const hostsOf = (c: Container): string[] =>
    [
      c.livenessProbe,
      c.readinessProbe,
      c.startupProbe,
      c.lifecycle?.postStart,
      c.lifecycle?.preStop,
    ].flatMap((handler) => [handler?.httpGet?.host ?? "", handler?.tcpSocket?.host ?? ""]);
  const bad = (c: Container): string[] => hostsOf(c).filter((host) => host !== "");
  const names = sorted(namesWhere(spec, (c) => bad(c).length > 0));
  if (names.length === 0) return undefined;
  const hosts = sorted(containersOf(spec).flatMap(bad));
  const uses = plural(names.length, "uses", "use");
  const what = plural(hosts.length, "probe or lifecycle host");
  return {
    reason: "probe or lifecycle host",
    detail: `${containerList(names)} ${uses} ${what} ${quotedList(hosts)}`,
  };
});

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

const seLinuxOptions: Check = (spec, _pod, minor) => {
  const isKnown = (type = ""): boolean => (SELINUX_TYPES[type] ?? Number.NaN) <= minor;
  const bad = (options: SeLinux | undefined): boolean =>
    options !== undefined &&
    (!isKnown(options.type) || Boolean(options.user) || Boolean(options.role));
  const pod = spec.securityContext?.seLinuxOptions;
  const names = namesWhere(spec, (c) => bad(c.securityContext?.seLinuxOptions));
  if (!bad(pod) && names.length === 0) return undefined;
  const all = [pod, ...containersOf(spec).map((c) => c.securityContext?.seLinuxOptions)];
  const types = sorted(all.flatMap((o) => (isKnown(o?.type) ? [] : (o?.type ?? []))));
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

const SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/";

/** Profiles were told in annotations before they had fields. */
const seccompAnnotations: Check = (spec, pod) => {
  const given = pod.metadata?.annotations ?? {};
  const isGood = (value: string): boolean =>
    ["runtime/default", "docker/default"].includes(value) || value.startsWith("localhost/");
  const keys = [SECCOMP_POD, ...containersOf(spec).map(({ name }) => SECCOMP_CONTAINER + name)];
  const bad = sorted(keys).flatMap((key) => {
    const value = given[key];
    return value === undefined || isGood(value) ? [] : [`${key}=${JSON.stringify(value)}`];
  });
  if (bad.length === 0) return undefined;
  const detail = `forbidden ${plural(bad.length, "annotation")} ${bad.join(", ")}`;
  return { reason: "seccompProfile", detail };
};

const seccompBaseline: Check = (spec, pod, minor) => {
  if (minor < 19) return seccompAnnotations(spec, pod, minor);
  const bad = (type: string | undefined): boolean => type === "Unconfined";
  const podBad = bad(spec.securityContext?.seccompProfile?.type);
  const names = namesWhere(spec, (c) => bad(c.securityContext?.seccompProfile?.type));
  if (!podBad && names.length === 0) return undefined;
  return {
    reason: "seccompProfile",
    detail:
      `${setters(podBad, names)} must not set securityContext.seccompProfile.type to ` +
      `"Unconfined"`,
  };
};

/** Since when those are safe that were not from the beginning. */
const SYSCTLS_SINCE: Readonly<Record<string, number>> = {
  "net.ipv4.ip_local_reserved_ports": 27,
  "net.ipv4.tcp_keepalive_time": 29,
  "net.ipv4.tcp_fin_timeout": 29,
  "net.ipv4.tcp_keepalive_intvl": 29,
  "net.ipv4.tcp_keepalive_probes": 29,
  "net.ipv4.tcp_rmem": 32,
  "net.ipv4.tcp_wmem": 32,
};

const sysctls: Check = (spec, _pod, minor) => {
  const bad = (spec.securityContext?.sysctls ?? [])
    .map(({ name }) => name)
    .filter((name) => !SAFE_SYSCTLS.has(name) || (SYSCTLS_SINCE[name] ?? 0) > minor);
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

/** Checks that stricter ones of the next level stand in for, from a version on. */
export const REPLACED_SINCE: ReadonlyMap<Check, number> = new Map([
  [capabilities, 22],
  [hostPathVolumes, 0],
  [seccompBaseline, 19],
]);

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
