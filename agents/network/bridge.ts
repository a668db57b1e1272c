/** The words of the CNI `bridge` plugin: its configuration, its answer, its complaint. */
import { bridgeName } from "#agents/network/instance.ts";
import type { RunResult } from "#base/process.ts";

/** The plugin's network, and the folder of its leases. */
export const NETWORK = "pods";

interface BridgeOptions {
  instance: string;
  /** Leases go to `DIR/network/pods`. */
  dataDir: string;
  /** Bytes; the plugin's default where left out. */
  mtu?: number;
}

/** The plugin's configuration. hairpinMode: a pod must reach itself through its Service. */
export function bridgeConfig(options: BridgeOptions, podCidr: string): string {
  const subnets = podCidr.split(",");
  const routes = subnets.map((subnet) => ({ dst: subnet.includes(":") ? "::/0" : "0.0.0.0/0" }));
  return JSON.stringify({
    cniVersion: "0.4.0",
    name: NETWORK,
    type: "bridge",
    bridge: bridgeName(options.instance),
    isGateway: true,
    forceAddress: true,
    hairpinMode: true,
    ipMasq: false,
    ...(options.mtu !== undefined && { mtu: options.mtu }),
    ipam: {
      type: "host-local",
      dataDir: `${options.dataDir}/network`,
      ranges: subnets.map((subnet) => [{ subnet }]),
      routes,
    },
  });
}

export function addressesOf(stdout: string): string[] {
  const result = JSON.parse(stdout) as { ips?: Array<{ address?: string }> };
  return (result.ips ?? []).flatMap(({ address }) => address?.split("/", 1)[0] ?? []);
}

/** The plugin's own words: JSON with `msg` on stdout. */
export function pluginError(result: RunResult): string {
  try {
    const { msg, details } = JSON.parse(result.stdout) as { msg?: string; details?: string };
    return [msg, details].filter(Boolean).join(": ");
  } catch {
    return result.stderr.trim() || result.stdout.trim() || `exit status ${result.exitCode}`;
  }
}
