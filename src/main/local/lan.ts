/** The network of a local cluster with several nodes: a switch on this machine, a namespace each. */
import { existsSync } from "node:fs";
import { OperatorError } from "#base/errors.ts";
import { runProcess } from "#base/process.ts";
import { type LocalNode, nodesOf, type Profile, rangesOf } from "./profile.ts";

const bridgeOf = ({ number }: Profile): string => `brlocal${number}`;
/**
 * Set, it stays: one that a bridge chooses itself changes with its links, and nodes then send to
 * the old one for a while.
 */
const macOf = ({ number }: Profile): string =>
  `02:62:72:6c:00:${number.toString(16).padStart(2, "0")}`;
/** Nodes reach the outside with this machine's address. */
const outward = (profile: Profile): string[] => [
  ...["POSTROUTING", "-s", rangesOf(profile.number).lan, "!", "-o", bridgeOf(profile)],
  ...["-j", "MASQUERADE"],
];

async function must(...argv: string[]): Promise<void> {
  const { exitCode, stderr } = await runProcess(argv);
  if (exitCode === 0) return;
  throw new OperatorError(`${argv.join(" ")}: ${stderr.trim()}`, {
    hint: "several nodes need network namespaces; one node does not: --nodes 1",
  });
}

async function connect(profile: Profile, node: LocalNode, netns: string): Promise<void> {
  const link = `${bridgeOf(profile)}n${node.index}`;
  const gateway = nodesOf(profile)[0]?.address ?? "";
  const inside = (...argv: string[]) => must("nsenter", `--net=/run/netns/${netns}`, "ip", ...argv);
  await must("ip", "netns", "add", netns);
  const peer = ["peer", "name", "eth0", "netns", netns];
  await must("ip", "link", "add", link, "type", "veth", ...peer);
  await must("ip", "link", "set", link, "master", bridgeOf(profile), "up");
  await inside("link", "set", "lo", "up");
  await inside("link", "set", "eth0", "up");
  await inside("address", "add", `${node.address}/24`, "dev", "eth0");
  await inside("route", "add", "default", "via", gateway);
}

/** What is there already stays: a restart of the machine takes all of it, a stop nothing. */
export async function raiseLan(profile: Profile): Promise<void> {
  const nodes = nodesOf(profile);
  if (nodes.length === 1) return;
  const bridge = bridgeOf(profile);
  if (!existsSync(`/sys/class/net/${bridge}`)) {
    await must("ip", "link", "add", bridge, "address", macOf(profile), "type", "bridge");
    await must("ip", "address", "add", `${nodes[0]?.address}/24`, "dev", bridge);
    await must("ip", "link", "set", bridge, "up");
    await must("iptables", "-w", "-t", "nat", "-A", ...outward(profile));
  }
  for (const node of nodes) {
    if (node.netns === undefined || existsSync(`/run/netns/${node.netns}`)) continue;
    await connect(profile, node, node.netns);
  }
}

export async function removeLan(profile: Profile): Promise<void> {
  for (const { netns } of nodesOf(profile)) {
    if (netns !== undefined && existsSync(`/run/netns/${netns}`)) {
      await must("ip", "netns", "delete", netns);
    }
  }
  if (!existsSync(`/sys/class/net/${bridgeOf(profile)}`)) return;
  await must("ip", "link", "delete", bridgeOf(profile));
  await must("iptables", "-w", "-t", "nat", "-D", ...outward(profile));
}
