/**
 * What a pod's author should know though it is allowed: shown by clients, logged by nobody.
 * https://kubernetes.io/docs/reference/using-api/#api-warnings
 */
import { oncePerSpec } from "#resources/samespec.ts";
import type { ObjectMeta, Pod, PodSpec, PodTemplateSpec } from "#resources/types.gen.ts";
import { labelErrors } from "#resources/validate/text.ts";
import { ipWarnings } from "#resources/warnings/addresses.ts";
import { fractionWarnings } from "#resources/warnings/amounts.ts";
import { containersAt, containerWarnings, portWarnings } from "#resources/warnings/containers.ts";
import { labelDeprecation, selectorWarnings, termWarnings } from "#resources/warnings/labels.ts";
import { overlapWarnings, volumeWarnings } from "#resources/warnings/volumes.ts";

const SYSCTLS = 'non-functional in v1.11+; use the "sysctls" field instead';
const ANNOTATIONS: ReadonlyArray<readonly [string, string]> = [
  [
    "scheduler.alpha.kubernetes.io/critical-pod",
    'non-functional in v1.16+; use the "priorityClassName" field instead',
  ],
  ["security.alpha.kubernetes.io/sysctls", SYSCTLS],
  ["security.alpha.kubernetes.io/unsafe-sysctls", SYSCTLS],
];
const SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod";
const NO_SELECTOR = "a null labelSelector results in matching no pod";

function nodeWarnings({ nodeSelector, affinity }: PodSpec, path: string): string[] {
  const { requiredDuringSchedulingIgnoredDuringExecution: required } = affinity?.nodeAffinity ?? {};
  const preferred = affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution;
  const at = `${path}.affinity.nodeAffinity`;
  const terms = `${at}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`;
  return [
    ...selectorWarnings(nodeSelector, (label) => `${path}.nodeSelector[${label}]`),
    ...(required?.nodeSelectorTerms ?? []).flatMap((term, i) =>
      termWarnings(term, `${terms}[${i}]`),
    ),
    ...(preferred ?? []).flatMap(({ preference }, i) =>
      termWarnings(
        preference,
        `${at}.preferredDuringSchedulingIgnoredDuringExecution[${i}].preference`,
        true,
      ),
    ),
  ];
}

function spreadWarnings({ topologySpreadConstraints = [] }: PodSpec, path: string): string[] {
  return topologySpreadConstraints.flatMap(({ topologyKey, labelSelector }, i) => {
    const place = `${path}.topologySpreadConstraints[${i}]`;
    const message = labelDeprecation(topologyKey);
    return [
      ...(message === undefined ? [] : [`${place}.topologyKey: ${topologyKey} is ${message}`]),
      ...(labelSelector === undefined ? [`${place}.labelSelector: ${NO_SELECTOR}`] : []),
    ];
  });
}

function affinityWarnings({ affinity }: PodSpec, path: string): string[] {
  return (["podAffinity", "podAntiAffinity"] as const).flatMap((kind) => {
    const at = `${path}.affinity.${kind}`;
    const required = affinity?.[kind]?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    const preferred = affinity?.[kind]?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    const hard = `${at}.requiredDuringSchedulingIgnoredDuringExecution`;
    const soft = `${at}.preferredDuringSchedulingIgnoredDuringExecution`;
    return [
      ...required.flatMap(({ labelSelector }, i) =>
        labelSelector === undefined ? [`${hard}[${i}].labelSelector: ${NO_SELECTOR}`] : [],
      ),
      ...preferred.flatMap(({ podAffinityTerm }, i) =>
        podAffinityTerm.labelSelector === undefined
          ? [`${soft}[${i}].podAffinityTerm.labelSelector: ${NO_SELECTOR}`]
          : [],
      ),
    ];
  });
}

/** Those that came before, by what they are known by. */
function doubledWarnings(values: readonly string[], tell: (at: number) => string): string[] {
  const seen = new Set<string>();
  return values.flatMap((value, at) => {
    if (seen.has(value)) return [tell(at)];
    seen.add(value);
    return [];
  });
}

function listWarnings(
  { hostAliases = [], imagePullSecrets = [] }: PodSpec,
  path: string,
): string[] {
  const addresses = hostAliases.map(({ ip }) => ip);
  const names = imagePullSecrets.map(({ name = "" }) => name);
  const alias = (at: number): string => `${path}.hostAliases[${at}].ip`;
  const secret = (at: number): string => `${path}.imagePullSecrets[${at}].name`;
  return [
    ...doubledWarnings(addresses, (at) => `${alias(at)}: duplicate ip "${addresses[at]}"`),
    ...doubledWarnings(names, (at) => `${secret(at)}: duplicate name "${names[at]}"`),
    ...names.flatMap((name, at) => (name === "" ? [`${secret(at)}: invalid empty name ""`] : [])),
  ];
}

function addressWarnings({ dnsConfig, hostAliases = [] }: PodSpec, path: string): string[] {
  return [
    ...(dnsConfig?.nameservers ?? []).flatMap((ip, i) =>
      ipWarnings(`${path}.dnsConfig.nameservers[${i}]`, ip),
    ),
    ...hostAliases.flatMap(({ ip }, i) => ipWarnings(`${path}.hostAliases[${i}].ip`, ip)),
  ];
}

function graceWarnings({ terminationGracePeriodSeconds: grace }: PodSpec, path: string): string[] {
  if ((grace ?? 0) >= 0) return [];
  const what = "must be >= 0; negative values are invalid and will be treated as 1";
  return [`${path}.terminationGracePeriodSeconds: ${what}`];
}

/** `base` is where a template stands; a pod stands nowhere. */
function specWarnings(spec: PodSpec, meta: ObjectMeta | undefined, base: string): string[] {
  const within = (field: string): string => (base === "" ? field : `${base}.${field}`);
  const path = within("spec");
  const { annotations = {} } = meta ?? {};
  const about = { annotations, path: within("metadata.annotations"), template: base !== "" };
  const placed = containersAt(spec, path);
  const seccomp =
    spec.securityContext?.seccompProfile === undefined && annotations[SECCOMP_POD] !== undefined;
  const instead = 'non-functional in v1.27+; use the "seccompProfile" field instead';
  return [
    ...nodeWarnings(spec, path),
    ...spreadWarnings(spec, path),
    ...ANNOTATIONS.flatMap(([key, message]) =>
      annotations[key] === undefined ? [] : [`${about.path}[${key}]: ${message}`],
    ),
    ...volumeWarnings(spec.volumes, `${path}.volumes`),
    ...overlapWarnings(spec.volumes),
    ...listWarnings(spec, path),
    ...fractionWarnings(spec.overhead, ["memory", "ephemeral-storage"], `${path}.overhead`),
    ...(seccomp ? [`${about.path}[${SECCOMP_POD}]: ${instead}`] : []),
    ...containerWarnings(placed, spec, about),
    ...portWarnings(placed),
    ...graceWarnings(spec, path),
    ...affinityWarnings(spec, path),
    ...addressWarnings(spec, path),
  ];
}

export const templateWarnings = (template: PodTemplateSpec | undefined, path: string): string[] =>
  template?.spec === undefined ? [] : specWarnings(template.spec, template.metadata, path);

/** Of a name that becomes a host's, where it is no label of DNS. */
export function nameWarnings(name: string | undefined, use: string): string[] {
  const problems = labelErrors(name ?? "");
  if (problems.length === 0) return [];
  return [
    `metadata.name: this is used in ${use}, which can result in surprising behavior; ` +
      `a DNS label is recommended: [${problems.join(" ")}]`,
  ];
}

/** Of pods without annotations, as most are: these alone count beside the spec. */
const bareWarnings = oncePerSpec(({ spec }) => templateWarnings(spec && { spec }, ""));

/** Changes of pods are seldom made by people. */
export function podWarnings(pod: Pod, old: Pod | undefined): string[] {
  if (old !== undefined) return [];
  const { metadata } = pod;
  return [
    ...nameWarnings(metadata?.name, "the Pod's hostname"),
    ...(metadata?.annotations === undefined ? bareWarnings(pod) : templateWarnings(pod, "")),
  ];
}
