/**
 * The VXLAN overlay as data: every node works out the others' entries from their pod CIDRs. Pure.
 */
import { overlayName, shortHash } from "#agents/network/instance.ts";
import type { NetworkState, Peer, Route } from "#agents/network/plan.ts";
import { ownAddress, ownPodCidrs } from "#agents/network/plan.ts";

export interface OverlayLink {
  name: string;
  vni: number;
  /** This node's address on the LAN. */
  local: string;
  mac: string;
  /** Bytes. */
  mtu: number;
  /**
   * Base of this node's pod CIDR: the source address of the node's own packets to pods elsewhere.
   */
  address: string;
}

export interface Overlay {
  link: OverlayLink;
  members: ReadonlyArray<Peer & { mac: string }>;
  routes: readonly Route[];
}

/** A link address that every node can work out of the pod CIDR: locally administered, unicast. */
function macOf(podCidr: string): string {
  const hash = Number.parseInt(shortHash(podCidr), 36);
  const bytes = [0x02, 0xb7, hash >>> 24, (hash >>> 16) & 255, (hash >>> 8) & 255, hash & 255];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

const baseOf = (cidr: string): string => cidr.split("/", 1)[0] ?? "";

/** Undefined while this node has no address or no pod CIDR. */
export function planOverlay(
  state: NetworkState,
  peers: readonly Peer[],
  options: { instance: string; mtu: number },
): Overlay | undefined {
  const local = ownAddress(state, "IPv4");
  const own = ownPodCidrs(state, "IPv4")[0];
  if (local === undefined || own === undefined) return undefined;
  return {
    link: {
      name: overlayName(options.instance),
      // Clusters on one LAN must not hear each other: 23 bits of the cluster's CIDR.
      vni: 1 + (Number.parseInt(shortHash(state.clusterCidr), 36) & 0x7fffff),
      local,
      mac: macOf(own),
      mtu: options.mtu,
      address: baseOf(own),
    },
    members: peers.map((peer) => ({ ...peer, mac: macOf(peer.podCidr) })),
    routes: peers.map(({ podCidr }) => ({ dst: podCidr, via: baseOf(podCidr) })),
  };
}
