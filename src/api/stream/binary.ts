/**
 * An answer's body as messages of a WebSocket, for clients that read logs that way (apiserver
 * wsstream).
 */
import type { Call } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { offeredBy } from "#api/stream/protocols.ts";
import { sendBody } from "#base/channel.ts";
import { messageOf } from "#base/errors.ts";

const BINARY = "binary.k8s.io";
const BASE64 = "base64.binary.k8s.io";
const encoder = new TextEncoder();

export const wantsWebSocket = (request: Request): boolean =>
  request.headers.get("upgrade")?.toLowerCase() === "websocket";

/** Takes the connection over and sends the body; the answer is then ignored. */
export function sendAsMessages(call: Call, body: ReadableStream<Uint8Array> | null): Response {
  const offered = offeredBy(call.request);
  const protocol = offered.find((name) => name === BINARY || name === BASE64);
  const client = call.env.upgrade?.(protocol);
  if (client === undefined) throw refuse.badRequest("unable to upgrade the connection");
  const asText = protocol === BASE64;
  const toText = (chunk: Uint8Array) => encoder.encode(Buffer.from(chunk).toString("base64"));
  sendBody(client, body, asText ? toText : undefined).catch((error: unknown) => {
    client.abort(messageOf(error));
  });
  return new Response(null);
}
