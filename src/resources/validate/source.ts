/** Volume sources that pods and persistent volumes share, each with what it cannot do without. */
import {
  type Cause,
  forbidden,
  invalid,
  notSupported,
  required,
  tooLong,
} from "#resources/field.ts";
import type { HostPathVolumeSource, NFSVolumeSource } from "#resources/types.gen.ts";
import { byRule, present, supported } from "#resources/validate/basic.ts";
import { noBacksteps, noControls } from "#resources/validate/path.ts";
import { subdomainErrors } from "#resources/validate/text.ts";

const CSI_NAME_MAX = 63;
const HOST_PATH_TYPES = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];

export function checkHostPath(source: HostPathVolumeSource, path: string): Cause[] {
  if (!source.path) return [required(`${path}.path`)];
  return [
    ...noBacksteps(source.path, `${path}.path`),
    ...noControls(source.path, `${path}.path`),
    ...supported(source.type, HOST_PATH_TYPES, `${path}.type`),
  ];
}

/** A host name, an address of IPv4, or one of IPv6 with or without brackets. */
const NFS_SERVER = /^(?:[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[0-9A-Fa-f:.]+)$/;

export const checkNfs = (source: NFSVolumeSource, path: string): Cause[] => [
  ...present(source.server, `${path}.server`),
  ...(!source.server || NFS_SERVER.test(source.server)
    ? []
    : [invalid(`${path}.server`, source.server, "must be a host name or an IP address")]),
  ...noControls(source.path, `${path}.path`),
  ...present(source.path, `${path}.path`),
  ...(source.path?.startsWith("/")
    ? []
    : [invalid(`${path}.path`, source.path ?? "", "must be an absolute path")]),
];

export function checkDriverName(name: string | undefined, path: string): Cause[] {
  if (!name) return [required(path), ...byRule(subdomainErrors, "", path)];
  const causes = subdomainErrors(name.toLowerCase()).map((error) => invalid(path, name, error));
  if (name.length <= CSI_NAME_MAX) return causes;
  return [tooLong(path, CSI_NAME_MAX), ...causes];
}

/** Where upstream names a field by another name than its own. */
const NAMED: Readonly<Record<string, string>> = { cephfs: "cephFS", downwardAPI: "downwarAPI" };

/** All sources but the first, which are too many. */
export const tooManySources = (names: readonly string[], path: string): Cause[] =>
  names
    .slice(1)
    .map((name) =>
      forbidden(`${path}.${NAMED[name] ?? name}`, "may not specify more than 1 volume type"),
    );

export const ACCESS_MODES = [
  "ReadOnlyMany",
  "ReadWriteMany",
  "ReadWriteOnce",
  "ReadWriteOncePod",
] as const;

export const VOLUME_MODES = ["Block", "Filesystem"] as const;

export function checkAccessModes(
  modes: readonly string[] | undefined,
  path: string,
  detail = "",
): Cause[] {
  if (!modes || modes.length === 0) return [required(path, detail)];
  const known: readonly string[] = ACCESS_MODES;
  const causes = modes
    .filter((mode) => !known.includes(mode))
    .map((mode) => notSupported(path, mode, known));
  const single = modes.includes("ReadWriteOncePod");
  if (single && modes.some((mode) => mode !== "ReadWriteOncePod" && known.includes(mode))) {
    causes.push(forbidden(path, "may not use ReadWriteOncePod with other access modes"));
  }
  return causes;
}
