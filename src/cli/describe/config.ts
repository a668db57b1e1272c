/** ConfigMaps, Secrets, Namespaces, ServiceAccounts, claims and volumes. */
import {
  type Describe,
  describeEvents,
  describeLabels,
  describeName,
} from "#cli/describe/common.ts";
import type { Writer } from "#cli/describe/writer.ts";
import { listAll } from "#cli/targets.ts";
import { pathOf } from "#client/http.ts";
import { limitRanges } from "#resources/kinds/limitrange.ts";
import { pods } from "#resources/kinds/pod.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  ConfigMap,
  LimitRange,
  Namespace,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  ResourceQuota,
  Secret,
  ServiceAccount,
} from "#resources/types.gen.ts";

const sortedEntries = <T>(map: Readonly<Record<string, T>> | undefined): Array<[string, T]> =>
  Object.entries(map ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));

export const describeConfigMap: Describe<Stored<ConfigMap>> = async (writer, object, session) => {
  describeName(writer, object);
  describeLabels(writer, object);
  writer.line(0, "\nData\n====");
  for (const [key, value] of sortedEntries(object.data)) {
    writer.line(0, `${key}:\n----\n${value}\n`);
  }
  writer.line(0, "\nBinaryData\n====");
  for (const [key, value] of sortedEntries(object.binaryData)) {
    writer.line(0, `${key}: ${Buffer.from(String(value), "base64").length} bytes`);
  }
  writer.line(0, "");
  await describeEvents(writer, object, session);
};

/** Sizes alone: what is in it stays secret. */
export const describeSecret: Describe<Stored<Secret>> = (writer, object) => {
  describeName(writer, object);
  describeLabels(writer, object);
  writer.line(0, `\nType:\t${object.type ?? "Opaque"}`);
  writer.line(0, "\nData\n====");
  for (const [key, value] of sortedEntries(object.data)) {
    const { length } = Buffer.from(String(value), "base64");
    const shown =
      object.type === "kubernetes.io/service-account-token" && key === "token"
        ? Buffer.from(String(value), "base64").toString()
        : `${length} bytes`;
    writer.field(0, key, shown);
  }
};

function describeQuotas(writer: Writer, quotas: readonly Stored<ResourceQuota>[]): void {
  if (quotas.length === 0) writer.line(0, "\nNo resource quota.");
  else writer.line(0, "\nResource Quotas");
  for (const { metadata, status } of quotas) {
    writer.line(1, `Name:\t${metadata.name}`);
    const rows = sortedEntries(status?.hard).map(([name, hard]) => [
      name,
      String(status?.used?.[name] ?? 0),
      String(hard),
    ]);
    writer.table(1, [["Resource", "Used", "Hard"], ["--------", "---", "---"], ...rows]);
  }
}

function describeLimits(writer: Writer, ranges: readonly Stored<LimitRange>[]): void {
  if (ranges.length === 0) {
    writer.line(0, "\nNo LimitRange resource.");
    return;
  }
  const head = ["Type", "Resource", "Min", "Max", "Default Request", "Default Limit", "Max Ratio"];
  const rows = ranges
    .flatMap(({ spec }) => spec?.limits ?? [])
    .flatMap((each) => {
      const maps = [
        each.min,
        each.max,
        each.defaultRequest,
        each.default,
        each.maxLimitRequestRatio,
      ];
      const names = new Set(maps.flatMap((map) => Object.keys(map ?? {})));
      return [...names].sort().map((name) => {
        const cells = maps.map((map) => String(map?.[name] ?? "-"));
        return [each.type, name, ...cells];
      });
    });
  writer.line(0, "\nResource Limits");
  writer.table(1, [head, head.map((name) => "-".repeat(name.length)), ...rows]);
}

export const describeNamespace: Describe<Stored<Namespace>> = async (writer, object, session) => {
  const namespace = object.metadata.name;
  describeName(writer, object);
  describeLabels(writer, object);
  writer.field(0, "Status", object.status?.phase ?? "");
  const quotas = await listAll(session, pathOf(resourceQuotas, { namespace }));
  describeQuotas(writer, quotas.items as Stored<ResourceQuota>[]);
  const ranges = await listAll(session, pathOf(limitRanges, { namespace }));
  describeLimits(writer, ranges.items as Stored<LimitRange>[]);
};

export const describeServiceAccount: Describe<Stored<ServiceAccount>> = async (
  writer,
  object,
  session,
) => {
  const names = (list: ReadonlyArray<{ name?: string }> | undefined): string[] =>
    (list ?? []).map(({ name = "" }) => name);
  describeName(writer, object);
  describeLabels(writer, object);
  writer.field(0, "Image pull secrets", names(object.imagePullSecrets));
  writer.field(0, "Mountable secrets", names(object.secrets));
  writer.field(0, "Tokens", "<none>");
  await describeEvents(writer, object, session);
};

const MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};
const modesText = (modes: readonly string[] | undefined): string =>
  (modes ?? []).map((mode) => MODES[mode] ?? mode).join(",");

export const describeClaim: Describe<Stored<PersistentVolumeClaim>> = async (
  writer,
  object,
  session,
) => {
  const { metadata, spec, status } = object;
  describeName(writer, object);
  writer.field(0, "StorageClass", spec?.storageClassName ?? "");
  const going = metadata.deletionTimestamp !== undefined;
  writer.field(0, "Status", going ? "Terminating" : (status?.phase ?? ""));
  writer.field(0, "Volume", spec?.volumeName ?? "");
  describeLabels(writer, object);
  writer.field(0, "Finalizers", `[${(metadata.finalizers ?? []).join(" ")}]`);
  const bound = spec?.volumeName !== undefined && spec.volumeName !== "";
  writer.field(0, "Capacity", bound ? String(status?.capacity?.["storage"] ?? "") : "");
  writer.field(0, "Access Modes", bound ? modesText(status?.accessModes) : "");
  writer.field(0, "VolumeMode", spec?.volumeMode ?? "");
  const list = await listAll(session, pathOf(pods, { namespace: metadata.namespace }));
  const users = (list.items as Stored<Pod>[]).filter((pod) =>
    pod.spec?.volumes?.some(
      ({ persistentVolumeClaim: claim }) => claim?.claimName === metadata.name,
    ),
  );
  writer.field(
    0,
    "Used By",
    users.map((pod) => pod.metadata.name),
  );
  await describeEvents(writer, object, session);
};

export const describeVolume: Describe<Stored<PersistentVolume>> = async (
  writer,
  object,
  session,
) => {
  const { metadata, spec, status } = object;
  writer.field(0, "Name", metadata.name);
  describeLabels(writer, object);
  writer.field(0, "Finalizers", `[${(metadata.finalizers ?? []).join(" ")}]`);
  writer.field(0, "StorageClass", spec?.storageClassName ?? "");
  writer.field(0, "Status", status?.phase ?? "");
  const { namespace = "", name = "" } = spec?.claimRef ?? {};
  writer.field(0, "Claim", spec?.claimRef ? `${namespace}/${name}` : "");
  writer.field(0, "Reclaim Policy", spec?.persistentVolumeReclaimPolicy ?? "");
  writer.field(0, "Access Modes", modesText(spec?.accessModes));
  writer.field(0, "VolumeMode", spec?.volumeMode ?? "");
  writer.field(0, "Capacity", String(spec?.capacity?.["storage"] ?? ""));
  const terms = spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  writer.line(0, terms.length === 0 ? "Node Affinity:\t<none>" : "Node Affinity:");
  if (terms.length > 0) writer.line(1, "Required Terms:\t");
  for (const [at, { matchExpressions = [] }] of terms.entries()) {
    const rules = matchExpressions.map(({ key, operator, values = [] }) => {
      const list = values.length === 0 ? "" : ` [${values.join(", ")}]`;
      return `${key} ${operator.toLowerCase()}${list}`;
    });
    writer.field(2, `Term ${at}`, rules);
  }
  writer.field(0, "Message", status?.message ?? "");
  writer.line(0, "Source:");
  const path = spec?.local?.path ?? spec?.hostPath?.path;
  if (spec?.local) {
    writer.field(2, "Type", "LocalVolume (a persistent volume backed by local storage on a node)");
  } else if (spec?.hostPath) {
    writer.field(2, "Type", "HostPath (bare host directory volume)");
  } else if (spec?.nfs) {
    writer.field(2, "Type", "NFS (an NFS mount that lasts the lifetime of a pod)");
    writer.field(2, "Server", spec.nfs.server);
  }
  if (path !== undefined) writer.field(2, "Path", path);
  await describeEvents(writer, object, session);
};
