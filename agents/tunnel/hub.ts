/** The server's side of all tunnels: which node is connected, and the way to it. */

import { linkOver } from "#agents/tunnel/link.ts";
import { createMux, type FrameSocket } from "#agents/tunnel/mux.ts";
import type { NodeLink, NodeLinks } from "#api/nodes.ts";
import type { Log } from "#base/log.ts";

export interface TunnelSession {
  receive(frame: Uint8Array): void;
  closed(reason: string): void;
}

export interface TunnelHub extends NodeLinks {
  /** A node's new tunnel. An older one of the same node is closed: the node has dialled again. */
  accept(nodeName: string, socket: FrameSocket): TunnelSession;
  /** The agent in this very process. */
  addLocal(nodeName: string, link: NodeLink): void;
  connected(): readonly string[];
}

interface Entry {
  link: NodeLink;
  close: () => void;
}

export function createTunnelHub(log: Log): TunnelHub {
  const entries = new Map<string, Entry>();

  return {
    link: (nodeName) => entries.get(nodeName)?.link,
    connected: () => [...entries.keys()],
    addLocal: (nodeName, link) => entries.set(nodeName, { link, close: () => undefined }),
    accept(nodeName, socket) {
      entries.get(nodeName)?.close();
      const mux = createMux({ socket });
      const entry: Entry = {
        link: linkOver((target) => mux.open(target)),
        close: () => socket.close(),
      };
      entries.set(nodeName, entry);
      log.info("tunnel open", { node: nodeName });
      return {
        receive: (bytes) => mux.receive(bytes),
        closed(reason) {
          mux.closed(reason);
          if (entries.get(nodeName) === entry) entries.delete(nodeName);
          log.info("tunnel closed", { node: nodeName, reason });
        },
      };
    },
  };
}
