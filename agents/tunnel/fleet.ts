/**
 * A node's tunnels to all servers of its cluster: logs and exec come through whichever server a
 * client asked. New servers are dialled, gone ones are let go.
 */
import type { DialOptions } from "#agents/tunnel/dial.ts";
import { limits } from "#base/limits.ts";

export interface FleetOptions extends Omit<DialOptions, "server" | "pingMs" | "onDoubt"> {
  /** URLs of the servers to be connected to. */
  targets: () => readonly string[];
  /** The server at this URL fell silent, or closed its tunnel. */
  onDoubt: (url: string) => void;
  /** Keeps one tunnel until its signal aborts (`dialTunnel`). */
  dial: (options: DialOptions) => Promise<void>;
}

export interface TunnelFleet {
  /** What `targets` answers may have changed. */
  look(): void;
  /** The server at this URL does not answer: its tunnel is dialled anew. */
  lost(url: string): void;
}

/** Dials until `signal` aborts. */
export function openFleet(options: FleetOptions): TunnelFleet {
  const { signal, dial } = options;
  const open = new Map<string, AbortController>();
  // With others to go to, it is worth knowing soon that one is gone.
  const pingMs = (): number => (open.size > 1 ? limits.tunnelPingSharedMs : limits.tunnelPingMs);

  function end(url: string): void {
    open.get(url)?.abort();
    open.delete(url);
  }

  function look(): void {
    if (signal.aborted) return;
    const wanted = new Set(options.targets().slice(0, limits.serversMax));
    for (const url of [...open.keys()]) if (!wanted.has(url)) end(url);
    for (const url of wanted) {
      if (open.has(url)) continue;
      const ending = new AbortController();
      open.set(url, ending);
      const onDoubt = () => options.onDoubt(url);
      void dial({ ...options, server: url, pingMs, onDoubt, signal: ending.signal });
    }
  }

  signal.addEventListener("abort", () => [...open.keys()].forEach(end), { once: true });
  look();
  return {
    look,
    lost(url) {
      end(url);
      look();
    },
  };
}
