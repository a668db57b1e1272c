/** The sockets: HTTP, and HTTPS with a certificate by the name that the client asks for. */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type SecureContext } from "node:tls";
import { Connection } from "#agents/ingress/connection.ts";
import type { Serving } from "#agents/ingress/serving.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { TLS_CIPHERS } from "#base/tls.ts";

export interface Pair {
  cert: string;
  key: string;
}

export interface ListenOptions {
  serving: Serving;
  host: string;
  port: number;
  log: Log;
}

export interface TlsOptions extends ListenOptions {
  /** For clients that name no host, or one that nobody has a certificate for. */
  fallback: Pair;
  /** Asked for each handshake. */
  contextOf(name: string): SecureContext | undefined;
}

export interface Listening {
  port: number;
  close(): void;
}

function accept(options: ListenOptions, isSecure: boolean): (socket: Socket) => void {
  const { serving } = options;
  return (socket) => {
    // Cheaper than an answer, and it cannot be turned against us.
    if (serving.connections.size >= limits.ingressConnectionsMax) socket.destroy();
    else new Connection(socket, isSecure, serving);
  };
}

/** Rejects where the port is taken (`code` EADDRINUSE). */
async function open(server: Server, { host, port, log }: ListenOptions): Promise<Listening> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      server.on("error", (error) => log.warn("Ingress", { error: messageOf(error) }));
      resolve();
    });
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: () => server.close(),
  };
}

export const listenPlain = (options: ListenOptions): Promise<Listening> =>
  open(createServer({ noDelay: true, keepAlive: true }, accept(options, false)), options);

export function listenTls(options: TlsOptions): Promise<Listening> {
  const server = createTlsServer(
    {
      ...options.fallback,
      minVersion: "TLSv1.2",
      ciphers: TLS_CIPHERS,
      ALPNProtocols: ["http/1.1"],
      noDelay: true,
      keepAlive: true,
      SNICallback: (name, answer) => answer(null, options.contextOf(name)),
    },
    accept(options, true),
  );
  // Scanners, and clients that do not trust the certificate.
  server.on("tlsClientError", (error) => {
    options.log.debug("TLS handshake", { error: messageOf(error) });
  });
  return open(server, options);
}
