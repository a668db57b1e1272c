/** The server's side of all tunnels: which node is connected, and the way to it. */

import { linkOver } from "#agents/tunnel/link.ts";
import { createMux, type FrameSocket } from "#agents/tunnel/mux.ts";
import type { NodeLink, NodeLinks } from "#api/nodes.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface TunnelSession {
  receive(frame: Uint8Array): void;
  closed(reason: string): void;
}

export interface TunnelHub extends NodeLinks {
  /**
   * A node's new tunnel. Others of the same node stay: it may have dialled this server by two
   * addresses. One that fell silent is closed while another one is heard.
   */
  accept(nodeName: string, socket: FrameSocket): TunnelSession;
  /** The agent in this very process. */
  addLocal(nodeName: string, link: NodeLink): void;
  connected(): readonly string[];
}

interface Entry {
  link: NodeLink;
  close: () => void;
  heardMs: number;
}

export function createTunnelHub({ log, clock }: { log: Log; clock: Clock }): TunnelHub {
  const local = new Map<string, NodeLink>();
  /** Of each node, the one heard last at the end. */
  const tunnels = new Map<string, Entry[]>();
  const waiting = new Set<{ nodeName: string; came: AbortController }>();
  const linkTo = (nodeName: string): NodeLink | undefined =>
    local.get(nodeName) ?? tunnels.get(nodeName)?.at(-1)?.link;
  const others = (nodeName: string, entry: Entry): Entry[] =>
    (tunnels.get(nodeName) ?? []).filter((each) => each !== entry);

  /** The tunnel is new, or gave a sign of life. */
  function heard(nodeName: string, entry: Entry): void {
    entry.heardMs = clock.monotonic();
    const all = [...others(nodeName, entry), entry];
    const oldestMs = entry.heardMs - limits.tunnelSilentMsMax;
    const kept = all.slice(-limits.tunnelsPerNodeMax).filter(({ heardMs }) => heardMs >= oldestMs);
    tunnels.set(nodeName, kept);
    for (const old of all) if (!kept.includes(old)) old.close();
  }

  function forget(nodeName: string, entry: Entry): void {
    const left = others(nodeName, entry);
    if (left.length > 0) tunnels.set(nodeName, left);
    else tunnels.delete(nodeName);
  }

  function arrived(nodeName: string): void {
    for (const each of waiting) if (each.nodeName === nodeName) each.came.abort();
  }

  return {
    link: linkTo,
    async appears(nodeName, withinMs) {
      const one = { nodeName, came: new AbortController() };
      waiting.add(one);
      await sleep(clock, withinMs, one.came.signal);
      waiting.delete(one);
      return linkTo(nodeName);
    },
    connected: () => [...new Set([...local.keys(), ...tunnels.keys()])],
    addLocal(nodeName, link) {
      local.set(nodeName, link);
      arrived(nodeName);
    },
    accept(nodeName, socket) {
      const mux = createMux({ socket });
      const entry: Entry = {
        link: linkOver((target) => mux.open(target)),
        close: () => socket.close(),
        heardMs: 0,
      };
      heard(nodeName, entry);
      arrived(nodeName);
      log.info("tunnel open", { node: nodeName });
      let over = false;
      return {
        receive(bytes) {
          if (!over) heard(nodeName, entry);
          mux.receive(bytes);
        },
        closed(reason) {
          over = true;
          mux.closed(reason);
          forget(nodeName, entry);
          log.info("tunnel closed", { node: nodeName, reason });
        },
      };
    },
  };
}
