/** What is odd about the containers of a pod: amounts, environment, ports. */
import type { AppArmorProfile, Container, PodSpec } from "#resources/types.gen.ts";
import { fractionWarnings } from "#resources/warnings/amounts.ts";

const BYTES = ["memory", "ephemeral-storage"];

export interface Placed {
  readonly container: Container;
  readonly path: string;
}

/** All containers with where they stand. */
export function containersAt(spec: PodSpec, path: string): Placed[] {
  const lists = ["initContainers", "containers", "ephemeralContainers"] as const;
  return lists.flatMap((list) =>
    ((spec[list] ?? []) as Container[]).map((container, at) => ({
      container,
      path: `${path}.${list}[${at}]`,
    })),
  );
}

function environmentWarnings({ container, path }: Placed): string[] {
  const seen = new Set<string>();
  return (container.env ?? []).flatMap(({ name, value = "", valueFrom }, at) => {
    const reference = `$(${name})`;
    const isNew = !seen.has(name);
    seen.add(name);
    const adds = valueFrom === undefined && value !== reference && value.includes(reference);
    if (isNew || adds) return [];
    return [
      `${path}.env[${at}]: hides previous definition of "${name}", ` +
        "which may be dropped when using apply",
    ];
  });
}

const SECCOMP = "container.seccomp.security.alpha.kubernetes.io/";
const APPARMOR = "container.apparmor.security.beta.kubernetes.io/";

/** The field that an annotation stands for. */
function profileOf(annotation: string): AppArmorProfile | undefined {
  if (annotation === "unconfined") return { type: "Unconfined" };
  if (annotation === "runtime/default") return { type: "RuntimeDefault" };
  if (!annotation.startsWith("localhost/")) return undefined;
  return { type: "Localhost", localhostProfile: annotation.slice("localhost/".length) };
}

const sameProfile = (a: AppArmorProfile | undefined, b: AppArmorProfile | undefined): boolean =>
  a?.type === b?.type && a?.localhostProfile === b?.localhostProfile;

export interface Annotated {
  readonly annotations: Readonly<Record<string, string>>;
  /** `metadata.annotations` of the pod. */
  readonly path: string;
  /** A template's annotations do not become fields, as a pod's do. */
  readonly template: boolean;
}

function annotationWarnings({ container }: Placed, spec: PodSpec, about: Annotated): string[] {
  const { annotations, path, template } = about;
  const { seccompProfile, appArmorProfile } = container.securityContext ?? {};
  const seccomp = SECCOMP + container.name;
  const appArmor = APPARMOR + container.name;
  const out: string[] = [];
  if (seccompProfile === undefined && annotations[seccomp] !== undefined) {
    const use = 'use the "seccompProfile" field instead';
    out.push(`${path}[${seccomp}]: non-functional in v1.27+; ${use}`);
  }
  const given = annotations[appArmor];
  if (template && appArmorProfile === undefined && given !== undefined) {
    const ofPod = spec.securityContext?.appArmorProfile;
    if (ofPod === undefined || !sameProfile(ofPod, profileOf(given))) {
      const use = 'use the "appArmorProfile" field instead';
      out.push(`${path}[${appArmor}]: deprecated since v1.30; ${use}`);
    }
  }
  return out;
}

export function containerWarnings(
  placed: readonly Placed[],
  spec: PodSpec,
  about: Annotated,
): string[] {
  return placed.flatMap((each) => {
    const { limits, requests } = each.container.resources ?? {};
    const at = `${each.path}.resources`;
    return [
      ...annotationWarnings(each, spec, about),
      ...BYTES.flatMap((name) => [
        ...fractionWarnings(limits, [name], `${at}.limits`),
        ...fractionWarnings(requests, [name], `${at}.requests`),
      ]),
      ...environmentWarnings(each),
    ];
  });
}

type Port = NonNullable<Container["ports"]>[number];

interface PlacedPort {
  readonly port: Port;
  readonly path: string;
}

/** As Go prints a struct. */
const shown = ({ name = "", hostPort = 0, containerPort, protocol = "", hostIP = "" }: Port) =>
  `{Name:${name} HostPort:${hostPort} ContainerPort:${containerPort} ` +
  `Protocol:${protocol} HostIP:${hostIP}}`;

function portClash(one: PlacedPort, other: PlacedPort): string[] {
  const [a, b] = [one.port, other.port];
  const [hostA, hostB] = [a.hostPort ?? 0, b.hostPort ?? 0];
  const [ipA, ipB] = [a.hostIP ?? "", b.hostIP ?? ""];
  const told = (what: string): string[] => [
    `${one.path}: ${what} port definition with ${other.path}`,
  ];
  if (ipA === ipB && hostA === hostB) return told("duplicate");
  if (hostA === 0 || hostB === 0) return told("overlapping");
  if (hostA === hostB && (ipA === "") !== (ipB === "")) return told("dangerously ambiguous");
  return [];
}

/** No client is shown more: what clashes with all others is not worth telling of each. */
const CLASHES_MAX = 100;

function clashWarnings(all: readonly PlacedPort[]): string[] {
  const known = new Map<string, PlacedPort[]>();
  const out: string[] = [];
  for (const one of all) {
    const { port, path } = one;
    const key = `${port.containerPort}/${port.protocol}`;
    const others = known.get(key);
    if (port.hostIP && !port.hostPort) {
      out.push(`${path}: hostIP set without hostPort: ${shown(port)}`);
    }
    for (const other of others ?? []) out.push(...portClash(one, other));
    if (out.length >= CLASHES_MAX) return out;
    if (others === undefined) known.set(key, [one]);
    else if (others.length < CLASHES_MAX) others.push(one);
  }
  return out;
}

function doubledNames(all: readonly PlacedPort[]): string[] {
  const names = new Map<string, string>();
  return all.flatMap(({ port, path }) => {
    if (!port.name) return [];
    const other = names.get(port.name);
    if (other === undefined) names.set(port.name, path);
    return other === undefined
      ? []
      : [
          `${path}: duplicate port name "${port.name}" with ${other}, ` +
            `services and probes that select ports by name will use ${other}`,
        ];
  });
}

export function portWarnings(placed: readonly Placed[]): string[] {
  const all = placed.flatMap(({ container, path }) =>
    (container.ports ?? []).map((port, at) => ({ port, path: `${path}.ports[${at}]` })),
  );
  return [...clashWarnings(all), ...doubledNames(all)];
}
