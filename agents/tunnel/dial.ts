/** The node's side: keeps one tunnel to one server open, whatever happens to either. */

import type { Credential, Credentials } from "#agents/join/credentials.ts";
import { serveLink } from "#agents/tunnel/link.ts";
import { createMux } from "#agents/tunnel/mux.ts";
import type { NodeLink } from "#api/nodes.ts";
import { backoffMs } from "#base/backoff.ts";
import { type Cancel, type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface DialOptions {
  /** `https://ADDRESS:PORT`. */
  server: string;
  credentials: Credentials;
  handler: NodeLink;
  /** How often the server is asked for a sign of life. */
  pingMs: () => number;
  /** It owes one, or closed the tunnel: it may be gone. */
  onDoubt: () => void;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

export const TUNNEL_PATH = "/bramble/v1/tunnel";

/** One connection, until it ends. Resolves to the milliseconds that it lived. */
async function connect(options: DialOptions, credential: Credential): Promise<number> {
  const { clock, handler, server, signal } = options;
  const url = `${server.replace(/^http/, "ws")}${TUNNEL_PATH}`;
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
  const beat = heartbeat(options, () => mux.ping(), end);
  socket.onopen = () => {
    openedAt = clock.monotonic();
    beat.start();
    options.log.info("tunnel open", { server });
  };
  socket.onmessage = (event: MessageEvent<ArrayBuffer>) => {
    beat.heard();
    mux.receive(new Uint8Array(event.data));
  };
  socket.onclose = end;
  socket.onerror = end;
  signal.addEventListener("abort", end, { once: true });
  const cancelOpening = clock.after(limits.tunnelOpenMsMax, () => openedAt === undefined && end());
  await ended.promise;
  cancelOpening();
  beat.stop();
  signal.removeEventListener("abort", end);
  mux.closed("the tunnel to the server closed");
  socket.close();
  // A handshake says no more than that it failed: the next one is with a token.
  if (openedAt === undefined) credential.refused();
  return openedAt === undefined ? 0 : clock.monotonic() - openedAt;
}

/** A server that lost its power says no goodbye: a long silence is an end too. */
function heartbeat(
  { clock, pingMs, onDoubt }: Pick<DialOptions, "clock" | "pingMs" | "onDoubt">,
  ping: () => void,
  dead: () => void,
) {
  let heardAt = clock.monotonic();
  let cancel: Cancel = () => undefined;
  const beat = (): void => {
    const silentMs = clock.monotonic() - heardAt;
    if (silentMs > limits.tunnelSilentMsMax) {
      dead();
    } else {
      if (silentMs > 1.5 * pingMs()) onDoubt();
      ping();
      cancel = clock.after(pingMs(), beat);
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
    const credential = await options.credentials.current();
    // `connect` hears an abort that comes later, not one that came meanwhile.
    if (signal.aborted) return;
    const livedMs = await connect(options, credential);
    if (signal.aborted) return;
    if (livedMs > 0) options.onDoubt();
    failures = livedMs > limits.relistBackoffMsMax ? 0 : failures + 1;
    log.debug("tunnel closed, dialling again", { failures });
    const waitMs = backoffMs(failures, limits.relistBackoffMsMin, limits.tunnelRedialMsMax);
    await sleep(clock, waitMs, signal);
  }
}
