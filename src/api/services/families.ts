/** Which address families a Service gets (KEP-563). Pure: the cluster's families are given. */
import type { Family } from "#api/services/ranges.ts";
import { familyOf } from "#api/services/ranges.ts";
import { type Cause, invalid } from "#resources/field.ts";
import type { Service, ServiceSpec } from "#resources/types.gen.ts";

const POLICY = "spec.ipFamilyPolicy";

const other = (family: Family): Family => (family === "IPv4" ? "IPv6" : "IPv4");

export const isHeadless = (spec: ServiceSpec): boolean =>
  spec.clusterIP === "None" || spec.clusterIPs?.[0] === "None";

/** `clusterIP` is `clusterIPs[0]`; whoever sets one of them means both. */
export function mirrorClusterIp(spec: ServiceSpec, old: ServiceSpec | undefined): void {
  if (old === undefined) {
    if (spec.clusterIP && (spec.clusterIPs ?? []).length === 0) spec.clusterIPs = [spec.clusterIP];
    else if (!spec.clusterIP && spec.clusterIPs?.[0]) spec.clusterIP = spec.clusterIPs[0];
    return;
  }
  const same = JSON.stringify(spec.clusterIPs ?? []) === JSON.stringify(old.clusterIPs ?? []);
  if (spec.clusterIP !== old.clusterIP && same) {
    if (spec.clusterIP) spec.clusterIPs = [spec.clusterIP];
    else delete spec.clusterIPs;
  } else if (spec.clusterIP === old.clusterIP && !same) {
    if (spec.clusterIPs?.[0]) spec.clusterIP = spec.clusterIPs[0];
    else delete spec.clusterIP;
  }
}

function defaultPolicy(spec: ServiceSpec, old: ServiceSpec | undefined): void {
  if (spec.ipFamilyPolicy !== undefined) return;
  const bare = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy = old?.ipFamilyPolicy ?? (bare ? "RequireDualStack" : "SingleStack");
}

function checkCounts(spec: ServiceSpec): Cause[] {
  if (spec.ipFamilyPolicy !== "SingleStack") return [];
  const causes: Cause[] = [];
  const tooMany = (what: string): Cause =>
    invalid(
      POLICY,
      spec.ipFamilyPolicy,
      `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`,
    );
  if ((spec.clusterIPs ?? []).length === 2) causes.push(tooMany("cluster IPs"));
  if ((spec.ipFamilies ?? []).length === 2) causes.push(tooMany("IP families"));
  return causes;
}

/** A change to a single stack lets go of the second address and family. */
function shrink(spec: ServiceSpec, old: ServiceSpec): Cause[] {
  const before = { ips: old.clusterIPs ?? [], families: old.ipFamilies ?? [] };
  if (spec.ipFamilyPolicy === "SingleStack") {
    const same = JSON.stringify(spec.clusterIPs ?? []) === JSON.stringify(before.ips);
    if (same && before.ips.length > 1) spec.clusterIPs = before.ips.slice(0, 1);
    const sameFamilies = JSON.stringify(spec.ipFamilies ?? []) === JSON.stringify(before.families);
    if (sameFamilies && before.families.length > 1) spec.ipFamilies = before.families.slice(0, 1);
    return [];
  }
  const causes: Cause[] = [];
  const must = (what: string): Cause =>
    invalid(POLICY, spec.ipFamilyPolicy, `must be 'SingleStack' to release the secondary ${what}`);
  if (before.ips.length === 2 && spec.clusterIPs?.length === 1) causes.push(must("cluster IP"));
  if (before.families.length === 2 && spec.ipFamilies?.length === 1) {
    causes.push(must("IP family"));
  }
  return causes;
}

function inferFamilies(spec: ServiceSpec, configured: readonly Family[]): Cause[] {
  const causes: Cause[] = [];
  (spec.clusterIPs ?? []).forEach((ip, index) => {
    if (ip === "None" || ip === "" || spec.ipFamilies?.[index] !== undefined) return;
    const family = familyOf(ip);
    if (configured.includes(family)) spec.ipFamilies = [...(spec.ipFamilies ?? []), family];
    else {
      causes.push(
        invalid(
          `spec.clusterIPs[${index}]`,
          spec.clusterIPs,
          `${family} is not configured on this cluster`,
        ),
      );
    }
  });
  return causes;
}

/** Sets policy and families in place; answers why they cannot be had. */
export function chooseFamilies(
  service: Service,
  old: Service | undefined,
  configured: readonly Family[],
): Cause[] {
  const spec = service.spec ?? {};
  if (spec.type === "ExternalName") return [];
  defaultPolicy(spec, old?.spec);
  const causes = old?.spec === undefined ? [] : shrink(spec, old.spec);
  causes.push(...checkCounts(spec), ...inferFamilies(spec, configured));
  if (causes.length > 0) return causes;
  const first = configured[0] ?? "IPv4";
  if (isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0) {
    spec.ipFamilies ??= [first];
    const [only] = spec.ipFamilies;
    if (spec.ipFamilies.length === 1 && spec.ipFamilyPolicy !== "SingleStack") {
      spec.ipFamilies.push(other(only as Family));
    }
    return [];
  }
  if (spec.ipFamilyPolicy === "RequireDualStack" && configured.length < 2) {
    causes.push(
      invalid(
        POLICY,
        spec.ipFamilyPolicy,
        "this cluster is not configured for dual-stack services",
      ),
    );
  }
  (spec.ipFamilies ?? []).forEach((family, index) => {
    if (!configured.includes(family as Family)) {
      causes.push(invalid(`spec.ipFamilies[${index}]`, family, "not configured on this cluster"));
    }
  });
  if (causes.length > 0) return causes;
  if ((spec.ipFamilies ?? []).length === 0) spec.ipFamilies = [first];
  const families = spec.ipFamilies ?? [];
  if (spec.ipFamilyPolicy !== "SingleStack" && families.length === 1 && configured.length === 2) {
    families.push(other(families[0] as Family));
  }
  return [];
}
