/** Volumes that are gone or going, and files that hide one another within a volume. */
import type { Volume } from "#resources/types.gen.ts";
import { claimSpecWarnings } from "#resources/warnings/amounts.ts";
import { goneWarnings } from "#resources/warnings/gone.ts";

export const volumeWarnings = (volumes: readonly Volume[] | undefined, path: string): string[] =>
  (volumes ?? []).flatMap((volume, at) => {
    const place = `${path}[${at}]`;
    const claim = volume.ephemeral?.volumeClaimTemplate?.spec;
    return [
      ...goneWarnings(volume, place),
      ...claimSpecWarnings(claim, `${place}.ephemeral.volumeClaimTemplate.spec`),
    ];
  });

interface File {
  readonly path: string;
  readonly source: string;
}

const shown = ({ path, source }: File): string => `"${path}"${source === "" ? "" : ` (${source})`}`;

function overlaps(one: File, other: File): boolean {
  if (one.path === "" || other.path === "") return false;
  const [a, b] = [`${one.path}/`, `${other.path}/`];
  return a.startsWith(b) || b.startsWith(a);
}

/** Of one volume: each is compared with all others. */
const FILES_COMPARED_MAX = 300;

/** Each file with those before it that it overlaps. */
function collisions(files: readonly File[]): string[] {
  const bare = files
    .slice(0, FILES_COMPARED_MAX)
    .map((file) => ({ ...file, path: file.path.replace(/\/+$/, "") }));
  return bare.flatMap((file, at) =>
    bare
      .slice(0, at)
      .filter((other) => overlaps(file, other))
      .map((other) => `${shown(file)} with ${shown(other)}`),
  );
}

const filesOf = (items: ReadonlyArray<{ path: string }> | undefined, source = ""): File[] =>
  (items ?? []).map(({ path }) => ({ path, source }));

type Projected = NonNullable<NonNullable<Volume["projected"]>["sources"]>[number];

function projectedFiles(source: Projected): File[] {
  const { configMap, secret, downwardAPI, serviceAccountToken, clusterTrustBundle } = source;
  if (configMap?.items) return filesOf(configMap.items, `ConfigMap "${configMap.name ?? ""}"`);
  if (secret?.items) return filesOf(secret.items, `Secret "${secret.name ?? ""}"`);
  if (downwardAPI?.items) return filesOf(downwardAPI.items, "DownwardAPI");
  if (serviceAccountToken) return filesOf([serviceAccountToken], "ServiceAccountToken");
  if (clusterTrustBundle === undefined) return [];
  const name = clusterTrustBundle.name ?? clusterTrustBundle.signerName ?? "";
  return filesOf([clusterTrustBundle], `ClusterTrustBundle "${name}"`);
}

export function overlapWarnings(volumes: readonly Volume[] | undefined): string[] {
  return (volumes ?? []).flatMap(({ name, configMap, secret, downwardAPI, projected }) => {
    const told = (what: string, files: readonly File[]): string[] =>
      collisions(files).map((each) => `volume "${name}" (${what}): overlapping paths: ${each}`);
    const sources = projected?.sources ?? [];
    return [
      ...told(`ConfigMap "${configMap?.name ?? ""}"`, filesOf(configMap?.items)),
      ...told(`Secret "${secret?.secretName ?? ""}"`, filesOf(secret?.items)),
      ...told("DownwardAPI", filesOf(downwardAPI?.items)),
      ...sources
        .filter((source) => Object.keys(source).length === 0)
        .map(() => `volume "${name}" (Projected) has no sources provided`),
      ...told("Projected", sources.flatMap(projectedFiles)),
    ];
  });
}
