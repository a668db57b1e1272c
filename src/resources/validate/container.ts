/**
 * Containers of every sort (core validation; "Containers", "Init Containers", "Ephemeral
 * Containers").
 */
import { type Cause, duplicate, forbidden, invalid, notFound, required } from "#resources/field.ts";
import type {
  Container,
  ContainerPort,
  ContainerResizePolicy,
  EphemeralContainer,
  PodSpec,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  port,
  requiredByRule,
  requiredWord,
  supported,
} from "#resources/validate/basic.ts";
import { checkEnv, checkEnvFrom } from "#resources/validate/env.ts";
import { checkHandlers } from "#resources/validate/handler.ts";
import { checkIp } from "#resources/validate/ip.ts";
import { checkMounts, type Volumes } from "#resources/validate/mount.ts";
import { noControls } from "#resources/validate/path.ts";
import { checkRequirements } from "#resources/validate/resources.ts";
import { checkSecurity } from "#resources/validate/security.ts";
import { labelErrors, portNameErrors } from "#resources/validate/text.ts";

export const PROTOCOLS = ["SCTP", "TCP", "UDP"] as const;

/** What the containers of one pod share. */
interface Pod {
  spec: PodSpec;
  volumes: Volumes;
  claims: ReadonlySet<string>;
  hostUsers: boolean;
}

type AnyContainer = Container | EphemeralContainer;

function portsCauses(ports: readonly ContainerPort[] | undefined, path: string): Cause[] {
  const names = new Set<string>();
  return each(ports, path, ({ name, containerPort, hostPort, hostIP, protocol }, at) => {
    const causes: Cause[] = [];
    if (name) {
      causes.push(...byRule(portNameErrors, name, `${at}.name`));
      if (causes.length === 0 && names.has(name)) causes.push(duplicate(`${at}.name`, name));
      names.add(name);
    }
    if (containerPort) causes.push(...port(containerPort, `${at}.containerPort`));
    else causes.push(required(`${at}.containerPort`));
    if (hostPort) causes.push(...port(hostPort, `${at}.hostPort`));
    if (hostIP) causes.push(...checkIp(hostIP, `${at}.hostIP`));
    return [...causes, ...requiredWord(protocol, PROTOCOLS, `${at}.protocol`)];
  });
}

/** One port of the host for one container. */
function hostPortCauses(containers: readonly AnyContainer[], path: string): Cause[] {
  const seen = new Set<string>();
  return each(containers, path, (container, at) =>
    each(container.ports, `${at}.ports`, ({ protocol, hostIP, hostPort }, portPath) => {
      if (!hostPort) return [];
      const key = `${protocol ?? ""}/${hostIP ?? ""}/${hostPort}`;
      const causes = seen.has(key) ? [duplicate(`${portPath}.hostPort`, key)] : [];
      seen.add(key);
      return causes;
    }),
  );
}

const RESIZE_POLICIES = ["NotRequired", "RestartContainer"];

function resizeCauses(
  policies: readonly ContainerResizePolicy[] | undefined,
  restartPolicy: string | undefined,
  path: string,
): Cause[] {
  const seen = new Set<string>();
  return each(policies, path, (policy, at) => {
    const causes = seen.has(policy.resourceName) ? [duplicate(at, policy.resourceName)] : [];
    seen.add(policy.resourceName);
    causes.push(
      ...requiredWord(policy.resourceName, ["cpu", "memory"], path),
      ...requiredWord(policy.restartPolicy, RESIZE_POLICIES, path),
    );
    if (restartPolicy === "Never" && policy.restartPolicy !== "NotRequired") {
      const detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
      causes.push(invalid(path, policy.restartPolicy ?? "", detail));
    }
    return causes;
  });
}

const PULL_POLICIES = ["Always", "IfNotPresent", "Never"];

const commonCauses = (container: AnyContainer, pod: Pod, path: string): Cause[] => [
  ...requiredByRule(labelErrors, container.name, `${path}.name`),
  ...(container.image ? [] : [required(`${path}.image`)]),
  ...requiredWord(
    container.terminationMessagePolicy,
    ["File", "FallbackToLogsOnError"],
    `${path}.terminationMessagePolicy`,
  ),
  ...portsCauses(container.ports, `${path}.ports`),
  ...noControls(container.workingDir, `${path}.workingDir`),
  ...noControls(container.terminationMessagePath, `${path}.terminationMessagePath`),
  ...checkEnv(container.env, `${path}.env`),
  ...checkEnvFrom(container.envFrom, `${path}.envFrom`),
  ...checkMounts(container, pod.volumes, path),
  ...requiredWord(container.imagePullPolicy, PULL_POLICIES, `${path}.imagePullPolicy`),
  ...checkRequirements(container.resources, pod.claims, `${path}.resources`),
  ...resizeCauses(container.resizePolicy, pod.spec.restartPolicy, `${path}.resizePolicy`),
  ...checkSecurity(container.securityContext, pod.hostUsers, `${path}.securityContext`),
];

const handlersOf = (container: Container, { spec }: Pod, path: string): Cause[] =>
  checkHandlers(container, { graceSeconds: spec.terminationGracePeriodSeconds, os: spec.os }, path);

export function checkContainers(pod: Pod, path: string): Cause[] {
  const containers = pod.spec.containers ?? [];
  if (containers.length === 0) return [required(path)];
  const names = new Set<string>();
  const causes = each(containers, path, (container, at) => {
    const found = commonCauses(container, pod, at);
    if (names.has(container.name)) found.push(duplicate(`${at}.name`, container.name));
    names.add(container.name);
    found.push(...handlersOf(container, pod, at));
    if (container.restartPolicy !== undefined) {
      found.push(forbidden(`${at}.restartPolicy`, "may not be set for non-init containers"));
    }
    return found;
  });
  return [...causes, ...hostPortCauses(containers, path)];
}

const HANDLERS = ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] as const;
const NOT_FOR_INIT = "may not be set for init containers without restartPolicy=Always";

export function checkInitContainers(pod: Pod, path: string): Cause[] {
  const names = new Set((pod.spec.containers ?? []).map((container) => container.name));
  return each(pod.spec.initContainers, path, (container, at) => {
    const causes = [
      ...commonCauses(container, pod, at),
      ...supported(container.restartPolicy, ["Always"], `${at}.restartPolicy`),
    ];
    if (names.has(container.name)) causes.push(duplicate(`${at}.name`, container.name));
    if (container.name) names.add(container.name);
    causes.push(...hostPortCauses([container], path));
    if (container.restartPolicy === "Always") return [...causes, ...handlersOf(container, pod, at)];
    const set = HANDLERS.filter((field) => container[field]);
    return [...causes, ...set.map((field) => forbidden(`${at}.${field}`, NOT_FOR_INIT))];
  });
}

/** Fields of a container that only a part of the pod's own work has. */
const NOT_EPHEMERAL = [
  "ports",
  "livenessProbe",
  "readinessProbe",
  "startupProbe",
  "lifecycle",
  "restartPolicy",
  "resizePolicy",
] as const;

function ephemeralCauses(container: EphemeralContainer, path: string): Cause[] {
  const detail = "cannot be set for an Ephemeral Container";
  const set: string[] = NOT_EPHEMERAL.filter((field) => container[field]);
  const { limits, requests, claims } = container.resources ?? {};
  if (limits || requests || claims) set.push("resources");
  const causes = set.map((field) => forbidden(`${path}.${field}`, detail));
  const mounts = each(container.volumeMounts, `${path}.volumeMounts`, (mount, at) =>
    (["subPath", "subPathExpr"] as const)
      .filter((field) => mount[field])
      .map((field) => forbidden(`${at}.${field}`, detail)),
  );
  return [...causes, ...mounts];
}

export function checkEphemeralContainers(pod: Pod, path: string): Cause[] {
  const { containers, initContainers, ephemeralContainers } = pod.spec;
  if (!ephemeralContainers || ephemeralContainers.length === 0) return [];
  const lasting = [...(containers ?? []), ...(initContainers ?? [])].map(({ name }) => name);
  const names = new Set(lasting);
  return each(ephemeralContainers, path, (container, at) => {
    const causes = [...commonCauses(container, pod, at), ...checkImage(container, at)];
    if (names.has(container.name)) causes.push(duplicate(`${at}.name`, container.name));
    names.add(container.name);
    const target = container.targetContainerName;
    if (target && !lasting.includes(target)) {
      causes.push(notFound(`${at}.targetContainerName`, target));
    }
    return [...causes, ...ephemeralCauses(container, at)];
  });
}

/** Pods only: a template may hold a placeholder that something else fills in. */
export function checkImage({ image }: AnyContainer, path: string): Cause[] {
  if (!image || image.trim() === image) return [];
  return [invalid(`${path}.image`, image, "must not have leading or trailing whitespace")];
}
