/** All mDNS sockets of the machine, kept as its interfaces come, go and change their addresses. */
import { type DecodedPacket, decode, encode, type Packet } from "dns-packet";
import type { Link, LinkSocket, OpenLink } from "#agents/discovery/link.ts";
import { MDNS_PORT } from "#agents/discovery/link.ts";
import { contains } from "#base/cidr.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface LanOptions {
  clock: Clock;
  log: Log;
  listLinks: () => readonly Link[];
  openLink: OpenLink;
}

export interface Received {
  packet: DecodedPacket;
  link: Link;
  from: { address: string; port: number };
}

export interface LanListener {
  onPacket(received: Received): void;
  /** A link that is new, or has other addresses than before. */
  onLink(link: Link): void;
}

interface Open {
  link: Link;
  socket: LinkSocket | undefined;
}

const keyOf = (link: Link): string => JSON.stringify(link);

export class Lan {
  readonly #options: LanOptions;
  readonly #open = new Map<string, Open>();
  readonly #listeners = new Set<LanListener>();
  #cancel: Cancel | undefined;
  #told = "";

  constructor(options: LanOptions) {
    this.#options = options;
  }

  /** Sockets are open while someone listens. Returns the listener's end. */
  listen(listener: LanListener): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#scan();
    else for (const { link, socket } of this.#open.values()) if (socket) listener.onLink(link);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#close();
    };
  }

  links(): Link[] {
    return [...this.#open.values()].filter(({ socket }) => socket).map(({ link }) => link);
  }

  async send(link: Link, packet: Packet, to?: { address: string; port: number }): Promise<void> {
    const socket = this.#open.get(keyOf(link))?.socket;
    if (socket === undefined) return;
    try {
      await socket.send(encode(packet), to);
    } catch (error) {
      // The interface went away; the next scan closes the socket.
      this.#options.log.debug("mDNS not sent", { link: link.name, error: messageOf(error) });
    }
  }

  #scan(): void {
    const { clock, listLinks } = this.#options;
    const wanted = new Map(listLinks().map((link) => [keyOf(link), link]));
    for (const [key, { socket }] of this.#open) {
      if (wanted.has(key)) continue;
      this.#open.delete(key);
      socket?.close();
    }
    for (const [key, link] of wanted) if (!this.#open.has(key)) void this.#add(key, link);
    this.#cancel = clock.after(limits.linksScanMs, () => this.#scan());
  }

  async #add(key: string, link: Link): Promise<void> {
    const open: Open = { link, socket: undefined };
    this.#open.set(key, open);
    const onMessage = (bytes: Uint8Array, from: { address: string; port: number }) =>
      this.#take(link, bytes, from);
    const onError = (error: Error) => this.#fail(key, error);
    try {
      const socket = await this.#options.openLink(link, onMessage, onError);
      if (this.#open.get(key) !== open) return socket.close();
      open.socket = socket;
    } catch (error) {
      return this.#fail(key, error);
    }
    for (const listener of this.#listeners) listener.onLink(link);
  }

  /** The next scan tries again. */
  #fail(key: string, error: unknown): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    this.#open.delete(key);
    open.socket?.close();
    const told = `${open.link.name} ${messageOf(error)}`;
    if (told === this.#told) return;
    this.#told = told;
    const { name, family } = open.link;
    this.#options.log.warn("mDNS socket failed", { link: name, family, error: messageOf(error) });
  }

  #take(link: Link, bytes: Uint8Array, from: { address: string; port: number }): void {
    if (!isOnLink(link, from.address)) return;
    let packet: DecodedPacket;
    try {
      packet = decode(Buffer.from(bytes));
    } catch {
      // Anyone on the LAN may send anything to this port.
      return;
    }
    for (const listener of this.#listeners) listener.onPacket({ packet, link, from });
  }

  #close(): void {
    this.#cancel?.();
    for (const { socket } of this.#open.values()) socket?.close();
    this.#open.clear();
  }
}

/**
 * Every socket hears every group packet of the machine (IP_MULTICAST_ALL): the sender tells the
 * link.
 */
function isOnLink(link: Link, address: string): boolean {
  const [plain = "", scope] = address.split("%");
  if (scope !== undefined) return scope === link.name;
  return link.subnets.some((subnet) => contains(subnet, plain));
}

export const isLegacy = (port: number): boolean => port !== MDNS_PORT;
