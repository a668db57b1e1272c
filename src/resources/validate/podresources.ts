/** Resources of a pod as a whole (core validation; KEP-2837). */
import { type Cause, forbidden, invalid, notSupported } from "#resources/field.ts";
import { containersTotal, isPodResource, POD_RESOURCES } from "#resources/podresources.ts";
import { compareQuantity } from "#resources/quantity.ts";
import type { PodSpec } from "#resources/types.gen.ts";
import { each } from "#resources/validate/basic.ts";
import {
  checkRequirements,
  checkResourceName,
  isHugePages,
} from "#resources/validate/resources.ts";

const NO_CLAIMS: ReadonlySet<string> = new Set();

function checkName(name: string, path: string): Cause[] {
  const causes = checkResourceName(name, path);
  if (causes.length > 0 || isPodResource(name)) return causes;
  return [notSupported(path, name, POD_RESOURCES)];
}

type List = Readonly<Record<string, string>>;

function totalCauses(spec: PodSpec, part: "limits" | "requests", path: string): Cause[] {
  const own: List = spec.resources?.[part] ?? {};
  return Object.entries(containersTotal(spec, part)).flatMap(([name, total]) => {
    const quantity = own[name];
    const counted = part === "requests" || isHugePages(name);
    if (!counted || quantity === undefined || compareQuantity(total, quantity) <= 0) return [];
    const detail = `must be greater than or equal to aggregate container ${part} of ${total}`;
    return [invalid(`${path}.${part}[${name}]`, quantity, detail)];
  });
}

function containerCauses(spec: PodSpec, path: string): Cause[] {
  const own: List = spec.resources?.limits ?? {};
  return each(spec.containers, `${path}.containers`, ({ resources }, at) =>
    Object.entries(resources?.limits ?? {}).flatMap(([name, limit]) => {
      const most = own[name];
      if (most === undefined || compareQuantity(limit, most) <= 0) return [];
      const detail = `must be less than or equal to pod limits of ${most}`;
      return [invalid(`${at}[${name}].limits`, limit, detail)];
    }),
  );
}

export function checkPodResources(spec: PodSpec, specPath: string): Cause[] {
  const { resources } = spec;
  if (!resources) return [];
  const path = `${specPath}.resources`;
  if (spec.os?.name === "windows") return [forbidden(path, "may not be set for a windows pod")];
  const claims = resources.claims
    ? [forbidden(`${path}.claims`, "claims may not be set for Resources at pod-level")]
    : [];
  const causes = checkRequirements(resources, NO_CLAIMS, path, checkName);
  return [
    ...claims,
    ...causes,
    ...totalCauses(spec, "requests", path),
    ...totalCauses(spec, "limits", path),
    ...containerCauses(spec, path),
  ];
}
