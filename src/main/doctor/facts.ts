/**
 * What the doctor looks at and what it says. Checks are pure over these facts; `observe.ts` gathers
 * them, `fix.ts` carries repairs out.
 */

export interface Listener {
  protocol: "tcp" | "udp";
  port: number;
  /** Name of the program that has it. */
  program: string;
}

export interface Facts {
  role: "server" | "agent";
  isRoot: boolean;
  hasSystemd: boolean;
  hasApt: boolean;
  /** Controllers of control groups that the kernel offers. */
  controllers: readonly string[];
  /** Where the boot loader of a Raspberry Pi keeps the kernel's command line. */
  bootCommandLine: { path: string; text: string } | undefined;
  /** Command line that the kernel was started with. */
  kernelCommandLine: string;
  /** Kernel modules that are loaded or built in. */
  modules: readonly string[];
  /** As `iptables --version` says; undefined where there is no iptables or it fails. */
  iptables: string | undefined;
  /** Why it fails, in its words; undefined where it does not or is missing. */
  iptablesFailure: string | undefined;
  /** Rules that the other one of iptables' two back ends has. */
  strayRules: number;
  swaps: readonly { name: string; bytes: number }[];
  memoryBytes: number;
  pageBytes: number;
  disk: { path: string; fileSystem: string; device: string; freeBytes: number; totalBytes: number };
  nowMs: number;
  /** Undefined where nothing can tell. */
  clockIsSynchronized: boolean | undefined;
  /** Whether a program is installed that systemd can tell to set the clock. */
  canSynchronize: boolean;
  listeners: readonly Listener[];
  /** Ports that bramble is to listen on. */
  ports: readonly { protocol: "tcp" | "udp"; port: number; setting: string }[];
  containerd: { address: string; installed: boolean; version: string | undefined };
  runc: boolean;
  nerdctl: { program: string; version: string | undefined };
  cni: { folder: string; missing: readonly string[] };
  conntrack: boolean;
  network: "host-gw" | "vxlan" | "none";
  links: readonly { name: string; mtu: number; multicast: boolean; isDefault: boolean }[];
  firewall: {
    /** The commands by which its rules were made; undefined where it is off or missing. */
    ufw: readonly string[] | undefined;
    /** What it lets in for ever. */
    firewalld: { ports: readonly string[]; trusted: readonly string[] } | undefined;
  };
  clusterCidr: string;
  serviceCidr: string;
}

/** A command that mends it, word by word. */
export type Command = readonly string[];

export interface Finding {
  check: string;
  level: "ok" | "warn" | "fail";
  text: string;
  /** In this order; none where only a person can decide. */
  repair?: readonly Command[];
  /** A file that the repair changes; it is kept for `uninstall.sh`. */
  changes?: string;
  /** The repair works after a restart of the machine only. */
  needsReboot?: true;
}

export type Check = (facts: Facts) => Finding | readonly Finding[];
