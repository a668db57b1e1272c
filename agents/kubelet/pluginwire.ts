/**
 * Messages of the device-plugin API v1beta1, to and from bytes. Pure. Field numbers are those of
 * k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1/api.proto.
 */
import { Fields, Writer } from "#base/proto.ts";

export const PLUGIN_VERSION = "v1beta1";

export interface Registration {
  version: string;
  /** Name of the plugin's socket in the same folder. */
  endpoint: string;
  resource: string;
  preStart: boolean;
}

/** What a container gets with its devices. */
export interface Grant {
  env: ReadonlyArray<{ name: string; value: string }>;
  mounts: ReadonlyArray<{ source: string; target: string; readOnly: boolean }>;
  /** `HOST:CONTAINER:PERMISSIONS`. */
  devices: readonly string[];
}

export function readRegistration(bytes: Uint8Array): Registration {
  const fields = new Fields(bytes);
  return {
    version: fields.text(1),
    endpoint: fields.text(2),
    resource: fields.text(3),
    preStart: fields.message(4)?.number(1) === 1,
  };
}

/** Ids of the devices that are well. */
export const readHealthy = (bytes: Uint8Array): string[] =>
  new Fields(bytes)
    .all(1)
    .map((device) => new Fields(device))
    .filter((device) => device.text(2) === "Healthy")
    .map((device) => device.text(1));

/** For one container. */
export const allocateRequest = (ids: readonly string[]): Uint8Array =>
  new Writer().bytes(1, new Writer().texts(1, ids).done()).done();

export const preStartRequest = (ids: readonly string[]): Uint8Array =>
  new Writer().texts(1, ids).done();

/** The answer for that one container. */
export function readGrant(bytes: Uint8Array): Grant {
  const [first] = new Fields(bytes).all(1);
  const fields = new Fields(first ?? new Uint8Array());
  const parts = (field: number) => fields.all(field).map((each) => new Fields(each));
  return {
    env: Object.entries(fields.map(1)).map(([name, value]) => ({ name, value })),
    mounts: parts(2).map((mount) => ({
      target: mount.text(1),
      source: mount.text(2),
      readOnly: mount.number(3) === 1,
    })),
    devices: parts(3).map((device) =>
      [device.text(2), device.text(1), device.text(3)].filter((part) => part !== "").join(":"),
    ),
  };
}
