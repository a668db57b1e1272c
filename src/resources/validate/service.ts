/** Services (core validation; "Service", "IPv4/IPv6 dual-stack"). */
import { isExternal } from "#resources/defaults/service.ts";
import { type Cause, duplicate, forbidden, invalid, required } from "#resources/field.ts";
import { checkLabels } from "#resources/names.ts";
import type { Service, ServicePort, ServiceSpec } from "#resources/types.gen.ts";
import {
  byRule,
  each,
  immutable,
  port,
  portOrName,
  requiredWord,
  supported,
} from "#resources/validate/basic.ts";
import { PROTOCOLS } from "#resources/validate/container.ts";
import { checkCidr, checkEndpointIp, checkIp, familyOf } from "#resources/validate/ip.ts";
import { checkBalancerPoint } from "#resources/validate/status.ts";
import { labelErrors, qualifiedNameErrors, subdomainErrors } from "#resources/validate/text.ts";

const AFFINITY_SECONDS_MAX = 86_400;
const TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const POLICIES = ["Cluster", "Local"];
const FAMILY_POLICIES = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const DISTRIBUTIONS = ["PreferClose", "PreferSameZone", "PreferSameNode"];
const ONLY_BALANCER = "may only be used when `type` is 'LoadBalancer'";

const isHeadless = (spec: ServiceSpec): boolean =>
  spec.clusterIPs?.length === 1 && spec.clusterIPs[0] === "None";

const needsHealthPort = (spec: ServiceSpec): boolean =>
  spec.type === "LoadBalancer" && spec.externalTrafficPolicy === "Local";

function portCauses(service: ServicePort, path: string, needsName: boolean): Cause[] {
  const { name, protocol, targetPort, appProtocol } = service;
  return [
    ...(needsName && !name ? [required(`${path}.name`)] : []),
    ...(name ? byRule(labelErrors, name, `${path}.name`) : []),
    ...port(service.port, `${path}.port`),
    ...requiredWord(protocol, PROTOCOLS, `${path}.protocol`),
    ...portOrName(targetPort, `${path}.targetPort`),
    ...(appProtocol === undefined
      ? []
      : byRule(qualifiedNameErrors, appProtocol, `${path}.appProtocol`)),
  ];
}

/** As upstream shows it: all fields of its own type, of which two count. */
const shownPort = (protocol: string, port: number) => ({
  Name: "",
  Protocol: protocol,
  AppProtocol: null,
  Port: port,
  TargetPort: 0,
  NodePort: 0,
});

function portsCauses(spec: ServiceSpec): Cause[] {
  const ports = spec.ports ?? [];
  const names = new Set<string>();
  const nodePorts = new Set<string>();
  const numbers = new Set<string>();
  return each(ports, "spec.ports", (service, at) => {
    const causes = portCauses(service, at, ports.length > 1);
    const { name, protocol = "", nodePort } = service;
    if (name && names.has(name)) causes.push(duplicate(`${at}.name`, name));
    if (name) names.add(name);
    if (nodePort) {
      if (spec.type === "ClusterIP") {
        causes.push(forbidden(`${at}.nodePort`, "may not be used when `type` is 'ClusterIP'"));
      }
      const key = `${protocol}/${nodePort}`;
      if (nodePorts.has(key)) causes.push(duplicate(`${at}.nodePort`, nodePort));
      nodePorts.add(key);
    }
    const key = `${protocol}/${service.port}`;
    if (numbers.has(key)) causes.push(duplicate(at, shownPort(protocol, service.port)));
    numbers.add(key);
    return causes;
  });
}

function externalNameCauses(spec: ServiceSpec): Cause[] {
  const detail = "may not be set for ExternalName services";
  const causes: Cause[] = [];
  if ((spec.clusterIPs ?? []).length > 0) causes.push(forbidden("spec.clusterIPs", detail));
  if ((spec.ipFamilies ?? []).length > 0) causes.push(forbidden("spec.ipFamilies", detail));
  if (spec.ipFamilyPolicy !== undefined) causes.push(forbidden("spec.ipFamilyPolicy", detail));
  const name = (spec.externalName ?? "").replace(/\.$/, "");
  if (name === "") return [...causes, required("spec.externalName")];
  return [...causes, ...byRule(subdomainErrors, name, "spec.externalName")];
}

function typeCauses(spec: ServiceSpec): Cause[] {
  const causes: Cause[] = [];
  const headless = isHeadless(spec);
  if ((spec.ports ?? []).length === 0 && !headless && spec.type !== "ExternalName") {
    causes.push(required("spec.ports"));
  }
  if (headless && (spec.type === "LoadBalancer" || spec.type === "NodePort")) {
    const detail = `may not be set to 'None' for ${spec.type} services`;
    causes.push(invalid("spec.clusterIPs[0]", "None", detail));
  }
  return spec.type === "ExternalName" ? [...causes, ...externalNameCauses(spec)] : causes;
}

function affinityCauses(spec: ServiceSpec): Cause[] {
  const causes = requiredWord(spec.sessionAffinity, ["ClientIP", "None"], "spec.sessionAffinity");
  const at = "spec.sessionAffinityConfig";
  if (spec.sessionAffinity === "None" && spec.sessionAffinityConfig) {
    causes.push(forbidden(at, "must not be set when session affinity is None"));
  }
  if (spec.sessionAffinity !== "ClientIP") return causes;
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (seconds === undefined) {
    return [...causes, required(at, "when session affinity type is ClientIP")];
  }
  if (seconds > 0 && seconds <= AFFINITY_SECONDS_MAX) return causes;
  const detail = `must be greater than 0 and less than ${AFFINITY_SECONDS_MAX}`;
  return [...causes, invalid(`${at}.clientIP.timeoutSeconds`, seconds, detail)];
}

function familyCauses(spec: ServiceSpec): Cause[] {
  const seen = new Set<string>();
  const causes = each(spec.ipFamilies, "spec.ipFamilies", (family, at) => {
    const found = supported(family, ["IPv4", "IPv6"], at);
    if (seen.has(family)) found.push(duplicate(at, family));
    seen.add(family);
    return found;
  });
  return [...causes, ...supported(spec.ipFamilyPolicy, FAMILY_POLICIES, "spec.ipFamilyPolicy")];
}

/** `clusterIP` is the first of `clusterIPs`. */
function pairCauses(spec: ServiceSpec): Cause[] {
  const { clusterIP, clusterIPs = [] } = spec;
  const at = "spec.clusterIPs";
  if (!clusterIP) {
    if (clusterIPs.length === 0) return [];
    return [invalid(at, clusterIPs, "must be empty when `clusterIP` is not specified")];
  }
  if (clusterIPs.length === 0) return [required(at)];
  return clusterIPs[0] === clusterIP
    ? []
    : [invalid(at, clusterIPs, "first value must match `clusterIP`")];
}

function addressCauses(spec: ServiceSpec): Cause[] {
  if (spec.type === "ExternalName") return [];
  const { clusterIPs = [] } = spec;
  const at = "spec.clusterIPs";
  const causes = [...pairCauses(spec), ...familyCauses(spec)];
  if (clusterIPs[0] === "None") {
    if (clusterIPs.length === 1) return causes;
    causes.push(invalid(at, clusterIPs, "'None' must be the first and only value"));
    return [...causes, ...each(clusterIPs, at, (ip, path, i) => (i ? checkIp(ip, path) : []))];
  }
  const bad = each(clusterIPs, at, checkIp);
  if (bad.length > 0) return [...causes, ...bad];
  if (clusterIPs.length > 2) causes.push(invalid(at, clusterIPs, "may only hold up to 2 values"));
  if (new Set(clusterIPs.map(familyOf)).size < clusterIPs.length) {
    const detail = "may specify no more than one IP for each IP family";
    causes.push(invalid(at, clusterIPs, detail));
  }
  const families = each(clusterIPs, at, (ip, path, index) => {
    const family = spec.ipFamilies?.[index];
    if (!family || family === familyOf(ip)) return [];
    return [
      invalid(path, ip, `expected an ${family} value as indicated by \`ipFamilies[${index}]\``),
    ];
  });
  return [...causes, ...families];
}

function balancerCauses(spec: ServiceSpec): Cause[] {
  const isBalancer = spec.type === "LoadBalancer";
  const causes: Cause[] = [];
  const ranges = spec.loadBalancerSourceRanges ?? [];
  const at = "spec.LoadBalancerSourceRanges";
  if (ranges.length > 0 && !isBalancer) causes.push(forbidden(at, ONLY_BALANCER));
  causes.push(...each(ranges, at, (range, path) => checkCidr(range.trim(), path)));
  if (spec.allocateLoadBalancerNodePorts !== undefined && !isBalancer) {
    causes.push(forbidden("spec.allocateLoadBalancerNodePorts", ONLY_BALANCER));
  }
  const name = spec.loadBalancerClass;
  if (name === undefined) return causes;
  const path = "spec.loadBalancerClass";
  if (isBalancer) return [...causes, ...byRule(qualifiedNameErrors, name, path)];
  return [...causes, forbidden(path, ONLY_BALANCER)];
}

function trafficCauses(spec: ServiceSpec): Cause[] {
  const causes: Cause[] = [];
  const policy = spec.externalTrafficPolicy;
  const at = "spec.externalTrafficPolicy";
  if (isExternal(spec)) causes.push(...requiredWord(policy, POLICIES, at));
  else if (policy) {
    causes.push(invalid(at, policy, "may only be set for externally-accessible services"));
  }
  const healthPort = spec.healthCheckNodePort;
  if (needsHealthPort(spec)) {
    if (healthPort) causes.push(...port(healthPort, "spec.healthCheckNodePort"));
    else causes.push(required("spec.healthCheckNodePort"));
  } else if (healthPort) {
    const detail =
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    causes.push(invalid("spec.healthCheckNodePort", healthPort, detail));
  }
  return [
    ...causes,
    ...supported(spec.internalTrafficPolicy, POLICIES, "spec.internalTrafficPolicy"),
    ...supported(spec.trafficDistribution, DISTRIBUTIONS, "spec.trafficDistribution"),
  ];
}

const externalIpCauses = (ip: string, at: string): Cause[] => {
  const causes = checkIp(ip, at);
  return causes.length > 0 ? causes : checkEndpointIp(ip, at);
};

/** An address or a family stays; a second one may come and go. */
function changeCauses(
  spec: ServiceSpec,
  old: ServiceSpec,
  list: "clusterIPs" | "ipFamilies",
): Cause[] {
  const next = spec[list] ?? [];
  const before = old[list] ?? [];
  const at = `spec.${list}`;
  const what = list === "clusterIPs" ? "clusterIP" : "ipFamily";
  if (before.length > 0 && next.length === 0) {
    return [invalid(`${at}[0]`, spec[list] ?? null, `primary ${what} can not be unset`)];
  }
  const count = next.length === before.length ? next.length : Math.min(1, before.length);
  const causes = before.slice(0, count).flatMap((value, index) => {
    if (value === next[index]) return [];
    return [invalid(`${at}[${index}]`, next, "may not change once set")];
  });
  if (before.length > next.length && next.length === 1 && spec.ipFamilyPolicy !== "SingleStack") {
    const detail = `must be set to 'SingleStack' when releasing the secondary ${what}`;
    causes.push(invalid("spec.ipFamilyPolicy", spec.ipFamilyPolicy ?? null, detail));
  }
  return causes;
}

function updateCauses(spec: ServiceSpec, old: ServiceSpec): Cause[] {
  const causes: Cause[] = [];
  const named = spec.type === "ExternalName" || old.type === "ExternalName";
  const headless = isHeadless(spec);
  if (!named && !(headless && isHeadless(old))) {
    causes.push(...changeCauses(spec, old, "clusterIPs"));
  }
  if (!named && !headless && !isHeadless(old)) {
    causes.push(...changeCauses(spec, old, "ipFamilies"));
  }
  if (spec.type === "LoadBalancer" && old.type === "LoadBalancer") {
    if (spec.loadBalancerClass !== old.loadBalancerClass) {
      const value = spec.loadBalancerClass ?? null;
      causes.push(invalid("spec.loadBalancerClass", value, "may not change once set"));
    }
  }
  if (needsHealthPort(spec) && needsHealthPort(old)) {
    const changed = immutable(spec.healthCheckNodePort, old.healthCheckNodePort, "");
    if (changed.length > 0) {
      causes.push(forbidden("spec.healthCheckNodePort", "field is immutable"));
    }
  }
  return causes;
}

function statusCauses(service: Service): Cause[] {
  const at = "status.loadBalancer.ingress";
  const points = service.status?.loadBalancer?.ingress ?? [];
  if (points.length > 0 && service.spec?.type !== "LoadBalancer") {
    return [forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'")];
  }
  return each(points, at, (point, path) => {
    const { ip, ipMode } = point;
    const mode = `${path}.ipMode`;
    const causes = checkBalancerPoint(point, path);
    if (ipMode === undefined) return causes;
    if (!ip) return [...causes, forbidden(mode, "may not be specified when `ip` is not set")];
    return [...causes, ...supported(ipMode, ["Proxy", "VIP"], mode)];
  });
}

export function validateService(
  service: Service,
  old: Service | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") return statusCauses(service);
  const spec = service.spec ?? {};
  return [
    ...(old ? updateCauses(spec, old.spec ?? {}) : []),
    ...typeCauses(spec),
    ...portsCauses(spec),
    ...checkLabels(spec.selector, "spec.selector"),
    ...affinityCauses(spec),
    ...addressCauses(spec),
    ...each(spec.externalIPs, "spec.externalIPs", externalIpCauses),
    ...requiredWord(spec.type, TYPES, "spec.type"),
    ...balancerCauses(spec),
    ...trafficCauses(spec),
  ];
}
