/** Security contexts of pods and containers (core validation; "Configure a Security Context"). */
import { type Cause, duplicate, forbidden, invalid, required, tooLong } from "#resources/field.ts";
import type {
  AppArmorProfile,
  Capabilities,
  PodSecurityContext,
  PodSpec,
  SeccompProfile,
  SecurityContext,
} from "#resources/types.gen.ts";
import { each, INT32_MAX, requiredWord, supported, within } from "#resources/validate/basic.ts";
import { relativePath } from "#resources/validate/path.ts";

const ID_RANGE = [0, INT32_MAX] as const;
const PROFILES = ["Localhost", "RuntimeDefault", "Unconfined"];
const APP_ARMOR_BYTES_MAX = 4095;
const SYSCTL_MAX = 253;
const SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
const SYSCTL = `^(${SYSCTL_SEGMENT}[\\./])*${SYSCTL_SEGMENT}$`;
const SYSCTL_REGEXP = new RegExp(SYSCTL);

function profileType(type: string | undefined, what: string, path: string): Cause[] {
  if (!type) return [required(path, `type is required when ${what} is set`)];
  return supported(type, PROFILES, path);
}

function seccompCauses(profile: SeccompProfile | undefined, path: string): Cause[] {
  if (!profile) return [];
  const causes = profileType(profile.type, "seccompProfile", `${path}.type`);
  const at = `${path}.localhostProfile`;
  const { localhostProfile } = profile;
  if (profile.type !== "Localhost") {
    if (localhostProfile === undefined) return causes;
    const shown = { Type: profile.type ?? "", LocalhostProfile: localhostProfile };
    return [...causes, invalid(at, shown, "can only be set when seccomp type is Localhost")];
  }
  if (localhostProfile === undefined) {
    return [...causes, required(at, "must be set when seccomp type is Localhost")];
  }
  return [...causes, ...relativePath(localhostProfile, at)];
}

function appArmorCauses(profile: AppArmorProfile | undefined, path: string): Cause[] {
  if (!profile) return [];
  const causes = profileType(profile.type, "appArmorProfile", `${path}.type`);
  const at = `${path}.localhostProfile`;
  const { localhostProfile } = profile;
  if (profile.type !== "Localhost") {
    if (localhostProfile === undefined || causes.length > 0) return causes;
    return [invalid(at, localhostProfile, "can only be set when AppArmor type is Localhost")];
  }
  if (!localhostProfile?.trim()) {
    return [required(at, "must be set when AppArmor type is Localhost")];
  }
  if (localhostProfile.trim() !== localhostProfile) {
    causes.push(invalid(at, localhostProfile, "must not be padded with whitespace"));
  }
  if (localhostProfile.length > APP_ARMOR_BYTES_MAX) {
    causes.push(tooLong(at, APP_ARMOR_BYTES_MAX));
  }
  return causes;
}

/** Kernel parameters that belong to a namespace which the pod shares with the host. */
function hostSysctl(name: string, spec: PodSpec, path: string): Cause[] {
  const dotted = name.replaceAll("/", ".");
  if (spec.hostNetwork === true && dotted.startsWith("net.")) {
    return [invalid(path, name, "may not be specified when 'hostNetwork' is true")];
  }
  const ipc = /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/.test(dotted);
  if (spec.hostIPC === true && ipc) {
    return [invalid(path, name, "may not be specified when 'hostIPC' is true")];
  }
  return [];
}

function sysctlCauses(spec: PodSpec, path: string): Cause[] {
  const seen = new Set<string>();
  return each(spec.securityContext?.sysctls, path, ({ name }, index) => {
    const at = `${index}.name`;
    if (!name) return [required(at)];
    const causes: Cause[] = [];
    if (name.length > SYSCTL_MAX || !SYSCTL_REGEXP.test(name)) {
      const detail = `must have at most ${SYSCTL_MAX} characters and match regex ${SYSCTL}`;
      causes.push(invalid(at, name, detail));
    } else if (seen.has(name)) {
      causes.push(duplicate(at, name));
    }
    seen.add(name);
    return [...causes, ...hostSysctl(name, spec, at)];
  });
}

const idCauses = (
  context: PodSecurityContext | SecurityContext,
  fields: ReadonlyArray<"runAsUser" | "runAsGroup">,
  path: string,
): Cause[] => fields.flatMap((field) => within(context[field], ID_RANGE, `${path}.${field}`));

export function checkPodSecurity(spec: PodSpec, path: string): Cause[] {
  const context = spec.securityContext;
  if (!context) return [];
  const at = `${path}.securityContext`;
  const causes = [
    ...within(context.fsGroup, ID_RANGE, `${at}.fsGroup`),
    ...idCauses(context, ["runAsUser", "runAsGroup"], at),
    ...each(context.supplementalGroups, `${at}.supplementalGroups`, (group, index) =>
      within(group, ID_RANGE, index),
    ),
  ];
  if (spec.shareProcessNamespace === true && spec.hostPID === true) {
    const detail = "ShareProcessNamespace and HostPID cannot both be enabled";
    causes.push(invalid(`${at}.shareProcessNamespace`, true, detail));
  }
  return [
    ...causes,
    ...sysctlCauses(spec, `${at}.sysctls`),
    ...supported(
      context.fsGroupChangePolicy,
      ["Always", "OnRootMismatch"],
      `${at}.fsGroupChangePolicy`,
    ),
    ...seccompCauses(context.seccompProfile, `${at}.seccompProfile`),
    ...appArmorCauses(context.appArmorProfile, `${at}.appArmorProfile`),
    ...supported(
      context.supplementalGroupsPolicy,
      ["Merge", "Strict"],
      `${at}.supplementalGroupsPolicy`,
    ),
    ...supported(context.seLinuxChangePolicy, ["Recursive"], `${at}.seLinuxChangePolicy`),
  ];
}

/** The runtime takes capabilities as a comma-separated list. */
const capabilityCauses = (capabilities: Capabilities | undefined, path: string): Cause[] =>
  (["add", "drop"] as const).flatMap((list) =>
    each(capabilities?.[list], `${path}.${list}`, (name, at) =>
      /^[A-Za-z0-9_]+$/.test(name) ? [] : [invalid(at, name, "must be the name of a capability")],
    ),
  );

/** `hostUsers` says whether the pod shares the host's user namespace. */
export function checkSecurity(
  context: SecurityContext | undefined,
  hostUsers: boolean,
  path: string,
): Cause[] {
  if (!context) return [];
  const causes = idCauses(context, ["runAsUser", "runAsGroup"], path);
  const { procMount, allowPrivilegeEscalation, privileged, capabilities } = context;
  causes.push(...supported(procMount, ["Default", "Unmasked"], `${path}.procMount`));
  if (hostUsers && procMount === "Unmasked") {
    const detail = "`hostUsers` must be false to use `Unmasked`";
    causes.push(invalid(`${path}.procMount`, procMount, detail));
  }
  causes.push(...capabilityCauses(capabilities, `${path}.capabilities`));
  causes.push(...seccompCauses(context.seccompProfile, `${path}.seccompProfile`));
  if (allowPrivilegeEscalation === false) {
    const cannot = "cannot set `allowPrivilegeEscalation` to false and";
    if (privileged === true)
      causes.push(invalid(path, context, `${cannot} \`privileged\` to true`));
    if (capabilities?.add?.includes("CAP_SYS_ADMIN")) {
      causes.push(invalid(path, context, `${cannot} \`capabilities.Add\` CAP_SYS_ADMIN`));
    }
  }
  return [...causes, ...appArmorCauses(context.appArmorProfile, `${path}.appArmorProfile`)];
}

const WINDOWS_ONLY = "windows options cannot be set for a linux pod";

/** The operating system that a pod says it needs. */
export function checkOs(spec: PodSpec, path: string): Cause[] {
  if (!spec.os) return [];
  const causes = spec.os.name
    ? supported(spec.os.name, ["linux", "windows"], `${path}.os`)
    : requiredWord(spec.os.name, [], `${path}.os.name`);
  if (spec.os.name !== "linux") return causes;
  if (spec.securityContext?.windowsOptions) {
    causes.push(forbidden(`${path}.securityContext.windowsOptions`, WINDOWS_ONLY));
  }
  for (const list of ["initContainers", "containers"] as const) {
    causes.push(
      ...each(spec[list], `${path}.${list}`, (container, at) =>
        container.securityContext?.windowsOptions
          ? [forbidden(`${at}.securityContext.windowsOptions`, WINDOWS_ONLY)]
          : [],
      ),
    );
  }
  return causes;
}
