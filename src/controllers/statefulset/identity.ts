/** What makes a StatefulSet's pod itself: its ordinal, name, labels, host name and claims. */
import { podOf } from "#controllers/common/pods.ts";
import { REVISION_HASH, type Revision } from "#controllers/common/revisions.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import type { Stored } from "#resources/meta.ts";
import type { PersistentVolumeClaim, Pod, StatefulSet, Volume } from "#resources/types.gen.ts";

const POD_NAME = "statefulset.kubernetes.io/pod-name";
const POD_INDEX = "apps.kubernetes.io/pod-index";

/** The ordinal of a pod of this set by its name; undefined for a pod of another. */
export function ordinalOf(set: Stored<StatefulSet>, podName: string): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const rest = podName.slice(prefix.length);
  return podName.startsWith(prefix) && /^(0|[1-9]\d*)$/.test(rest) ? Number(rest) : undefined;
}

export const podName = (set: Stored<StatefulSet>, ordinal: number): string =>
  `${set.metadata.name}-${ordinal}`;

export const firstOrdinal = (set: StatefulSet): number => set.spec?.ordinals?.start ?? 0;

export function claimName(set: Stored<StatefulSet>, template: string, ordinal: number): string {
  return `${template}-${set.metadata.name}-${ordinal}`;
}

export function claimsOf(set: Stored<StatefulSet>, ordinal: number): PersistentVolumeClaim[] {
  return (set.spec?.volumeClaimTemplates ?? []).map(({ metadata, spec }) => ({
    metadata: {
      ...(metadata?.annotations && { annotations: metadata.annotations }),
      name: claimName(set, metadata?.name ?? "", ordinal),
      namespace: set.metadata.namespace ?? "",
      labels: { ...metadata?.labels, ...set.spec?.selector.matchLabels },
    },
    ...(spec && { spec }),
  }));
}

function volumesOf(set: Stored<StatefulSet>, ordinal: number, volumes: Volume[] = []): Volume[] {
  const own = (set.spec?.volumeClaimTemplates ?? []).map((template): Volume => {
    const name = template.metadata?.name ?? "";
    return { name, persistentVolumeClaim: { claimName: claimName(set, name, ordinal) } };
  });
  const names = new Set(own.map(({ name }) => name));
  return [...own, ...volumes.filter(({ name }) => !names.has(name))];
}

export function statefulPod(set: Stored<StatefulSet>, ordinal: number, revision: Revision): Pod {
  const name = podName(set, ordinal);
  const pod = podOf({ template: revision.template, kind: statefulSets, owner: set, name });
  const volumes = volumesOf(set, ordinal, pod.spec?.volumes);
  return {
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata?.labels,
        [POD_NAME]: name,
        [POD_INDEX]: String(ordinal),
        [REVISION_HASH]: revision.name,
      },
    },
    spec: {
      containers: [],
      ...pod.spec,
      hostname: name,
      ...(set.spec?.serviceName && { subdomain: set.spec.serviceName }),
      ...(volumes.length > 0 && { volumes }),
    },
  };
}

/** Labels of identity that somebody took off: they are put back. */
export function missingLabels(
  set: Stored<StatefulSet>,
  pod: Stored<Pod>,
): Record<string, string> | undefined {
  const { name, labels = {} } = pod.metadata;
  const index = String(ordinalOf(set, name) ?? "");
  if (labels[POD_NAME] === name && labels[POD_INDEX] === index) return undefined;
  return { ...labels, [POD_NAME]: name, [POD_INDEX]: index };
}
