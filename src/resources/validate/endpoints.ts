/** Endpoints and EndpointSlices (core and discovery validation). */
import { type Cause, duplicate, invalid, required, tooMany } from "#resources/field.ts";
import type {
  DiscoveryV1EndpointPort,
  Endpoint,
  EndpointAddress,
  EndpointHints,
  EndpointPort,
  EndpointSlice,
  Endpoints,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  immutable,
  port,
  requiredWord,
  supported,
} from "#resources/validate/basic.ts";
import { PROTOCOLS } from "#resources/validate/container.ts";
import { checkEndpointIp, checkIp, familyOf } from "#resources/validate/ip.ts";
import {
  labelErrors,
  labelValueErrors,
  qualifiedNameErrors,
  subdomainErrors,
} from "#resources/validate/text.ts";

const ENDPOINTS_MAX = 1000;
const ADDRESSES_MAX = 100;
const PORTS_MAX = 20_000;
const HINTS_MAX = 8;

const addressCauses = (address: EndpointAddress, path: string): Cause[] => {
  const { ip = "", hostname, nodeName } = address;
  return [
    ...checkIp(ip, `${path}.ip`),
    ...(hostname ? byRule(labelErrors, hostname, `${path}.hostname`) : []),
    ...(nodeName === undefined ? [] : byRule(subdomainErrors, nodeName, `${path}.nodeName`)),
    ...checkEndpointIp(ip, `${path}.ip`),
  ];
};

const appProtocol = (value: string | undefined, path: string): Cause[] =>
  value === undefined ? [] : byRule(qualifiedNameErrors, value, `${path}.appProtocol`);

const portCauses = (endpoint: EndpointPort, path: string, needsName: boolean): Cause[] => [
  ...(needsName && !endpoint.name ? [required(`${path}.name`)] : []),
  ...(endpoint.name ? byRule(labelErrors, endpoint.name, `${path}.name`) : []),
  ...port(endpoint.port, `${path}.port`),
  ...requiredWord(endpoint.protocol, PROTOCOLS, `${path}.protocol`),
  ...appProtocol(endpoint.appProtocol, path),
];

export const validateEndpoints = (endpoints: Endpoints): Cause[] =>
  each(endpoints.subsets, "subsets", ({ addresses, notReadyAddresses, ports }, at) => {
    const empty = (addresses ?? []).length + (notReadyAddresses ?? []).length === 0;
    return [
      ...(empty ? [required(at, "must specify `addresses` or `notReadyAddresses`")] : []),
      ...each(addresses, `${at}.addresses`, addressCauses),
      ...each(notReadyAddresses, `${at}.notReadyAddresses`, addressCauses),
      ...each(ports, `${at}.ports`, (endpoint, path) =>
        portCauses(endpoint, path, (ports ?? []).length > 1),
      ),
    ];
  });

function domainCauses(name: string, path: string): Cause[] {
  const domain = name.replace(/\.$/, "");
  if (domain === "") return [required(path)];
  const causes = byRule(subdomainErrors, domain, path);
  if (causes.length > 0 || domain.includes(".")) return causes;
  const detail = "should be a domain with at least two segments separated by dots";
  return [invalid(path, domain, detail)];
}

function sliceAddress(
  type: string | undefined,
  address: string,
  path: string,
  list: string,
): Cause[] {
  if (type === "FQDN") return domainCauses(address, path);
  if (type !== "IPv4" && type !== "IPv6") return [];
  const causes = checkIp(address, path);
  if (causes.length > 0) return causes;
  if (familyOf(address) !== type) return [invalid(list, address, `must be an ${type} address`)];
  return checkEndpointIp(address, path);
}

function hintCauses(hints: EndpointHints | undefined, path: string): Cause[] {
  return (["forZones", "forNodes"] as const).flatMap((list) => {
    const entries = hints?.[list] ?? [];
    const at = `${path}.${list}`;
    if (entries.length > HINTS_MAX) return [tooMany(at, entries.length, HINTS_MAX)];
    const seen = new Set<string>();
    const rule = list === "forZones" ? labelValueErrors : subdomainErrors;
    return each(entries, at, ({ name }, index) => {
      const causes = seen.has(name) ? [duplicate(`${index}.name`, name)] : [];
      seen.add(name);
      return [...causes, ...byRule(rule, name, `${index}.name`)];
    });
  });
}

function endpointCauses(endpoint: Endpoint, type: string | undefined, path: string): Cause[] {
  const list = `${path}.addresses`;
  const addresses = endpoint.addresses ?? [];
  const causes: Cause[] = [];
  if (addresses.length === 0) causes.push(required(list, "must contain at least 1 address"));
  if (addresses.length > ADDRESSES_MAX) {
    causes.push(tooMany(list, addresses.length, ADDRESSES_MAX));
  }
  causes.push(...each(addresses, list, (address, at) => sliceAddress(type, address, at, list)));
  if (endpoint.nodeName !== undefined) {
    causes.push(...byRule(subdomainErrors, endpoint.nodeName, `${path}.nodeName`));
  }
  if (endpoint.hostname !== undefined) {
    causes.push(...byRule(labelErrors, endpoint.hostname, `${path}.hostname`));
  }
  return [...causes, ...hintCauses(endpoint.hints, `${path}.hints`)];
}

function slicePorts(ports: readonly DiscoveryV1EndpointPort[] | undefined): Cause[] {
  const seen = new Set<string>();
  return each(ports, "ports", ({ name = "", protocol, appProtocol: application }, at) => {
    const causes = name ? byRule(labelErrors, name, `${at}.name`) : [];
    if (seen.has(name)) causes.push(duplicate(`${at}.name`, name));
    seen.add(name);
    return [
      ...causes,
      ...(protocol === undefined
        ? [required(`${at}.protocol`)]
        : supported(protocol, PROTOCOLS, `${at}.protocol`)),
      ...appProtocol(application, at),
    ];
  });
}

export function validateEndpointSlice(
  slice: EndpointSlice,
  old: EndpointSlice | undefined,
): Cause[] {
  const { addressType, endpoints, ports } = slice;
  const causes = requiredWord(addressType, ["FQDN", "IPv4", "IPv6"], "addressType");
  if ((ports ?? []).length > PORTS_MAX) {
    causes.push(tooMany("ports", ports?.length ?? 0, PORTS_MAX));
  }
  if ((endpoints ?? []).length > ENDPOINTS_MAX) {
    causes.push(tooMany("endpoints", endpoints?.length ?? 0, ENDPOINTS_MAX));
  }
  return [
    ...causes,
    ...slicePorts(ports),
    ...each(endpoints, "endpoints", (endpoint, at) => endpointCauses(endpoint, addressType, at)),
    ...(old ? immutable(addressType ?? "", old.addressType, "addressType") : []),
  ];
}
