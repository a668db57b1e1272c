/** The node's side: keeps one tunnel to a server open, whatever happens to either. */

import type { Credential, Credentials } from "#agents/join/credentials.ts";
import { serveLink } from "#agents/tunnel/link.ts";
import { createMux } from "#agents/tunnel/mux.ts";
import type { NodeLink } from "#api/nodes.ts";
import { backoffMs } from "#base/backoff.ts";
import { type Cancel, type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface DialOptions {
  /** `https://ADDRESS:PORT`, asked anew for each try: the server may have moved. */
  server: () => string;
  credentials: Credentials;
  handler: NodeLink;
  /** Calls back when the server is known to be gone from where it was; returns its own end. */
  onLost: (lost: () => void) => Cancel;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

export const TUNNEL_PATH = "/bramble/v1/tunnel";

/** One connection, until it ends. Resolves to the milliseconds that it lived. */
async function connect(options: DialOptions, credential: Credential): Promise<number> {
  const { clock, handler, signal } = options;
  const url = `${options.server().replace(/^http/, "ws")}${TUNNEL_PATH}`;
  const { headers, tls } = credential;
  const socket = new WebSocket(url, { headers, tls });
  socket.binaryType = "arraybuffer";
  const mux = createMux({
    socket: { send: (frame) => socket.send(frame), close: () => socket.close() },
    onOpen: (target, channel) => void serveLink(handler, target, channel),
  });
  let openedAt: number | undefined;
  const ended = Promise.withResolvers<void>();
  const end = () => ended.resolve();
  const beat = heartbeat(clock, () => mux.ping(), end);
  socket.onopen = () => {
    openedAt = clock.monotonic();
    beat.start();
    options.log.info("tunnel open", { server: options.server() });
  };
  socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
    beat.heard();
    mux.receive(new Uint8Array(event.data));
  };
  socket.onclose = end;
  socket.onerror = end;
  signal.addEventListener("abort", end, { once: true });
  const cancelLost = options.onLost(end);
  const cancelOpening = clock.after(limits.tunnelOpenMsMax, () => openedAt === undefined && end());
  await ended.promise;
  cancelOpening();
  cancelLost();
  beat.stop();
  signal.removeEventListener("abort", end);
  mux.closed("the tunnel to the server closed");
  socket.close();
  // A handshake says no more than that it failed: the next one is with a token.
  if (openedAt === undefined) credential.refused();
  return openedAt === undefined ? 0 : clock.monotonic() - openedAt;
}

/** A server that lost its power says no goodbye: silence past three pings is an end too. */
function heartbeat(clock: Clock, ping: () => void, dead: () => void) {
  let heardAt = clock.monotonic();
  let cancel: Cancel = () => undefined;
  const beat = (): void => {
    if (clock.monotonic() - heardAt > 3 * limits.tunnelPingMs) {
      dead();
    } else {
      ping();
      cancel = clock.after(limits.tunnelPingMs, beat);
    }
  };
  return {
    start: beat,
    stop: () => cancel(),
    heard: () => {
      heardAt = clock.monotonic();
    },
  };
}

/** Runs until `signal` aborts. */
export async function dialTunnel(options: DialOptions): Promise<void> {
  const { clock, log, signal } = options;
  let failures = 0;
  while (!signal.aborted) {
    const livedMs = await connect(options, await options.credentials.current());
    if (signal.aborted) return;
    failures = livedMs > limits.relistBackoffMsMax ? 0 : failures + 1;
    log.debug("tunnel closed, dialling again", { failures });
    const waitMs = backoffMs(failures, limits.relistBackoffMsMin, limits.tunnelRedialMsMax);
    await sleep(clock, waitMs, signal);
  }
}
