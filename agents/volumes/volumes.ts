/**
 * Volumes of pods: made before the first container starts, kept up to date while it runs, taken
 * away afterwards. This file is the contract; `agent.ts` is the implementation, one file a type of
 * volume.
 */
import type { Mount } from "#agents/runtime/runtime.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod, ResourceFieldSelector, VolumeMount } from "#resources/types.gen.ts";

/** What volumes may ask of the pod's downward API. Both throw an Error with the reason. */
export interface PodFields {
  field(path: string): string;
  resource(selector: ResourceFieldSelector): string;
}

export interface VolumeRequest {
  pod: Stored<Pod>;
  /** The pod's folder on the node's disk. */
  directory: string;
  fields: PodFields;
}

/** One volume as the node has it. */
export interface HostVolume {
  path: string;
  readOnly: boolean;
  noExec?: boolean;
  /** A device, given to containers as one and never mounted. */
  block?: boolean;
}

export type HostVolumes = ReadonlyMap<string, HostVolume>;

export interface PodVolumes {
  /**
   * Makes all volumes of a pod; throws an Error with the reason. Idempotent, also after a restart.
   */
  prepare(request: VolumeRequest): Promise<HostVolumes>;
  /** The pod's metadata changed: what shows it is written anew. */
  refresh(request: VolumeRequest): void;
  /** Mounts of one container. `expand` replaces `$(NAME)` in subPathExpr. */
  mounts(
    volumes: HostVolumes,
    mounts: readonly VolumeMount[],
    expand: (text: string) => string,
    request: VolumeRequest,
  ): Promise<Mount[]>;
  /** Unmounts and removes everything of the pod. Idempotent. */
  teardown(uid: string): Promise<void>;
  /** After a reboot: nothing is mounted any more. */
  reset(): Promise<void>;
  /** Stops watching; what is mounted stays. */
  close(): void;
}

/** ConfigMaps and Secrets by name, watched one by one as the Node authorizer demands. */
export interface ObjectSource {
  /** Decoded bytes by key, as it is now; undefined where it does not exist. */
  get(
    kind: "configMap" | "secret",
    namespace: string,
    name: string,
  ): Promise<ReadonlyMap<string, Uint8Array> | undefined>;
  /** Calls after every change, until the answered function is called. */
  watch(
    kind: "configMap" | "secret",
    namespace: string,
    name: string,
    changed: () => void,
  ): () => void;
}
