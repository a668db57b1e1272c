/** APIServices (kube-aggregator validation). */
import { type Cause, invalid, required } from "#resources/field.ts";
import type { APIService, APIServiceSpec } from "#resources/types.gen.ts";
import { byRule, each, inclusive, present, supported } from "#resources/validate/basic.ts";
import { label1035Errors, subdomainErrors } from "#resources/validate/text.ts";

function serviceCauses(spec: APIServiceSpec): Cause[] {
  const { service, caBundle, insecureSkipTLSVerify: insecure } = spec;
  const at = "spec.insecureSkipTLSVerify";
  if (!service) {
    const causes: Cause[] = [];
    if (caBundle) {
      const bytes = Buffer.byteLength(caBundle, "base64");
      const detail = "local APIServices may not have a caBundle";
      causes.push(invalid("spec.caBundle", `${bytes} bytes`, detail));
    }
    if (insecure) {
      causes.push(invalid(at, true, "local APIServices may not have insecureSkipTLSVerify"));
    }
    return causes;
  }
  const port = service.port ?? 0;
  const bad = port < 1 || port > 65_535;
  const detail = `port is not valid: ${inclusive(1, 65_535)}`;
  return [
    ...present(service.namespace, "spec.service.namespace"),
    ...present(service.name, "spec.service.name"),
    ...(bad ? [invalid("spec.service.port", port, detail)] : []),
    ...(insecure && caBundle ? [invalid(at, true, "may not be true if caBundle is present")] : []),
  ];
}

const priority = (value: number | undefined, max: number, path: string): Cause[] =>
  value !== undefined && value > 0 && value <= max
    ? []
    : [invalid(path, value ?? 0, `must be positive and less than ${max}`)];

export function validateApiService(
  apiService: APIService,
  _old: APIService | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    return each(apiService.status?.conditions, "status.conditions", ({ status }, at) =>
      supported(status, ["True", "False", "Unknown"], `${at}.status`),
    );
  }
  const { spec, metadata } = apiService;
  const { group = "", version = "" } = spec ?? {};
  const name = `${version}.${group}`;
  const causes: Cause[] = [];
  if (metadata?.name !== name) {
    const detail = `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(name)}`;
    causes.push(invalid("metadata.name", metadata?.name ?? "", detail));
  }
  if (group === "" && version !== "v1") {
    const detail = "only v1 may have an empty group and it better be legacy kube";
    causes.push(required("spec.group", detail));
  }
  return [
    ...causes,
    ...(group ? byRule(subdomainErrors, group, "spec.group") : []),
    ...byRule(label1035Errors, version, "spec.version"),
    ...priority(spec?.groupPriorityMinimum, 20_000, "spec.groupPriorityMinimum"),
    ...priority(spec?.versionPriority, 1000, "spec.versionPriority"),
    ...(spec ? serviceCauses(spec) : []),
  ];
}
