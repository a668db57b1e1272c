/** Volumes of a pod or a template. */
import type { Writer } from "#cli/describe/writer.ts";
import type { Volume } from "#resources/types.gen.ts";

type Fields = ReadonlyArray<readonly [string, string]>;

const text = (value: unknown): string => (value === undefined ? "" : String(value));

function projected({ projected }: Volume): Fields {
  return (projected?.sources ?? []).flatMap((source): Array<readonly [string, string]> => {
    const { secret, configMap, downwardAPI, serviceAccountToken } = source;
    if (secret) {
      const optional = text(secret.optional ?? "<nil>");
      return [
        ["SecretName", text(secret.name)],
        ["Optional", optional],
      ];
    }
    if (configMap) {
      return [
        ["ConfigMapName", text(configMap.name)],
        ["ConfigMapOptional", text(configMap.optional ?? "<nil>")],
      ];
    }
    if (downwardAPI) return [["DownwardAPI", "true"]];
    if (serviceAccountToken) {
      return [["TokenExpirationSeconds", text(serviceAccountToken.expirationSeconds)]];
    }
    return [];
  });
}

function fieldsOf(volume: Volume): Fields {
  if (volume.emptyDir) {
    return [
      ["Type", "EmptyDir (a temporary directory that shares a pod's lifetime)"],
      ["Medium", volume.emptyDir.medium ?? ""],
      ["SizeLimit", text(volume.emptyDir.sizeLimit ?? "<unset>")],
    ];
  }
  if (volume.hostPath) {
    return [
      ["Type", "HostPath (bare host directory volume)"],
      ["Path", volume.hostPath.path],
      ["HostPathType", volume.hostPath.type ?? ""],
    ];
  }
  if (volume.configMap) {
    return [
      ["Type", "ConfigMap (a volume populated by a ConfigMap)"],
      ["Name", volume.configMap.name ?? ""],
      ["Optional", text(volume.configMap.optional ?? false)],
    ];
  }
  if (volume.secret) {
    return [
      ["Type", "Secret (a volume populated by a Secret)"],
      ["SecretName", volume.secret.secretName ?? ""],
      ["Optional", text(volume.secret.optional ?? false)],
    ];
  }
  if (volume.persistentVolumeClaim) {
    const { claimName, readOnly = false } = volume.persistentVolumeClaim;
    return [
      [
        "Type",
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
      ],
      ["ClaimName", claimName],
      ["ReadOnly", text(readOnly)],
    ];
  }
  if (volume.projected) {
    const type = "Projected (a volume that contains injected data from multiple sources)";
    return [["Type", type], ...projected(volume)];
  }
  if (volume.downwardAPI) {
    return [["Type", "DownwardAPI (a volume populated by information about the pod)"]];
  }
  if (volume.nfs) {
    return [
      ["Type", "NFS (an NFS mount that lasts the lifetime of a pod)"],
      ["Server", volume.nfs.server],
      ["Path", volume.nfs.path],
      ["ReadOnly", text(volume.nfs.readOnly ?? false)],
    ];
  }
  const kind = Object.keys(volume).find((key) => key !== "name");
  return [["Type", kind ?? "<unknown>"]];
}

export function describeVolumes(
  writer: Writer,
  volumes: readonly Volume[] | undefined,
  inTemplate: boolean,
): void {
  const space = inTemplate ? "  " : "";
  if (volumes === undefined || volumes.length === 0) {
    writer.line(0, `${space}Volumes:\t<none>`);
    return;
  }
  writer.line(0, `${space}Volumes:`);
  for (const volume of volumes) {
    writer.line(1, `${inTemplate ? " " : ""}${volume.name}:`);
    for (const [name, value] of fieldsOf(volume)) writer.line(2, `${name}:\t${value}`);
  }
}
