/**
 * Exec and attach of clients that know no WebSocket: each of the command's streams is a stream of a
 * SPDY connection, joined with the one channel of the node (kubelet cri/streaming/remotecommand).
 */
import { ERROR_CHANNEL, plainError } from "#api/stream/protocols.ts";
import { type SpdyStream, serveSpdy } from "#api/stream/spdy/session.ts";
import type { Channel } from "#base/channel.ts";

interface SpdyProtocol {
  readonly name: string;
  /** The newer versions end with a Status, the older ones with a plain text on failure. */
  readonly plainErrors: boolean;
  readonly resizes: boolean;
}

const PROTOCOLS: readonly SpdyProtocol[] = [
  { name: "v5.channel.k8s.io", plainErrors: false, resizes: true },
  { name: "v4.channel.k8s.io", plainErrors: false, resizes: true },
  { name: "v3.channel.k8s.io", plainErrors: true, resizes: true },
  { name: "v2.channel.k8s.io", plainErrors: true, resizes: false },
  { name: "channel.k8s.io", plainErrors: true, resizes: false },
];

export const SPDY = "SPDY/3.1";
/** Says which version of what travels in the streams is spoken. */
export const VERSION_HEADER = "x-stream-protocol-version";

export const wantsSpdy = (request: Request): boolean =>
  request.headers.get("upgrade")?.toLowerCase() === SPDY.toLowerCase();

export const versionsOf = (request: Request): string[] =>
  (request.headers.get(VERSION_HEADER) ?? "")
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "");

/** The first version of the client's that is served; without one it is the first there was. */
export function spdyProtocolOf(request: Request): SpdyProtocol | undefined {
  const offered = versionsOf(request);
  if (offered.length === 0) return PROTOCOLS.at(-1);
  return offered.map((name) => PROTOCOLS.find((each) => each.name === name)).find((each) => each);
}

const NUMBERS: Readonly<Record<string, number>> = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  error: ERROR_CHANNEL,
  resize: 4,
};
const CLOSE = 255;

/** The streams that the client opens, by name. `params` as the node is asked. */
function expected(params: URLSearchParams, { resizes }: SpdyProtocol): string[] {
  const asked = ["stdin", "stdout", "stderr"].filter((name) => params.has(name));
  return ["error", ...asked, ...(resizes && params.has("tty") ? ["resize"] : [])];
}

const framed = (channel: number, bytes: Uint8Array): Uint8Array =>
  Buffer.concat([Uint8Array.of(channel), bytes]);

/** What the client writes goes to the node; the end of its input is told, too. */
async function inward(streams: ReadonlyMap<string, SpdyStream>, node: Channel): Promise<void> {
  const pump = async (name: string): Promise<void> => {
    const stream = streams.get(name);
    if (stream === undefined) return;
    const number = NUMBERS[name] ?? 0;
    for await (const bytes of stream.channel.messages) await node.send(framed(number, bytes));
    if (name === "stdin") await node.send(Uint8Array.of(CLOSE, number));
  };
  try {
    await Promise.all([pump("stdin"), pump("resize")]);
  } catch {
    // Either side is gone: who ends the other one is `serveCommand`.
  }
}

async function outward(
  streams: ReadonlyMap<string, SpdyStream>,
  node: Channel,
  { plainErrors }: SpdyProtocol,
): Promise<void> {
  const byNumber = new Map([...streams].map(([name, stream]) => [NUMBERS[name], stream.channel]));
  for await (const message of node.messages) {
    const isError = plainErrors && message[0] === ERROR_CHANNEL;
    const shown = isError ? plainError(message) : message;
    const stream = byNumber.get(message[0] ?? CLOSE);
    if (shown !== undefined && shown.length > 1) await stream?.send(shown.subarray(1));
  }
  for (const { channel } of streams.values()) channel.end();
  await Promise.all([...streams.values()].map(({ sent }) => sent));
}

/** Serves one command until it or the client is gone. Never rejects. */
export async function serveCommand(
  client: Channel,
  node: Channel,
  params: URLSearchParams,
  protocol: SpdyProtocol,
): Promise<void> {
  const names = expected(params, protocol);
  const streams = new Map<string, SpdyStream>();
  await serveSpdy(client, (stream) => {
    const { streamtype = "" } = stream.headers;
    if (!names.includes(streamtype) || streams.has(streamtype)) {
      return stream.channel.abort("no stream of this command");
    }
    streams.set(streamtype, stream);
    if (streams.size < names.length) return;
    void inward(streams, node);
    outward(streams, node, protocol).then(
      () => client.end(),
      () => client.abort("the node went away"),
    );
  });
  node.abort("the client went away");
}
