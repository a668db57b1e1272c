/** What the scheduler reads from a pod, computed once a decision. */
import { keyOf, type Stored } from "#resources/meta.ts";
import { type Amounts, amountOf, hostPorts, podRequests } from "#resources/podrequests.ts";
import { oncePerSpec } from "#resources/samespec.ts";
import type { Affinity, Pod } from "#resources/types.gen.ts";

export interface PodFacts {
  readonly key: string;
  readonly pod: Stored<Pod>;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly priority: number;
  readonly requests: Amounts;
  /** Requests with a default where a container asks for nothing: such pods are spread too. */
  readonly nonzero: { readonly cpu: number; readonly memory: number };
  readonly ports: readonly string[];
  /** Keys of the PersistentVolumeClaims that the pod uses. */
  readonly claims: readonly string[];
  /** Pods of one kin count alike in selectors and terms: namespace, labels and pod affinity. */
  readonly kin: string;
}

/** What upstream's scoring counts for a container without requests (100m, 200 MB). */
const DEFAULT_CPU_MILLI = 100;
const DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024;

const NO_LABELS: Readonly<Record<string, string>> = {};

export const isOver = (pod: Pod): boolean =>
  pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

/** Name of the claim of a generic ephemeral volume (KEP-1698). */
export const ephemeralClaimName = (podName: string, volumeName: string): string =>
  `${podName}-${volumeName}`;

const NO_CLAIMS: readonly string[] = [];

function claimsOf(pod: Stored<Pod>): readonly string[] {
  if (pod.spec?.volumes === undefined) return NO_CLAIMS;
  const { namespace = "", name } = pod.metadata;
  const out: string[] = [];
  for (const volume of pod.spec.volumes) {
    if (volume.persistentVolumeClaim) {
      out.push(`${namespace}/${volume.persistentVolumeClaim.claimName}`);
    } else if (volume.ephemeral) {
      out.push(`${namespace}/${ephemeralClaimName(name, volume.name)}`);
    }
  }
  return out;
}

/** Affinity to pods alone; that to nodes concerns nobody else. */
export function podAffinityOf(pod: Pod): Affinity | undefined {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  if (podAffinity === undefined && podAntiAffinity === undefined) return undefined;
  return { ...(podAffinity && { podAffinity }), ...(podAntiAffinity && { podAntiAffinity }) };
}

function nonzeroOf(pod: Pod, requests: Amounts): { cpu: number; memory: number } {
  let cpu = 0;
  let memory = 0;
  for (const container of pod.spec?.containers ?? []) {
    const asked = container.resources?.requests;
    cpu += amountOf("cpu", asked?.["cpu"] ?? 0) || DEFAULT_CPU_MILLI;
    memory += amountOf("memory", asked?.["memory"] ?? 0) || DEFAULT_MEMORY_BYTES;
  }
  return {
    cpu: Math.max(cpu, requests["cpu"] ?? 0),
    memory: Math.max(memory, requests["memory"] ?? 0),
  };
}

const askedOf = oncePerSpec((pod): Pick<PodFacts, "requests" | "nonzero" | "ports"> => {
  const requests = podRequests(pod);
  return { requests, nonzero: nonzeroOf(pod, requests), ports: hostPorts(pod) };
});

export function factsOf(pod: Stored<Pod>): PodFacts {
  const { requests, nonzero, ports } = askedOf(pod);
  const { namespace = "", labels = NO_LABELS } = pod.metadata;
  const affinity = podAffinityOf(pod);
  const terms = affinity === undefined ? "" : JSON.stringify(affinity);
  return {
    key: keyOf(pod),
    pod,
    namespace,
    labels,
    priority: pod.spec?.priority ?? 0,
    requests,
    nonzero,
    ports,
    claims: claimsOf(pod),
    kin: `${namespace} ${JSON.stringify(labels)} ${terms}`,
  };
}
