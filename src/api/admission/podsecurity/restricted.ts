/**
 * What the restricted level asks beyond the baseline.
 * https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
 */
import {
  baselineChecks,
  type Check,
  REPLACED_SINCE,
  since,
} from "#api/admission/podsecurity/baseline.ts";
import {
  containerList,
  containersOf,
  namesWhere,
  plural,
  quotedList,
  setters,
  sorted,
} from "#api/admission/podsecurity/visit.ts";
import type { Container, PodSpec, Volume } from "#resources/types.gen.ts";

/** Pods of Windows need not say what only Linux has. */
const exempt = (spec: PodSpec, minor: number): boolean =>
  minor >= 25 && spec.os?.name === "windows";

const allowPrivilegeEscalation: Check = (spec, _pod, minor) => {
  if (exempt(spec, minor)) return undefined;
  const names = namesWhere(spec, (c) => c.securityContext?.allowPrivilegeEscalation !== false);
  if (names.length === 0) return undefined;
  return {
    reason: "allowPrivilegeEscalation != false",
    detail: `${containerList(names)} must set securityContext.allowPrivilegeEscalation=false`,
  };
};

const restrictedCapabilities: Check = (spec, _pod, minor) => {
  if (exempt(spec, minor)) return undefined;
  const added = (c: Container): string[] =>
    (c.securityContext?.capabilities?.add ?? []).filter((cap) => cap !== "NET_BIND_SERVICE");
  const keeping = namesWhere(
    spec,
    (c) => !(c.securityContext?.capabilities?.drop ?? []).includes("ALL"),
  );
  const adding = namesWhere(spec, (c) => added(c).length > 0);
  const details: string[] = [];
  if (keeping.length > 0) {
    details.push(`${containerList(keeping)} must set securityContext.capabilities.drop=["ALL"]`);
  }
  if (adding.length > 0) {
    const caps = quotedList(sorted(containersOf(spec).flatMap(added)));
    details.push(
      `${containerList(adding)} must not include ${caps} in securityContext.capabilities.add`,
    );
  }
  if (details.length === 0) return undefined;
  return { reason: "unrestricted capabilities", detail: details.join("; ") };
};

const VOLUMES: ReadonlySet<string> = new Set([
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "image",
  "persistentVolumeClaim",
  "projected",
  "secret",
]);

const typeOf = (volume: Volume): string | undefined =>
  Object.keys(volume).find((key) => key !== "name");

const restrictedVolumes: Check = (spec) => {
  const bad = (spec.volumes ?? []).filter((volume) => {
    const type = typeOf(volume);
    return type !== undefined && !VOLUMES.has(type);
  });
  if (bad.length === 0) return undefined;
  const names = bad.map(({ name }) => name);
  const types = sorted(bad.map((volume) => typeOf(volume) ?? "unknown"));
  const uses = plural(names.length, "uses", "use");
  const what = plural(types.length, "restricted volume type");
  return {
    reason: "restricted volume types",
    detail:
      `${plural(names.length, "volume")} ${quotedList(names)} ${uses} ${what} ` +
      `${quotedList(types)}`,
  };
};

const runAsNonRoot: Check = (spec) => {
  const pod = spec.securityContext?.runAsNonRoot;
  const explicit = namesWhere(spec, (c) => c.securityContext?.runAsNonRoot === false);
  if (pod === false || explicit.length > 0) {
    return {
      reason: "runAsNonRoot != true",
      detail: `${setters(pod === false, explicit)} must not set securityContext.runAsNonRoot=false`,
    };
  }
  if (pod === true) return undefined;
  const implicit = namesWhere(spec, (c) => c.securityContext?.runAsNonRoot !== true);
  if (implicit.length === 0) return undefined;
  return {
    reason: "runAsNonRoot != true",
    detail: `pod or ${containerList(implicit)} must set securityContext.runAsNonRoot=true`,
  };
};

const runAsUser: Check = (spec) => {
  const pod = spec.securityContext?.runAsUser === 0;
  const names = namesWhere(spec, (c) => c.securityContext?.runAsUser === 0);
  if (!pod && names.length === 0) return undefined;
  return { reason: "runAsUser=0", detail: `${setters(pod, names)} must not set runAsUser=0` };
};

const PROFILES = new Set(["RuntimeDefault", "Localhost"]);

const seccompRestricted: Check = (spec, _pod, minor) => {
  if (exempt(spec, minor)) return undefined;
  const typeIn = (c: Container): string | undefined => c.securityContext?.seccompProfile?.type;
  const pod = spec.securityContext?.seccompProfile?.type;
  const podBad = pod !== undefined && !PROFILES.has(pod);
  const bad = (c: Container): boolean => typeIn(c) !== undefined && !PROFILES.has(typeIn(c) ?? "");
  const explicit = namesWhere(spec, bad);
  if (podBad || explicit.length > 0) {
    const values = sorted([
      ...(podBad ? [pod] : []),
      ...containersOf(spec)
        .filter(bad)
        .map((c) => typeIn(c) ?? ""),
    ]);
    return {
      reason: "seccompProfile",
      detail:
        `${setters(podBad, explicit)} must not set ` +
        `securityContext.seccompProfile.type to ${quotedList(values)}`,
    };
  }
  if (pod !== undefined) return undefined;
  const implicit = namesWhere(spec, (c) => typeIn(c) === undefined);
  if (implicit.length === 0) return undefined;
  return {
    reason: "seccompProfile",
    detail:
      `pod or ${containerList(implicit)} must set ` +
      `securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
};

export const restrictedChecks: readonly Check[] = [
  ...baselineChecks.map((check): Check => {
    const replaced = REPLACED_SINCE.get(check) ?? Number.POSITIVE_INFINITY;
    return (spec, pod, minor) => (minor < replaced ? check(spec, pod, minor) : undefined);
  }),
  since(8, allowPrivilegeEscalation),
  since(22, restrictedCapabilities),
  restrictedVolumes,
  runAsNonRoot,
  since(23, runAsUser),
  since(19, seccompRestricted),
];
