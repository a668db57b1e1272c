/** The machine's network interfaces, and one mDNS socket on each of them for each family. */
import dgram from "node:dgram";
import { interfaces } from "#base/interfaces.ts";

export interface Link {
  name: string;
  family: "IPv4" | "IPv6";
  /** The address by which the socket is bound to the interface. */
  address: string;
  /** What is announced here: all addresses of the interface that work without a scope. */
  addresses: readonly string[];
  /** Of the interface; IPv4 senders outside of them are not on this link. */
  subnets: readonly string[];
}

export interface LinkSocket {
  /** To the group, or to one peer. Resolves when it left; rejects when the interface is gone. */
  send(bytes: Uint8Array, to?: { address: string; port: number }): Promise<void>;
  close(): void;
}

export type OpenLink = (
  link: Link,
  onMessage: (bytes: Uint8Array, from: { address: string; port: number }) => void,
  onError: (error: Error) => void,
) => Promise<LinkSocket>;

export const MDNS_PORT = 5353;
const GROUP = { IPv4: "224.0.0.251", IPv6: "ff02::fb" } as const;
const INSIDE = /^(veth|cni|docker|br-|brm-|bramble|brx-|virbr|flannel|cali|tunl|kube-|lxc|podman)/;

/** Whether an interface is of containers or an overlay: what is on it is inside this machine. */
export const isInside = (name: string): boolean => INSIDE.test(name);

const isLinkLocal = (address: string): boolean => /^fe[89ab]/i.test(address);

/** Loopback alone when there is nothing else: a server and a device on one machine still meet. */
export function listLinks(): Link[] {
  const links: Link[] = [];
  const all = Object.entries(interfaces());
  const outside = all.filter(([name, list]) => !isInside(name) && !list?.[0]?.internal);
  for (const [name, list = []] of outside.length > 0 ? outside : all) {
    const addresses = list.map(({ address }) => address).filter((one) => !isLinkLocal(one));
    const subnets = list.flatMap(({ cidr }) => cidr ?? []);
    for (const family of ["IPv4", "IPv6"] as const) {
      const own = list.find((one) => one.family === family);
      // Without an own IPv6 address there is no IPv6 on the link.
      if (own === undefined || (own.internal && family === "IPv6")) continue;
      links.push({ name, family, address: own.address, addresses, subnets });
    }
  }
  return links;
}

/** The interface by which a socket joins and sends: an address, or `::%eth0`. */
const interfaceOf = (link: Link): string =>
  link.family === "IPv4" ? link.address : `::%${link.name}`;

export const openLink: OpenLink = (link, onMessage, onError) =>
  new Promise((resolve, reject) => {
    // node:dgram: Bun.udpSocket ignores reuseAddr, and avahi may have the port already.
    const type = link.family === "IPv4" ? "udp4" : "udp6";
    const socket = dgram.createSocket({ type, reuseAddr: true });
    const failed = (error: Error) => {
      socket.close();
      reject(error);
    };
    socket.once("error", failed);
    socket.bind({ port: MDNS_PORT, address: link.family === "IPv4" ? "0.0.0.0" : "::" }, () => {
      try {
        socket.addMembership(GROUP[link.family], interfaceOf(link));
        socket.setMulticastInterface(interfaceOf(link));
        socket.setMulticastTTL(255);
        socket.setMulticastLoopback(true);
      } catch (error) {
        return failed(error as Error);
      }
      socket.off("error", failed);
      socket.on("error", onError);
      socket.on("message", (bytes, from) => onMessage(bytes, from));
      resolve({
        send: (bytes, to) =>
          new Promise((sent, lost) => {
            const { address, port } = to ?? { address: GROUP[link.family], port: MDNS_PORT };
            socket.send(bytes, port, address, (error) => (error ? lost(error) : sent()));
          }),
        close: () => socket.close(),
      });
    });
  });
