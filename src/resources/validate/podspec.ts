/** The spec of a pod, of its own or in a template (core validation, PodSpec). */
import { type Cause, duplicate, forbidden, invalid, required, tooLong } from "#resources/field.ts";
import { checkAnnotations, checkLabels } from "#resources/names.ts";
import type {
  ObjectMeta,
  PodDNSConfig,
  PodResourceClaim,
  PodSpec,
  PodTemplateSpec,
} from "#resources/types.gen.ts";
import { byRule, each, INT32_MAX, requiredWord, within } from "#resources/validate/basic.ts";
import {
  checkContainers,
  checkEphemeralContainers,
  checkImage,
  checkInitContainers,
} from "#resources/validate/container.ts";
import { checkIp } from "#resources/validate/ip.ts";
import type { Volumes } from "#resources/validate/mount.ts";
import { checkPodResources } from "#resources/validate/podresources.ts";
import { checkRequirements } from "#resources/validate/resources.ts";
import { checkAffinity, checkSpread, checkTolerations } from "#resources/validate/scheduling.ts";
import { checkOs, checkPodSecurity } from "#resources/validate/security.ts";
import {
  labelErrors,
  qualifiedNameErrors,
  subdomainErrors,
  underscoreSubdomainErrors,
} from "#resources/validate/text.ts";
import { checkVolumes } from "#resources/validate/volume.ts";

const NAMESERVERS_MAX = 3;
const SEARCHES_MAX = 32;
const SEARCH_CHARACTERS_MAX = 2048;
const HOSTNAME_BYTES_MAX = 64;
const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";
const MIRROR = "kubernetes.io/config.mirror";

/** All options share one line of resolv.conf, separated by blanks. */
const resolverWord = (text: string | undefined, path: string): Cause[] =>
  !text || /^[!-~]+$/.test(text)
    ? []
    : [invalid(path, text, "must not contain blanks and control characters")];

function dnsCauses(config: PodDNSConfig | undefined, policy: string, path: string): Cause[] {
  if (policy === "None") {
    if (!config) return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")];
    if ((config.nameservers ?? []).length === 0) {
      const detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
      return [required(`${path}.nameservers`, detail)];
    }
  }
  if (!config) return [];
  const { nameservers = [], searches = [], options = [] } = config;
  const causes: Cause[] = [];
  if (nameservers.length > NAMESERVERS_MAX) {
    const detail = `must not have more than ${NAMESERVERS_MAX} nameservers`;
    causes.push(invalid(`${path}.nameservers`, nameservers, detail));
  }
  causes.push(...each(nameservers, `${path}.nameservers`, checkIp));
  if (searches.length > SEARCHES_MAX) {
    const detail = `must not have more than ${SEARCHES_MAX} search paths`;
    causes.push(invalid(`${path}.searches`, searches, detail));
  }
  if (searches.join(" ").length > SEARCH_CHARACTERS_MAX) {
    const detail =
      `must not have more than ${SEARCH_CHARACTERS_MAX} characters (including spaces) in the ` +
      "search list";
    causes.push(invalid(`${path}.searches`, searches, detail));
  }
  const domains = each(searches, `${path}.searches`, (search, at) =>
    search === "." ? [] : byRule(underscoreSubdomainErrors, search.replace(/\.$/, ""), at),
  );
  const named = each(options, `${path}.options`, (option, at) =>
    option.name
      ? [...resolverWord(option.name, `${at}.name`), ...resolverWord(option.value, `${at}.value`)]
      : [required(at, "must not be empty")],
  );
  return [...causes, ...domains, ...named];
}

function claimsCauses(claims: readonly PodResourceClaim[] | undefined, path: string): Cause[] {
  const names = new Set<string>();
  return each(claims, path, (claim, at) => {
    const { name, resourceClaimName, resourceClaimTemplateName } = claim;
    const causes: Cause[] = [];
    if (!name) causes.push(required(`${at}.name`));
    else if (names.has(name)) causes.push(duplicate(`${at}.name`, name));
    else causes.push(...byRule(labelErrors, name, `${at}.name`));
    names.add(name);
    const shown = {
      Name: name ?? "",
      ResourceClaimName: resourceClaimName ?? null,
      ResourceClaimTemplateName: resourceClaimTemplateName ?? null,
    };
    if (resourceClaimName !== undefined && resourceClaimTemplateName !== undefined) {
      const detail =
        "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified";
      causes.push(invalid(at, shown, detail));
    }
    if (resourceClaimName === undefined && resourceClaimTemplateName === undefined) {
      const detail = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
      causes.push(invalid(at, shown, detail));
    }
    for (const field of ["resourceClaimName", "resourceClaimTemplateName"] as const) {
      const value = claim[field];
      if (value !== undefined) causes.push(...byRule(subdomainErrors, value, `${at}.${field}`));
    }
    return causes;
  });
}

/** What the host's namespaces rule out. */
function hostCauses(spec: PodSpec, path: string, isPod: boolean): Cause[] {
  const causes: Cause[] = [];
  if (spec.hostNetwork === true) {
    const detail = "must match `containerPort` when `hostNetwork` is true";
    const ports = each(spec.containers, `${path}.containers`, (container, at) =>
      each(container.ports, `${at}.ports`, ({ hostPort = 0, containerPort }, portPath) =>
        (isPod || hostPort !== 0) && hostPort !== containerPort
          ? [invalid(`${portPath}.hostPort`, hostPort, detail)]
          : [],
      ),
    );
    causes.push(...ports);
  }
  if (spec.hostUsers !== false) return causes;
  const names = { hostNetwork: "hostNetwork", hostPID: "HostPID", hostIPC: "HostIPC" } as const;
  for (const [field, shown] of Object.entries(names)) {
    if (spec[field as keyof typeof names] !== true) continue;
    causes.push(forbidden(`${path}.${shown}`, "when `hostUsers` is false"));
  }
  return causes;
}

function hostnameCauses(spec: PodSpec, path: string): Cause[] {
  const causes = [
    ...(spec.hostname ? byRule(labelErrors, spec.hostname, `${path}.hostname`) : []),
    ...(spec.subdomain ? byRule(labelErrors, spec.subdomain, `${path}.subdomain`) : []),
  ];
  const override = spec.hostnameOverride;
  if (override === undefined) return causes;
  const at = `${path}.hostnameOverride`;
  for (const field of ["setHostnameAsFQDN", "hostNetwork"] as const) {
    if (spec[field] !== true) continue;
    causes.push(forbidden(at, `may not be specified when ${field} is true`));
  }
  if (override.length > HOSTNAME_BYTES_MAX) {
    causes.push(tooLong(at, HOSTNAME_BYTES_MAX));
  }
  return [...causes, ...byRule(subdomainErrors, override, at)];
}

function gateCauses(spec: PodSpec, path: string): Cause[] {
  const seen = new Set<string>();
  const gates = each(spec.schedulingGates, `${path}.schedulingGates`, ({ name }, at) => {
    const causes = byRule(qualifiedNameErrors, name ?? "", at);
    if (seen.has(name)) causes.push(duplicate(at, name));
    seen.add(name);
    return causes;
  });
  const readiness = each(spec.readinessGates, `${path}.readinessGates`, (gate, at) =>
    byRule(qualifiedNameErrors, gate.conditionType ?? "", `${at}.conditionType`),
  );
  return [...readiness, ...gates];
}

/** Names of other objects. */
function nameCauses(spec: PodSpec, path: string): Cause[] {
  const fields = ["serviceAccountName", "nodeName", "priorityClassName"] as const;
  const causes = fields.flatMap((field) => {
    const name = spec[field];
    return name ? byRule(subdomainErrors, name, `${path}.${field}`) : [];
  });
  if (spec.runtimeClassName !== undefined) {
    causes.push(...byRule(subdomainErrors, spec.runtimeClassName, `${path}.runtimeClassName`));
  }
  return causes;
}

const aliasCauses = (spec: PodSpec, path: string): Cause[] =>
  each(spec.hostAliases, `${path}.hostAliases`, ({ ip, hostnames }, at) => [
    ...checkIp(ip, `${at}.ip`),
    ...each(hostnames, `${at}.hostnames`, (name, nameAt) => byRule(subdomainErrors, name, nameAt)),
  ]);

const RESTART_POLICIES = ["Always", "OnFailure", "Never"];
const DNS_POLICIES = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const PREEMPTION_POLICIES = ["PreemptLowerPriority", "Never"];
const NO_CLAIMS: ReadonlySet<string> = new Set();

function containersCauses(spec: PodSpec, volumes: Volumes, path: string): Cause[] {
  const claims = new Set((spec.resourceClaims ?? []).map((claim) => claim.name));
  const pod = { spec, volumes, claims, hostUsers: spec.hostUsers !== false };
  return [
    ...checkContainers(pod, `${path}.containers`),
    ...checkInitContainers(pod, `${path}.initContainers`),
    ...checkEphemeralContainers(pod, `${path}.ephemeralContainers`),
  ];
}

/** `meta` of a real pod; a template has none. */
export function checkPodSpec(spec: PodSpec, path: string, meta?: ObjectMeta): Cause[] {
  const volumes = checkVolumes(spec.volumes, `${path}.volumes`, meta);
  return [
    ...(spec.terminationGracePeriodSeconds === undefined
      ? [required(`${path}.terminationGracePeriodSeconds`)]
      : []),
    ...volumes.causes,
    ...claimsCauses(spec.resourceClaims, `${path}.resourceClaims`),
    ...containersCauses(spec, volumes.usable, path),
    ...checkPodResources(spec, path),
    ...requiredWord(spec.restartPolicy, RESTART_POLICIES, `${path}.restartPolicy`),
    ...requiredWord(spec.dnsPolicy, DNS_POLICIES, `${path}.dnsPolicy`),
    ...checkLabels(spec.nodeSelector, `${path}.nodeSelector`),
    ...checkPodSecurity(spec, path),
    ...checkAffinity(spec.affinity, `${path}.affinity`),
    ...dnsCauses(spec.dnsConfig, spec.dnsPolicy ?? "", `${path}.dnsConfig`),
    ...gateCauses(spec, path),
    ...checkSpread(spec.topologySpreadConstraints, `${path}.topologySpreadConstraints`),
    ...hostCauses(spec, path, meta !== undefined),
    ...nameCauses(spec, path),
    ...within(spec.activeDeadlineSeconds, [1, INT32_MAX], `${path}.activeDeadlineSeconds`),
    ...hostnameCauses(spec, path),
    ...checkTolerations(spec.tolerations, `${path}.tolerations`),
    ...aliasCauses(spec, path),
    ...(spec.preemptionPolicy === undefined
      ? []
      : requiredWord(spec.preemptionPolicy, PREEMPTION_POLICIES, `${path}.preemptionPolicy`)),
    ...(spec.overhead
      ? checkRequirements({ limits: spec.overhead }, NO_CLAIMS, `${path}.overhead`)
      : []),
    ...checkOs(spec, path),
  ];
}

/** Annotations that mean something on a pod. */
export function checkPodAnnotations(
  meta: ObjectMeta | undefined,
  spec: PodSpec,
  path: string,
): Cause[] {
  const annotations = meta?.annotations;
  if (annotations === undefined) return [];
  const causes: Cause[] = [];
  const mirror = annotations[MIRROR];
  if (mirror !== undefined && !spec.nodeName) {
    const detail = "must set spec.nodeName if mirror pod annotation is set";
    causes.push(invalid(`${path}[${MIRROR}]`, mirror, detail));
  }
  const cost = annotations[DELETION_COST];
  const whole = /^(0|-?[1-9]\d{0,9})$/.test(cost ?? "0") && Math.abs(Number(cost ?? 0)) <= 2 ** 31;
  if (!whole) causes.push(invalid(`${path}[${DELETION_COST}]`, cost, "must be a 32bit integer"));
  return causes;
}

/** The template of a workload's pods. */
export function checkTemplate(template: PodTemplateSpec | undefined, path: string): Cause[] {
  const { metadata, spec = { containers: [] } } = template ?? {};
  const causes = [
    ...checkLabels(metadata?.labels, `${path}.labels`),
    ...checkAnnotations(metadata?.annotations, `${path}.annotations`),
    ...checkPodAnnotations(metadata, spec, `${path}.annotations`),
    ...checkPodSpec(spec, `${path}.spec`),
  ];
  if ((spec.ephemeralContainers ?? []).length > 0) {
    const at = `${path}.spec.ephemeralContainers`;
    causes.push(forbidden(at, "ephemeral containers not allowed in pod template"));
  }
  return causes;
}

/** What holds for real pods alone. */
export function checkOnlyPod(spec: PodSpec, path: string): Cause[] {
  const tokens = each(spec.volumes, `${path}.volumes`, ({ projected }, at) =>
    each(projected?.sources, `${at}.projected.sources`, (source, sourceAt) =>
      source.serviceAccountToken && !spec.serviceAccountName
        ? [
            forbidden(
              `${sourceAt}.serviceAccountToken`,
              "must not be specified when serviceAccountName is not set",
            ),
          ]
        : [],
    ),
  );
  return [
    ...tokens,
    ...each(spec.containers, `${path}.containers`, checkImage),
    ...each(spec.initContainers, `${path}.initContainers`, checkImage),
  ];
}
