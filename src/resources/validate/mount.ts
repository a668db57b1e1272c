/** Where a container sees the pod's volumes (core validation; "Volumes"). */
import { type Cause, forbidden, invalid, notFound } from "#resources/field.ts";
import type { Volume, VolumeDevice, VolumeMount } from "#resources/types.gen.ts";
import { each, present, supported } from "#resources/validate/basic.ts";
import { noBacksteps, noControls, relativePath } from "#resources/validate/path.ts";

interface Mounting {
  volumeMounts?: VolumeMount[];
  volumeDevices?: VolumeDevice[];
  securityContext?: { privileged?: boolean };
}

export type Volumes = ReadonlyMap<string, Volume>;

const PROPAGATION = ["Bidirectional", "HostToContainer", "None"];
const RECURSIVE = ["Disabled", "Enabled", "IfPossible"];

function modeCauses(mount: VolumeMount, container: Mounting, path: string): Cause[] {
  const { mountPropagation: propagation, recursiveReadOnly: recursive } = mount;
  const causes = supported(propagation, PROPAGATION, `${path}.mountPropagation`);
  if (propagation === "Bidirectional" && container.securityContext?.privileged !== true) {
    const detail = "Bidirectional mount propagation is available only to privileged containers";
    causes.push(forbidden(`${path}.mountPropagation`, detail));
  }
  const at = `${path}.recursiveReadOnly`;
  causes.push(...supported(recursive, RECURSIVE, at));
  if (recursive !== "Enabled" && recursive !== "IfPossible") return causes;
  if (mount.readOnly !== true) {
    causes.push(forbidden(at, "may only be specified when readOnly is true"));
  }
  if (propagation !== undefined && propagation !== "None") {
    const detail = "may only be specified when mountPropagation is None or not specified";
    causes.push(forbidden(at, detail));
  }
  return causes;
}

function subPathCauses(mount: VolumeMount, mountPath: string, listPath: string): Cause[] {
  const { subPath, subPathExpr } = mount;
  const causes = relativePath(subPath, `${listPath}.subPath`);
  if (subPathExpr && subPath) {
    const detail = "subPathExpr and subPath are mutually exclusive";
    causes.push(invalid(`${mountPath}.subPathExpr`, subPathExpr, detail));
  }
  return [...causes, ...relativePath(subPathExpr, `${listPath}.subPathExpr`)];
}

function mountCauses(container: Mounting, volumes: Volumes, path: string): Cause[] {
  const devices = container.volumeDevices ?? [];
  const seen = new Set<string>();
  return each(container.volumeMounts, path, (mount, at) => {
    const causes = [
      ...present(mount.name, `${at}.name`),
      ...(volumes.has(mount.name) ? [] : [notFound(`${at}.name`, mount.name ?? "")]),
      ...present(mount.mountPath, `${at}.mountPath`),
      ...noControls(mount.mountPath, `${at}.mountPath`),
    ];
    const { name, mountPath } = mount;
    if (seen.has(mountPath)) causes.push(invalid(`${at}.mountPath`, mountPath, "must be unique"));
    seen.add(mountPath);
    if (devices.some((device) => device.name === name)) {
      causes.push(invalid(`${at}.name`, name, "must not already exist in volumeDevices"));
    }
    if (devices.some((device) => device.devicePath === mountPath)) {
      const detail = "must not already exist as a path in volumeDevices";
      causes.push(invalid(`${at}.mountPath`, mountPath, detail));
    }
    return [...causes, ...subPathCauses(mount, at, path), ...modeCauses(mount, container, path)];
  });
}

function deviceVolumeCauses(device: VolumeDevice, volumes: Volumes, path: string): Cause[] {
  const volume = volumes.get(device.name);
  if (!volume) return [notFound(path, device.name ?? "")];
  if (volume.persistentVolumeClaim || volume.ephemeral) return [];
  const detail =
    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
  return [invalid(path, device.name, detail)];
}

/** The runtime splits its list of devices at commas and colons. */
const devicePathCauses = (path: string, at: string): Cause[] => [
  ...noControls(path, at),
  ...(path === "" || /^\/[^,:"\s]*$/.test(path)
    ? []
    : [invalid(at, path, "must be an absolute path without ',', ':', quotes and blanks")]),
];

function deviceCauses(container: Mounting, volumes: Volumes, path: string): Cause[] {
  const mounts = container.volumeMounts ?? [];
  const names = new Set<string>();
  const paths = new Set<string>();
  return each(container.volumeDevices, path, (device, at) => {
    const { name, devicePath } = device;
    const causes = [
      ...present(name, `${at}.name`),
      ...(names.has(name) ? [invalid(`${at}.name`, name, "must be unique")] : []),
      ...deviceVolumeCauses(device, volumes, `${at}.name`),
      ...present(devicePath, `${at}.devicePath`),
      ...devicePathCauses(devicePath ?? "", `${at}.devicePath`),
    ];
    if (paths.has(devicePath)) {
      causes.push(invalid(`${at}.devicePath`, devicePath, "must be unique"));
    }
    if (noBacksteps(devicePath ?? "", at).length > 0) {
      causes.push(invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')"));
    }
    names.add(name);
    paths.add(devicePath);
    if (mounts.some((mount) => mount.name === name)) {
      causes.push(invalid(`${at}.name`, name, "must not already exist in volumeMounts"));
    }
    if (mounts.some((mount) => mount.mountPath === devicePath)) {
      const detail = "must not already exist as a path in volumeMounts";
      causes.push(invalid(`${at}.devicePath`, devicePath, detail));
    }
    return causes;
  });
}

export const checkMounts = (container: Mounting, volumes: Volumes, path: string): Cause[] => [
  ...mountCauses(container, volumes, `${path}.volumeMounts`),
  ...deviceCauses(container, volumes, `${path}.volumeDevices`),
];
