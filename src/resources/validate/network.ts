/** Network policies, service ranges and addresses (networking validation). */
import { BlockList, isIP } from "node:net";
import { type Cause, forbidden, invalid, required } from "#resources/field.ts";
import type {
  IPAddress,
  IPBlock,
  NetworkPolicy,
  NetworkPolicyPeer,
  NetworkPolicyPort,
  ServiceCIDR,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  immutable,
  port as portNumber,
  portOrName,
  requiredByRule,
  supported,
} from "#resources/validate/basic.ts";
import { checkCidr, familyOf, isCidr } from "#resources/validate/ip.ts";
import { checkSelector } from "#resources/validate/selector.ts";
import { pathErrors, subdomainErrors } from "#resources/validate/text.ts";

const PROTOCOLS = ["TCP", "UDP", "SCTP"];

function portCauses({ protocol, port, endPort }: NetworkPolicyPort, at: string): Cause[] {
  const causes = supported(protocol, PROTOCOLS, `${at}.protocol`);
  if (port !== undefined) causes.push(...portOrName(port, `${at}.port`));
  if (endPort === undefined) return causes;
  const path = `${at}.endPort`;
  if (port === undefined) {
    return [...causes, invalid(path, endPort, "may not be specified when `port` is not specified")];
  }
  if (typeof port === "string") {
    return [...causes, invalid(path, endPort, "may not be specified when `port` is non-numeric")];
  }
  if (endPort < port) {
    causes.push(invalid(path, port, "must be greater than or equal to `port`"));
  }
  return [...causes, ...portNumber(endPort, path)];
}

const ends = (cidr: string): [string, number] => {
  const [ip = "", bits = ""] = cidr.split("/");
  return [ip, Number(bits)];
};

/** Whether a network lies in another, smaller than it. */
function isInside(inner: string, outer: string): boolean {
  const [innerIp, innerBits] = ends(inner);
  const [outerIp, outerBits] = ends(outer);
  const family = familyOf(outerIp);
  if (familyOf(innerIp) !== family || innerBits <= outerBits) return false;
  const type = family === "IPv4" ? "ipv4" : "ipv6";
  const list = new BlockList();
  list.addSubnet(outerIp, outerBits, type);
  return list.check(innerIp, type);
}

function blockCauses({ cidr, except }: IPBlock, at: string): Cause[] {
  if (!cidr) return [required(`${at}.cidr`)];
  const causes = checkCidr(cidr, `${at}.cidr`);
  if (causes.length > 0) return causes;
  return each(except, `${at}.except`, (range, path) => {
    if (!isCidr(range)) return checkCidr(range, path);
    if (isInside(range, cidr)) return [];
    return [invalid(path, range, "must be a strict subset of `cidr`")];
  });
}

function peerCauses(peer: NetworkPolicyPeer, at: string): Cause[] {
  const { podSelector, namespaceSelector, ipBlock } = peer;
  const count = [podSelector, namespaceSelector, ipBlock].filter(Boolean).length;
  const causes = [
    ...checkSelector(podSelector, `${at}.podSelector`),
    ...checkSelector(namespaceSelector, `${at}.namespaceSelector`),
    ...(ipBlock ? blockCauses(ipBlock, `${at}.ipBlock`) : []),
  ];
  if (count === 0) causes.push(required(at, "must specify a peer"));
  if (count > 1 && ipBlock) {
    causes.push(forbidden(at, "may not specify both ipBlock and another peer"));
  }
  return causes;
}

export function validateNetworkPolicy(policy: NetworkPolicy): Cause[] {
  const { podSelector, ingress, egress, policyTypes = [] } = policy.spec ?? {};
  const causes = [
    ...checkSelector(podSelector, "spec.podSelector"),
    ...each(ingress, "spec.ingress", ({ ports, from }, at) => [
      ...each(ports, `${at}.ports`, portCauses),
      ...each(from, `${at}.from`, peerCauses),
    ]),
    ...each(egress, "spec.egress", ({ ports, to }, at) => [
      ...each(ports, `${at}.ports`, portCauses),
      ...each(to, `${at}.to`, peerCauses),
    ]),
  ];
  if (policyTypes.length > 2) {
    const detail = "may not specify more than two policyTypes";
    return [...causes, invalid("spec.policyTypes", policyTypes, detail)];
  }
  const types = each(policyTypes, "spec.policyTypes", (type, at) =>
    supported(type, ["Ingress", "Egress"], at),
  );
  return [...causes, ...types];
}

function rangeCauses(cidrs: readonly string[]): Cause[] {
  const at = "spec.cidrs";
  if (cidrs.length === 0) return [required(at, "at least one CIDR required")];
  if (cidrs.length > 2) return [invalid(at, { cidrs }, "may only hold up to 2 values")];
  const causes = each(cidrs, at, checkCidr);
  const [first = "", second = ""] = cidrs.map((cidr) => familyOf(cidr.split("/")[0] ?? ""));
  if (causes.length > 0 || first !== second) return causes;
  const detail =
    "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
  return [invalid(at, cidrs, detail)];
}

export function validateServiceCidr(
  range: ServiceCIDR,
  old: ServiceCIDR | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") return [];
  const cidrs = range.spec?.cidrs ?? [];
  if (!old) return rangeCauses(cidrs);
  const before = old.spec?.cidrs ?? [];
  const grows = before.length === 1 && cidrs.length === 2;
  if (before.length !== cidrs.length && !grows) {
    return [invalid("spec.cidrs", cidrs, "field is immutable")];
  }
  const kept = before.flatMap((cidr, index) =>
    immutable(cidrs[index], cidr, `spec.cidrs[${index}]`),
  );
  return grows ? [...kept, ...rangeCauses(cidrs)] : kept;
}

export function validateIpAddress(address: IPAddress, old: IPAddress | undefined): Cause[] {
  const parent = address.spec?.parentRef;
  const at = "spec.parentRef";
  const name = address.metadata?.name ?? "";
  const causes = old ? immutable(parent, old.spec?.parentRef, at) : [];
  if (!old && isIP(name) === 0) {
    const detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    causes.push(invalid("metadata.name", name, detail));
  }
  if (!parent) return [...causes, required(at)];
  return [
    ...causes,
    ...(parent.group ? byRule(subdomainErrors, parent.group, `${at}.group`) : []),
    ...requiredByRule(pathErrors, parent.resource, `${at}.resource`),
    ...requiredByRule(pathErrors, parent.name, `${at}.name`),
    ...(parent.namespace ? byRule(pathErrors, parent.namespace, `${at}.namespace`) : []),
  ];
}
