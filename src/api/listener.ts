/**
 * The API on a socket. Bun.serve shows no client certificate to a handler, so this speaks HTTP/1.1
 * (`wire/`) on Bun's TLS sockets itself; it costs as much a request as Bun.serve does.
 */
import type { Socket, TCPSocketListener } from "bun";
import type { RequestEnv } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { respondStatus } from "#api/respond.ts";
import { Connection, type Shared } from "#api/wire/connection.ts";
import { certificateUser } from "#api/wire/identity.ts";
import { Writer } from "#api/wire/writer.ts";
import { type Clock, realClock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { readingOf } from "#base/reading.ts";
import { TLS_CIPHERS } from "#base/tls.ts";

/** PEM texts. */
export interface Tls {
  readonly key: string;
  readonly cert: string;
  /** Signs the certificates that clients may show; without it none is asked for. */
  readonly clientCa?: string;
}

export interface ListenerOptions {
  readonly fetch: (request: Request, env: RequestEnv) => Promise<Response>;
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Without it the listener speaks plain HTTP, for tests. */
  readonly tls?: Tls;
  readonly log: Log;
  /** Bodies that the request's own handler bounds may be larger; default the API's limit. */
  readonly bodyBytesMax?: number;
  readonly clock?: Clock;
}

export interface Listener {
  readonly port: number;
  readonly url: string;
  /** New connections get this certificate; those that are open go on with theirs. */
  renew(tls: Pick<Tls, "key" | "cert">): void;
  /** Ends connections whose present request, or stream, goes on for longer than `graceMs`. */
  endStreams(graceMs: number): void;
  /** Stops listening; requests under way have `graceMs` to end. */
  stop(graceMs?: number): Promise<void>;
}

interface Link {
  readonly connection: Connection;
  readonly writer: Writer;
}

type LinkSocket = Socket<Link>;

/** `renew` opens the next listener while one listens. Bun's types do not know the option. */
const SHARED = { reusePort: true };

/** Reads the certificate that came with the handshake, if one did. */
function identify(socket: LinkSocket, link: Link): void {
  if (!socket.authorized) return;
  const certificate = socket.getPeerX509Certificate();
  const found = certificateUser({
    authorized: socket.authorized,
    subject: socket.getPeerCertificate()?.subject as Record<string, string | string[]> | undefined,
    notAfterMs: Date.parse(certificate.validTo),
    fingerprint: certificate.fingerprint256,
    publicKey: () => certificate.publicKey,
  });
  link.connection.certificate = found;
}

class SocketServer implements Listener {
  readonly #options: ListenerOptions;
  readonly #clock: Clock;
  readonly #links = new Set<Link>();
  #server: TCPSocketListener<Link>;
  readonly #shared: Shared;
  #cancelSweep: () => void;
  #stopping = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? realClock;
    this.#shared = {
      fetch: options.fetch,
      now: () => this.#clock.now(),
      scheme: options.tls === undefined ? "http" : "https",
      bodyBytesMax: options.bodyBytesMax ?? limits.requestBodyBytesMax + 1024,
      failed: (error) => {
        options.log.error("listener failed", { error: messageOf(error) });
        return respondStatus(refuse.internal("the listener failed").status);
      },
    };
    this.#server = this.#open(options.port, options.tls);
    this.#cancelSweep = this.#sweepLater();
  }

  get port(): number {
    return this.#server.port;
  }

  get url(): string {
    return `${this.#shared.scheme}://${this.#options.hostname}:${this.port}`;
  }

  #open(port: number, tls: Tls | undefined): TCPSocketListener<Link> {
    const { hostname } = this.#options;
    return Bun.listen<Link>({
      hostname,
      port,
      ...SHARED,
      ...(tls !== undefined && {
        tls: {
          key: tls.key,
          cert: tls.cert,
          ciphers: TLS_CIPHERS,
          ...(tls.clientCa !== undefined && {
            ca: tls.clientCa,
            requestCert: true,
            rejectUnauthorized: false,
          }),
        },
      }),
      socket: {
        open: (socket) => this.#opened(socket),
        handshake: (socket) => {
          if (tls?.clientCa !== undefined) identify(socket, socket.data);
        },
        data: (socket, bytes) => socket.data?.connection.receive(bytes),
        drain: (socket) => socket.data?.writer.onDrain(),
        close: (socket) => this.#closed(socket),
        end: (socket) => void socket.end(),
        error: (_socket, error) => {
          this.#options.log.debug("a connection failed", { error: messageOf(error) });
        },
      },
    });
  }

  #opened(socket: LinkSocket): void {
    const writer = new Writer(socket);
    const reading = readingOf(socket);
    const connection = new Connection({
      shared: this.#shared,
      writer,
      pause: () => reading.pause(),
      resume: () => reading.resume(),
      // Of IPv4, as a socket of both families writes it.
      remoteAddress: socket.remoteAddress.replace(/^::ffff:/, ""),
    });
    const link = { connection, writer };
    socket.data = link;
    // Past the bound whoever comes last is turned away: it tries again later.
    if (this.#stopping || this.#links.size >= limits.connectionsMax) {
      writer.destroy();
      return;
    }
    this.#links.add(link);
  }

  #closed(socket: LinkSocket): void {
    const link = socket.data;
    if (link === undefined) return;
    this.#links.delete(link);
    link.writer.onClose();
    link.connection.closed();
  }

  #sweepLater(): () => void {
    return this.#clock.after(limits.connectionSweepMs, () => {
      const now = this.#clock.now();
      for (const { connection } of this.#links) connection.checkTime(now);
      this.#cancelSweep = this.#sweepLater();
    });
  }

  renew(pair: Pick<Tls, "key" | "cert">): void {
    // Bun cannot change the certificate of a listener. The old one goes when the new one listens:
    // no connection is refused, and where the new one cannot be opened the old one stays.
    const old = this.#server;
    try {
      this.#server = this.#open(this.port, { ...this.#options.tls, ...pair });
    } catch (error) {
      const text = { error: messageOf(error) };
      this.#options.log.error("the listener keeps its old certificate", text);
      return;
    }
    old.stop(false);
  }

  endStreams(graceMs: number): void {
    const before = new Map([...this.#links].map((link) => [link, link.connection.underWay]));
    this.#clock.after(graceMs, () => {
      for (const [{ connection, writer }, underWay] of before) {
        if (underWay !== undefined && connection.underWay === underWay) writer.destroy();
      }
    });
  }

  async stop(graceMs = 0): Promise<void> {
    this.#stopping = true;
    this.#cancelSweep();
    this.#server.stop(false);
    for (const { connection, writer } of this.#links) if (!connection.busy) writer.end();
    const until = performance.now() + graceMs;
    while (this.#links.size > 0 && performance.now() < until) await Bun.sleep(STOP_LOOK_MS);
    for (const { writer } of [...this.#links]) writer.destroy();
    this.#links.clear();
  }
}

const STOP_LOOK_MS = 10;

/** @throws what Bun.listen throws, as for a busy port. */
export const listen = (options: ListenerOptions): Listener => new SocketServer(options);
