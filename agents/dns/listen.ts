/** The server's sockets: UDP and TCP on the cluster DNS address. */
import { createServer, type Server, type Socket } from "node:net";
import type { Resolver } from "#agents/dns/resolver.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface ListenOptions {
  address: string;
  port: number;
  resolver: Resolver;
  log: Log;
}

export interface Listening {
  port: number;
  close(): void;
}

const LENGTH_BYTES = 2;

async function listenDatagrams(options: ListenOptions): Promise<Listening> {
  const { address, port, resolver, log } = options;
  // An asker that is gone by now answers with "port unreachable", the next send may tell.
  const gone = (error: unknown) => log.debug("DNS socket", { error: messageOf(error) });
  const socket = await Bun.udpSocket({
    hostname: address,
    port,
    socket: {
      data: (server, message, fromPort, fromAddress) => {
        const send = (bytes: Uint8Array | undefined): void => {
          if (bytes === undefined || server.closed) return;
          try {
            server.send(bytes, fromPort, fromAddress);
          } catch (error) {
            gone(error);
          }
        };
        const reply = resolver.answer(message, false);
        if (reply instanceof Promise) void reply.then(send);
        else send(reply);
      },
      error: (_server, error) => gone(error),
    },
  });
  return { port: socket.port, close: () => socket.close() };
}

/**
 * Messages come with their length in front; several may be under way on one connection (RFC 7766).
 */
function serveStream(socket: Socket, resolver: Resolver): void {
  let received = Buffer.alloc(0);
  socket.setTimeout(limits.dnsStreamIdleMsMax, () => socket.destroy());
  socket.on("error", () => socket.destroy());
  const answer = (bytes: Uint8Array | undefined) => {
    if (bytes === undefined || socket.destroyed) return;
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(bytes.length);
    socket.write(Buffer.concat([length, bytes]));
    // Who does not read what it asked for is not served further.
    if (socket.writableLength > limits.dnsStreamBacklogBytesMax) socket.destroy();
  };
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= LENGTH_BYTES) {
      const end = received.readUInt16BE(0) + LENGTH_BYTES;
      if (received.length < end) return;
      const message = received.subarray(LENGTH_BYTES, end);
      received = received.subarray(end);
      const reply = resolver.answer(message, true);
      if (reply instanceof Promise) void reply.then(answer);
      else answer(reply);
    }
  });
}

function listenStreams(options: ListenOptions): Promise<Server> {
  const { address, port, resolver } = options;
  const server = createServer((socket) => serveStream(socket, resolver));
  server.maxConnections = limits.dnsStreamsMax;
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port }, () => {
      server.off("error", reject);
      server.on("error", (error) => options.log.warn("DNS over TCP", { error: messageOf(error) }));
      resolve(server);
    });
  });
}

/** Rejects where the port is taken (`code` EADDRINUSE) or the address is not the machine's. */
export async function listen(options: ListenOptions): Promise<Listening> {
  const datagrams = await listenDatagrams(options);
  try {
    const streams = await listenStreams({ ...options, port: datagrams.port });
    return {
      port: datagrams.port,
      close: () => {
        datagrams.close();
        streams.close();
      },
    };
  } catch (error) {
    datagrams.close();
    throw error;
  }
}
