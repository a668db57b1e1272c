/** What the kubelet is given from outside: settings, and the parts that it works with. */
import type { Devices } from "#agents/kubelet/devices.ts";
import type { Supply } from "#agents/kubelet/eviction.ts";
import type { ClusterDns } from "#agents/kubelet/files.ts";
import type { PodNetwork } from "#agents/network/cni.ts";
import type { Runtime } from "#agents/runtime/runtime.ts";
import type { ControlGroups } from "#agents/runtime/stats.ts";
import type { ObjectSource, PodVolumes } from "#agents/volumes/volumes.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";

/** What the machine has. */
export interface Capacity {
  cpus: number;
  memoryBytes: number;
  ephemeralBytes: number;
  pods: number;
  /** Bytes that the machine keeps as huge pages, by their size: `2Mi`. */
  hugePages?: Readonly<Record<string, number>>;
}

export interface KubeletOptions {
  nodeName: string;
  /** The node's own addresses, the first is InternalIP. May change while it runs. */
  nodeIps(): readonly string[];
  /** Pods, logs, records: below `DATA_DIR/pods`. */
  dataDir: string;
  /** /proc/sys/kernel/random/boot_id: another one means that the machine was restarted. */
  bootId: string;
  dns: ClusterDns;
  /** Root of the pods' control groups: `/kubepods`. */
  cgroupRoot: string;
  capacity: Capacity;
  /** Kept back from pods: memory in bytes, CPU in thousandths. */
  reserved?: { cpuMillis: number; memoryBytes: number };
  labels?: Readonly<Record<string, string>>;
  taints?: ReadonlyArray<{ key: string; value?: string; effect: string }>;
  kubeletVersion: string;
  pidsLimit?: number;
  /** Allowed beside the safe ones; a star at the end allows all that begin so. */
  allowedSysctls?: readonly string[];
  /** Whether the kernel has AppArmor turned on; looked at where left out. */
  appArmor?: boolean;
  /** Folder of static pods; `DATA_DIR/manifests` where left out. */
  manifestDir?: string;
  /** Devices of the machine that pods may have; tests say which. */
  devices?: () => Devices;
  /** Where device plugins register; nobody can where it is left out. */
  devicePluginDir?: string;
  /** The node's own files, which pods on its network see. */
  resolvConf?: string;
  hostsFile?: string;
  /**
   * Port of the kubelet API that the node reports; 10250 though nothing listens: it goes through
   * the tunnel.
   */
  kubeletPort?: number;
}

export interface KubeletDeps {
  client: Client;
  caches: Caches;
  runtime: Runtime;
  network: PodNetwork;
  volumes: PodVolumes;
  groups: ControlGroups;
  objects: ObjectSource;
  clock: Clock;
  random: Random;
  log: Log;
  options: KubeletOptions;
  /**
   * Resolves when a pod that is being deleted gets no new connections. Left out: nothing waits for
   * that.
   */
  drained?: (podUid: string) => Promise<void>;
  /** What the node has left; tests say it, the machine does otherwise. */
  supply?: () => Promise<Supply>;
}
