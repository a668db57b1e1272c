/** The files of configMap, secret, downwardAPI and projected volumes, from the API's objects. */
import type { Payload, PayloadFile } from "#agents/volumes/payload.ts";
import type { ObjectSource, VolumeRequest } from "#agents/volumes/volumes.ts";
import type {
  ClusterTrustBundleProjection,
  DownwardAPIVolumeFile,
  KeyToPath,
  ServiceAccountTokenProjection,
  Volume,
  VolumeProjection,
} from "#resources/types.gen.ts";

const DEFAULT_MODE = 0o644;
const DEFAULT_TOKEN_SECONDS = 3600;

export interface ServiceToken {
  token: string;
  /** When it must be asked for anew, milliseconds of the wall clock. */
  renewAtMs: number;
}

/** What rendering needs beyond the request. */
export interface RenderSource {
  objects: ObjectSource;
  token(request: VolumeRequest, audience: string, seconds: number): Promise<ServiceToken>;
  trustBundle(projection: ClusterTrustBundleProjection): Promise<string | undefined>;
}

export interface Rendered {
  files: Payload;
  /** When to render again at the latest. */
  renewAtMs?: number;
}

interface Selection {
  kind: "configMap" | "secret";
  name: string;
  items: readonly KeyToPath[] | undefined;
  optional: boolean;
}

/** ConfigMaps and Secrets a volume shows: to watch them. */
export function referencedObjects(
  volume: Volume,
): Array<{ kind: "configMap" | "secret"; name: string }> {
  return [volumeSelection(volume), ...(volume.projected?.sources ?? []).map(projectedSelection)]
    .filter((selection) => selection !== undefined)
    .map(({ kind, name }) => ({ kind, name }));
}

function volumeSelection({ configMap, secret }: Volume): Selection | undefined {
  if (configMap) {
    const { name = "", items, optional = false } = configMap;
    return { kind: "configMap", name, items, optional };
  }
  if (!secret) return undefined;
  const { secretName = "", items, optional = false } = secret;
  return { kind: "secret", name: secretName, items, optional };
}

function projectedSelection({ configMap, secret }: VolumeProjection): Selection | undefined {
  const source = configMap ?? secret;
  if (source === undefined) return undefined;
  const { name = "", items, optional = false } = source;
  return { kind: configMap ? "configMap" : "secret", name, items, optional };
}

function safePath(path: string): string {
  const bad = path === "" || path.startsWith("/") || path.split("/").includes("..");
  if (bad || path.startsWith("..")) throw new Error(`invalid path in volume: ${path}`);
  return path;
}

async function selected(
  source: RenderSource,
  namespace: string,
  selection: Selection,
  mode: number,
): Promise<Array<[string, PayloadFile]>> {
  const { kind, name, items, optional } = selection;
  const data = await source.objects.get(kind, namespace, name);
  if (data === undefined) {
    if (optional) return [];
    throw new Error(`${kind.toLowerCase()} "${name}" not found`);
  }
  if (items === undefined) {
    return [...data].map(([key, bytes]) => [safePath(key), { data: bytes, mode }]);
  }
  return items.flatMap(({ key, path, mode: own }): Array<[string, PayloadFile]> => {
    const bytes = data.get(key);
    if (bytes !== undefined) return [[safePath(path), { data: bytes, mode: own ?? mode }]];
    if (optional) return [];
    const word = kind === "secret" ? "secret" : "config";
    throw new Error(
      word === "secret"
        ? `references non-existent secret key: ${key}`
        : `configmap references non-existent config key: ${key}`,
    );
  });
}

function downward(
  request: VolumeRequest,
  items: readonly DownwardAPIVolumeFile[],
  mode: number,
): Array<[string, PayloadFile]> {
  return items.map(({ path, fieldRef, resourceFieldRef, mode: own }) => {
    const text = fieldRef
      ? request.fields.field(fieldRef.fieldPath)
      : resourceFieldRef
        ? request.fields.resource(resourceFieldRef)
        : "";
    return [safePath(path), { data: Buffer.from(text), mode: own ?? mode }];
  });
}

/** The one user that all containers run as: the token is theirs alone. */
function commonUser({ pod }: VolumeRequest): number | undefined {
  const spec = pod.spec;
  const all = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  const users = new Set(
    all.map(
      ({ securityContext }) => securityContext?.runAsUser ?? spec?.securityContext?.runAsUser,
    ),
  );
  const [user] = users;
  return users.size === 1 ? user : undefined;
}

async function tokenFile(
  source: RenderSource,
  request: VolumeRequest,
  projection: ServiceAccountTokenProjection,
  mode: number,
): Promise<{ path: string; file: PayloadFile; renewAtMs: number }> {
  const seconds = projection.expirationSeconds ?? DEFAULT_TOKEN_SECONDS;
  const { token, renewAtMs } = await source.token(request, projection.audience ?? "", seconds);
  const group = request.pod.spec?.securityContext?.fsGroup;
  const user = group === undefined ? commonUser(request) : undefined;
  const file: PayloadFile = {
    data: Buffer.from(token),
    mode: group !== undefined || user !== undefined ? 0o600 : mode,
    ...(user !== undefined && { uid: user }),
  };
  return { path: safePath(projection.path), file, renewAtMs };
}

async function projected(
  source: RenderSource,
  request: VolumeRequest,
  volume: Volume,
): Promise<Rendered> {
  const mode = volume.projected?.defaultMode ?? DEFAULT_MODE;
  const namespace = request.pod.metadata.namespace ?? "";
  const files = new Map<string, PayloadFile>();
  let renewAtMs: number | undefined;
  for (const projection of volume.projected?.sources ?? []) {
    const { serviceAccountToken, downwardAPI, clusterTrustBundle } = projection;
    const selection = projectedSelection(projection);
    if (selection) {
      for (const [path, file] of await selected(source, namespace, selection, mode))
        files.set(path, file);
    } else if (downwardAPI) {
      for (const [path, file] of downward(request, downwardAPI.items ?? [], mode))
        files.set(path, file);
    } else if (serviceAccountToken) {
      const made = await tokenFile(source, request, serviceAccountToken, mode);
      files.set(made.path, made.file);
      renewAtMs = Math.min(renewAtMs ?? made.renewAtMs, made.renewAtMs);
    } else if (clusterTrustBundle) {
      const pem = await source.trustBundle(clusterTrustBundle);
      if (pem !== undefined)
        files.set(safePath(clusterTrustBundle.path), { data: Buffer.from(pem), mode });
    } else throw new Error("this kind of projected volume is not supported");
  }
  return renewAtMs === undefined ? { files } : { files, renewAtMs };
}

/** Undefined for a volume that is no set of files. Throws an Error where something is missing. */
export async function render(
  source: RenderSource,
  request: VolumeRequest,
  volume: Volume,
): Promise<Rendered | undefined> {
  if (volume.projected) return projected(source, request, volume);
  if (volume.downwardAPI) {
    const mode = volume.downwardAPI.defaultMode ?? DEFAULT_MODE;
    return { files: new Map(downward(request, volume.downwardAPI.items ?? [], mode)) };
  }
  const selection = volumeSelection(volume);
  if (selection === undefined) return undefined;
  const mode = volume.configMap?.defaultMode ?? volume.secret?.defaultMode ?? DEFAULT_MODE;
  const namespace = request.pod.metadata.namespace ?? "";
  return { files: new Map(await selected(source, namespace, selection, mode)) };
}
