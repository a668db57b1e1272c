/**
 * Port-forward: SPDY streams in a WebSocket (KEP-4006), as kubectl does it, and the older form of
 * two channels a port, as the client libraries do it.
 */

import { admitConnect } from "#api/connect.ts";
import type { Call, Core } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import type { NodeLink } from "#api/nodes.ts";
import { join, offeredBy, requireWebSocket } from "#api/stream/protocols.ts";
import { SPDY, VERSION_HEADER, versionsOf, wantsSpdy } from "#api/stream/spdy/commands.ts";
import { type SpdyStream, serveSpdy } from "#api/stream/spdy/session.ts";
import { linkOf, podOf } from "#api/stream/target.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import type { Channel } from "#base/channel.ts";
import { messageOf } from "#base/errors.ts";
import { compoundKey } from "#base/key.ts";

const TUNNEL = "SPDY/3.1+portforward.k8s.io";
const PORTS = "portforward.k8s.io";
const CHANNELS = ["v4.channel.k8s.io", "v4.base64.channel.k8s.io", "portforward.k8s.io"];
const encoder = new TextEncoder();
const same = (message: Uint8Array): Uint8Array => message;

interface Target {
  readonly link: NodeLink;
  readonly path: string;
  readonly pod: string;
}

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port < 65_536;

const failure = (target: Target, port: number, error: unknown): Uint8Array =>
  encoder.encode(`error forwarding port ${port} to pod ${target.pod}: ${messageOf(error)}`);

/** Joins one pair of streams to the pod's port; errors go to the error stream. */
async function forward(
  target: Target,
  port: number,
  data: Channel,
  errors: Channel,
): Promise<void> {
  try {
    const node = await target.link.open(`${target.path}&port=${port}`);
    await join(data, node, same, same);
  } catch (error) {
    await errors.send(failure(target, port, error)).catch(() => {});
    data.abort("the port cannot be reached");
  }
  errors.end();
}

/** A connection is two streams with one request id, the error stream first. */
function serveTunnel(target: Target, client: Channel): void {
  const waiting = new Map<string, Partial<Record<"data" | "error", Channel>>>();
  void serveSpdy(client, ({ headers, channel }: SpdyStream) => {
    const { streamtype = "", requestid = "" } = headers;
    const port = Number(headers["port"]);
    if (!isPort(port) || (streamtype !== "data" && streamtype !== "error")) {
      return channel.abort("no stream of a port");
    }
    const id = compoundKey(requestid, String(port));
    const pair = { ...waiting.get(id), [streamtype]: channel };
    const { data, error } = pair;
    if (data === undefined || error === undefined) {
      waiting.set(id, pair);
      void channel.closed.then(() => waiting.get(id) === pair && waiting.delete(id));
      return;
    }
    waiting.delete(id);
    void forward(target, port, data, error);
  });
}

/** Clients from before WebSockets open the same streams on the bare connection. */
function serveSpdyClient(call: Call, target: Target): Response {
  const offered = versionsOf(call.request);
  if (offered.length > 0 && !offered.includes(PORTS)) {
    throw refuse.badRequest(`unable to upgrade: offered [${offered.join(", ")}], served: ${PORTS}`);
  }
  const client = call.env.switchTo?.(SPDY, { [VERSION_HEADER]: PORTS });
  if (client === undefined) throw refuse.badRequest("unable to upgrade the connection");
  serveTunnel(target, client);
  return new Response(null);
}

async function carryBack(node: Channel, client: Channel, channel: number): Promise<void> {
  try {
    for await (const message of node.messages) {
      await client.send(Buffer.concat([Uint8Array.of(channel), message]));
    }
  } catch {
    client.abort("the port went away");
  }
}

/** Data of port i on channel 2i, its errors on 2i + 1; each begins with the port in two bytes. */
async function serveChannels(target: Target, client: Channel, ports: number[]): Promise<void> {
  const nodes: Array<Channel | undefined> = [];
  for (const [index, port] of ports.entries()) {
    const greeting = (channel: number): Uint8Array =>
      Uint8Array.of(channel, port & 0xff, port >> 8);
    await client.send(greeting(2 * index));
    await client.send(greeting(2 * index + 1));
    try {
      const node = await target.link.open(`${target.path}&port=${port}`);
      nodes.push(node);
      void carryBack(node, client, 2 * index);
    } catch (error) {
      nodes.push(undefined);
      const text = failure(target, port, error);
      await client.send(Buffer.concat([Uint8Array.of(2 * index + 1), text]));
    }
  }
  try {
    for await (const message of client.messages) {
      const node = nodes[(message[0] ?? 0) >> 1];
      if (message.length > 1) await node?.send(new Uint8Array(message.subarray(1)));
    }
  } catch {
    // The client is gone, and with it its connections.
  }
  for (const node of nodes) node?.end();
}

async function serve(core: Core, call: Call): Promise<Response> {
  const ports = call.query
    .getAll("ports")
    .flatMap((each) => each.split(","))
    .map(Number);
  await admitConnect(core, call, "PodPortForwardOptions", ports.length > 0 ? { ports } : {});
  const pod = await podOf(core, call);
  const link = await linkOf(core, pod);
  const { namespace = "", name, uid } = pod.metadata;
  const target = { link, path: `/portForward/${namespace}/${name}?uid=${uid}`, pod: name };
  if (wantsSpdy(call.request)) return serveSpdyClient(call, target);
  requireWebSocket(call.request);
  const offered = offeredBy(call.request);
  const tunnel = offered.includes(TUNNEL);
  const protocol = tunnel ? TUNNEL : offered.find((each) => CHANNELS.includes(each));
  if (!tunnel && (ports.length === 0 || !ports.every(isPort))) {
    throw refuse.badRequest('query parameter "ports" is required');
  }
  if (protocol?.includes("base64")) throw refuse.badRequest("base64 channels are not served here");
  const client = call.env.upgrade?.(protocol);
  if (client === undefined) throw refuse.badRequest("unable to upgrade the connection");
  if (tunnel) serveTunnel(target, client);
  else void serveChannels(target, client, ports);
  return new Response(null);
}

export const portForward: Subresource = {
  name: "portforward",
  of: (resource) => resource.bucket === "core/pods",
  kind: { group: "", version: "v1", kind: "PodPortForwardOptions" },
  verbs: ["create", "get"],
  async serve(core, call) {
    if (call.verb !== "get" && call.verb !== "create") throw refuse.method();
    return serve(core, call);
  },
};
