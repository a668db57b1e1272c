/** A connection of its own for one question, as probes ask: it is closed with the answer. */
import type { SocketHandler } from "bun";

export interface Dialed<Data> {
  /** Without brackets. */
  host: string;
  port: number;
  /** What the handlers find at their socket. */
  data: Data;
  handlers: SocketHandler<Data>;
  /** TLS, without a look at the certificate. */
  secure?: boolean;
  timeoutMs: number;
  /** The words of an answer that comes too late. */
  late: string;
}

const CODES: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ETIMEDOUT: "connection timed out",
};

/** The words of a connection that did not come about. */
function dialProblem(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const words = CODES[code];
  return words === undefined ? error.message : `connect: ${words}`;
}

/** As in a URL. */
export const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** `dial tcp 10.0.0.1:80`: how problems with it begin. */
export const dialText = (host: string, port: number): string =>
  `dial tcp ${bracketed(host)}:${port}`;

/**
 * The outcome, which the handlers settle. @throws Error where none comes in time; `dial tcp …`
 * where nobody listens.
 */
export async function dial<Answer, Data>(
  outcome: PromiseWithResolvers<Answer>,
  dialed: Dialed<Data>,
): Promise<Answer> {
  const { host: hostname, port, data, handlers, secure, timeoutMs, late } = dialed;
  const timer = setTimeout(() => outcome.reject(new Error(late)), timeoutMs);
  const connecting = Bun.connect<Data>({
    hostname,
    port,
    data,
    socket: handlers,
    ...(secure === true && { tls: { rejectUnauthorized: false } }),
  });
  connecting.catch((error: Error) =>
    outcome.reject(new Error(`${dialText(hostname, port)}: ${dialProblem(error)}`)),
  );
  try {
    return await outcome.promise;
  } finally {
    clearTimeout(timer);
    connecting.then(
      (socket) => socket.end(),
      () => {},
    );
  }
}
