/** WebSockets to the servers behind APIServices: consoles and the like. */
import type { FrontProxy } from "#api/aggregation/identity.ts";
import { headersFor, type Service, targetOf } from "#api/aggregation/remote.ts";
import type { Core, RequestEnv, UserInfo } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { headersForBackend, protocolsOf } from "#api/forwarded.ts";
import type { Channel } from "#base/channel.ts";
import { limits } from "#base/limits.ts";

export const wantsSocket = (request: Request): boolean =>
  request.headers.get("upgrade")?.toLowerCase() === "websocket";

/** Bun takes headers and TLS options, which the web's types do not know. */
interface DialOptions {
  readonly headers: Record<string, string>;
  readonly protocols: string[];
  readonly tls: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly serverName: string;
    readonly rejectUnauthorized: boolean;
  };
}

const dialSocket = (url: string, options: DialOptions): WebSocket =>
  new WebSocket(url, options as unknown as string[]);

async function opened(socket: WebSocket, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.onopen = () => resolve();
  socket.onerror = () => reject(new Error("cannot connect"));
  socket.onclose = ({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`));
  signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
  await promise;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Messages go both ways until one side ends. */
function join(channel: Channel, socket: WebSocket): void {
  const asText = socket.protocol.includes("base64");
  let waiting = 0;
  let order = Promise.resolve();
  socket.onmessage = ({ data }) => {
    const bytes = typeof data === "string" ? encoder.encode(data) : new Uint8Array(data);
    waiting += bytes.length;
    // The other server cannot be told to wait: a client that is too slow is cut.
    if (waiting > limits.socketBacklogBytesMax) {
      channel.abort("the client is too slow");
      socket.close();
      return;
    }
    order = order
      .then(() => channel.send(bytes))
      .then(
        () => {
          waiting -= bytes.length;
        },
        () => socket.close(),
      );
  };
  socket.onclose = () => void order.then(() => channel.end());
  socket.onerror = () => channel.abort("the connection failed");
  void (async () => {
    try {
      for await (const message of channel.messages) {
        socket.send(asText ? decoder.decode(message) : message);
      }
      socket.close(1000);
    } catch {
      socket.close();
    }
  })();
}

export interface SocketRequest {
  readonly request: Request;
  readonly env: RequestEnv;
  readonly user: UserInfo;
}

/** The connection is taken over; the answer is ignored. @throws ApiError 400, 503. */
export async function passSocket(
  core: Core,
  identity: FrontProxy | undefined,
  service: Service,
  { request, env, user }: SocketRequest,
): Promise<Response> {
  if (env.upgrade === undefined) throw refuse.badRequest("unable to upgrade");
  const { pathname, search } = new URL(request.url);
  const target = await targetOf(core, service);
  const { host, port } = target.place;
  const headers: Record<string, string> = { host: target.serverName };
  const given = headersForBackend(request, env.remoteAddress);
  for (const [name, value] of Object.entries(headersFor(given, user))) {
    if (name.startsWith("sec-websocket-")) continue;
    headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  const address = host.includes(":") ? `[${host}]` : host;
  const socket = dialSocket(`wss://${address}:${port}${pathname}${search}`, {
    headers,
    protocols: protocolsOf(request.headers),
    tls: {
      ...(target.ca !== undefined && { ca: target.ca }),
      ...(identity !== undefined && { cert: identity.certPem, key: identity.keyPem }),
      serverName: target.serverName,
      rejectUnauthorized: !target.insecure,
    },
  });
  socket.binaryType = "arraybuffer";
  await opened(socket, AbortSignal.any([request.signal, AbortSignal.timeout(limits.dialMsMax)]));
  const channel = env.upgrade(socket.protocol === "" ? undefined : socket.protocol);
  if (channel === undefined) {
    socket.close();
    throw refuse.badRequest("unable to upgrade");
  }
  join(channel, socket);
  return new Response(null);
}
