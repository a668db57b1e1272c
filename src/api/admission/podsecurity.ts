/**
 * Holds pods to the level that their namespace names, in the version of the standards that it
 * names, and warns of workloads that would not.
 * https://kubernetes.io/docs/concepts/security/pod-security-admission/
 */

import { baselineChecks, type Check } from "#api/admission/podsecurity/baseline.ts";
import { restrictedChecks } from "#api/admission/podsecurity/restricted.ts";
import type { Finding } from "#api/admission/podsecurity/visit.ts";
import type { Attributes, MakePlugin } from "#api/admission.ts";
import { peek } from "#api/codec.ts";
import { refuse } from "#api/errors.ts";
import { sameJson } from "#api/json.ts";
import { type Cause, invalid } from "#resources/field.ts";
import type { Namespace, Pod, PodTemplateSpec } from "#resources/types.gen.ts";

const LABEL = "pod-security.kubernetes.io/";
const CHECKS: Record<string, readonly Check[]> = {
  privileged: [],
  baseline: baselineChecks,
  restricted: restrictedChecks,
};
/** From what allows most to what allows least. */
const LEVELS = ["privileged", "baseline", "restricted"];
/** Of a namespace that gets a level, as upstream. */
const EXISTING_PODS_MAX = 3_000;
const MODES = ["enforce", "audit", "warn"] as const;
type Mode = (typeof MODES)[number];

/** Labels of a mode: its level, and the version of the standards that is meant. */
const LABELS = Object.fromEntries(
  MODES.map((mode) => [mode, { level: LABEL + mode, version: `${LABEL + mode}-version` }]),
) as Record<Mode, { level: string; version: string }>;

interface Level {
  readonly level: string;
  readonly version: string;
}

function levelOf(labels: Readonly<Record<string, string>>, mode: Mode): Level {
  const level = labels[LABELS[mode].level] ?? "privileged";
  return {
    level: level in CHECKS ? level : "restricted",
    version: labels[LABELS[mode].version] ?? "latest",
  };
}

/** Later than all there are, where none is named. */
function minorOf(version: string): number {
  const minor = /^v1\.(\d+)$/.exec(version)?.[1];
  return minor === undefined ? Number.MAX_SAFE_INTEGER : Number(minor);
}

function found({ level, version }: Level, pod: Pod): Finding[] {
  const { spec } = pod;
  if (spec === undefined) return [];
  const minor = minorOf(version);
  return (CHECKS[level] ?? []).flatMap((check) => check(spec, pod, minor) ?? []);
}

/**
 * What the level does not allow: `reason (detail), reason (detail)`; undefined where all is well.
 */
export function violations(level: Level, pod: Pod): string | undefined {
  const all = found(level, pod).map(({ reason, detail }) => `${reason} (${detail})`);
  return all.length === 0 ? undefined : all.join(", ");
}

/** `a (and 2 other pods): reason, reason`, a line for each sort of trouble. */
function sorts(level: Level, all: readonly Pod[]): string[] {
  const names = new Map<string, string[]>();
  for (const pod of all) {
    const reasons = found(level, pod).map(({ reason }) => reason);
    if (reasons.length === 0) continue;
    const why = reasons.join(", ");
    names.set(why, [...(names.get(why) ?? []), pod.metadata?.name ?? ""]);
  }
  return [...names].map(([why, [first, ...rest]]) => {
    const others = rest.length === 1 ? "1 other pod" : `${rest.length} other pods`;
    return `${first}${rest.length === 0 ? "" : ` (and ${others})`}: ${why}`;
  });
}

type Holder = {
  spec?: { template?: PodTemplateSpec; jobTemplate?: { spec?: { template?: PodTemplateSpec } } };
  template?: PodTemplateSpec;
};

const WORKLOADS = new Set([
  "apps/daemonsets",
  "apps/deployments",
  "apps/replicasets",
  "apps/statefulsets",
  "batch/cronjobs",
  "batch/jobs",
  "core/podtemplates",
  "core/replicationcontrollers",
]);

function templateOf(object: Holder): PodTemplateSpec | undefined {
  return object.spec?.template ?? object.spec?.jobTemplate?.spec?.template ?? object.template;
}

function labelCauses(namespace: Namespace): Cause[] {
  const causes: Cause[] = [];
  for (const mode of MODES) {
    const level = namespace.metadata?.labels?.[LABELS[mode].level];
    if (level !== undefined && !(level in CHECKS)) {
      const detail = "must be one of privileged, baseline, restricted";
      causes.push(invalid(`metadata.labels[${LABEL}${mode}]`, level, detail));
    }
    const version = namespace.metadata?.labels?.[LABELS[mode].version];
    if (version !== undefined && !/^(latest|v1\.\d+)$/.test(version)) {
      const detail = 'must be "latest" or "v1.x"';
      causes.push(invalid(`metadata.labels[${LABEL}${mode}-version]`, version, detail));
    }
  }
  return causes;
}

const named = ({ level, version }: Level): string => `${level}:${version}`;
const shown = (level: Level): string => `"${named(level)}"`;

/** The new level to enforce, where it allows less than the one before. */
function tightened(namespace: Namespace, old: Namespace | undefined): Level | undefined {
  const next = levelOf(namespace.metadata?.labels ?? {}, "enforce");
  const before = levelOf(old?.metadata?.labels ?? {}, "enforce");
  if (next.level === "privileged" || sameJson(next, before)) return undefined;
  const tighter = LEVELS.indexOf(next.level) > LEVELS.indexOf(before.level);
  return tighter || next.version !== before.version ? next : undefined;
}

export const podSecurity: MakePlugin = ({ store }) => {
  /** Pods stay that a namespace's new level would refuse: who sets it is told. */
  async function tell({ name, object, old, warnings }: Attributes): Promise<void> {
    const level = tightened(object as Namespace, old as Namespace | undefined);
    if (level === undefined) return;
    const page = await store.list({ prefix: `core/pods/${name}/`, limit: EXISTING_PODS_MAX });
    const lines = sorts(
      level,
      page.items.map((item) => peek<Pod>(item)),
    );
    if (lines.length === 0) return;
    const head = `existing pods in namespace "${name}" violate the new PodSecurity enforce level`;
    warnings.push(`${head} ${shown(level)}`, ...lines);
  }

  async function check(attributes: Attributes, pod: Pod, enforced: boolean): Promise<void> {
    const item = await store.get(`core/namespaces/${attributes.namespace}`);
    if (item === undefined) return;
    const { labels = {} } = peek<Namespace>(item).metadata;
    const enforce = levelOf(labels, "enforce");
    const refused = enforced ? violations(enforce, pod) : undefined;
    if (enforced) attributes.annotate?.(`${LABEL}enforce-policy`, named(enforce));
    const audit = levelOf(labels, "audit");
    const noted = violations(audit, pod);
    if (noted !== undefined) {
      const text = `would violate PodSecurity ${shown(audit)}: ${noted}`;
      attributes.annotate?.(`${LABEL}audit-violations`, text);
    }
    if (refused !== undefined) {
      const why = `violates PodSecurity ${shown(enforce)}: ${refused}`;
      throw refuse.forbidden(attributes.resource.kind, attributes.name, why);
    }
    const warn = levelOf(labels, "warn");
    const told = violations(warn, pod);
    if (told !== undefined) {
      attributes.warnings.push(`would violate PodSecurity ${shown(warn)}: ${told}`);
    }
  }

  /** A change that these checks do not look at needs none. */
  function matters({ operation, object, old }: Attributes): boolean {
    if (operation === "CREATE") return true;
    return !sameJson((object as Pod).spec, (old as Pod | undefined)?.spec);
  }

  return {
    name: "PodSecurity",
    validate(attributes): void | Promise<void> {
      const { resource, subresource, operation, object, name } = attributes;
      if (operation !== "CREATE" && operation !== "UPDATE") return;
      if (object === undefined) return;
      if (resource.bucket === "core/pods") {
        if (subresource !== "" && subresource !== "ephemeralcontainers") return;
        return matters(attributes) ? check(attributes, object as Pod, true) : undefined;
      }
      if (subresource !== "") return;
      if (resource.bucket === "core/namespaces") {
        const causes = labelCauses(object as Namespace);
        if (causes.length > 0) throw refuse.invalid(resource.kind, name, causes);
        return operation === "UPDATE" ? tell(attributes) : undefined;
      }
      const template = WORKLOADS.has(resource.bucket) ? templateOf(object as Holder) : undefined;
      return template === undefined ? undefined : check(attributes, template as Pod, false);
    },
  };
};
