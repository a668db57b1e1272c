/** Requests and WebSockets to one server, with what a kubeconfig says of it. */
import { messageOf, OperatorError } from "#base/errors.ts";
import type { Fetch } from "#client/client.ts";

export interface Endpoint {
  server: string;
  token: string | undefined;
  tls: { ca?: string; cert?: string; key?: string; rejectUnauthorized: boolean };
}

export function fetchFrom({ server, token, tls }: Endpoint): Fetch {
  return async (request) => {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    const body = request.body === null ? null : await request.arrayBuffer();
    const { method, signal } = request;
    // A watch or a followed log may be silent for hours.
    const options = { method, headers, body, signal, tls, timeout: false };
    try {
      return await fetch(`${server}${pathname}${search}`, options);
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new OperatorError(`${server} does not answer: ${messageOf(cause)}`, { cause });
    }
  };
}

export function socketFrom({ server, token, tls }: Endpoint) {
  return (pathAndQuery: string, protocols: readonly string[]): WebSocket => {
    const url = `${server.replace(/^http/, "ws")}${pathAndQuery}`;
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const socket = new WebSocket(url, { headers, tls, protocols: [...protocols] });
    socket.binaryType = "arraybuffer";
    return socket;
  };
}
