/** Exec and attach: a WebSocket of the client joined to a channel of the node. */
import { admitConnect } from "#api/connect.ts";
import type { Call, Core } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import type { NodeLink } from "#api/nodes.ts";
import {
  chooseProtocol,
  ERROR_CHANNEL,
  fromClient,
  join,
  requireWebSocket,
  toClient,
} from "#api/stream/protocols.ts";
import {
  SPDY,
  serveCommand,
  spdyProtocolOf,
  VERSION_HEADER,
  versionsOf,
  wantsSpdy,
} from "#api/stream/spdy/commands.ts";
import { containerOf, linkOf, openOn, podOf } from "#api/stream/target.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { flag } from "#api/watch.ts";
import { messageOf } from "#base/errors.ts";

const STREAMS = ["stdin", "stdout", "stderr", "tty"] as const;

function paramsOf(call: Call, withCommand: boolean): URLSearchParams {
  const params = new URLSearchParams();
  for (const name of STREAMS) if (flag(call.query.get(name))) params.set(name, "1");
  if (!params.has("stdin") && !params.has("stdout") && !params.has("stderr")) {
    throw refuse.badRequest("you must specify at least 1 of stdin, stdout, stderr");
  }
  if (params.has("tty")) params.delete("stderr");
  const command = call.query.getAll("command");
  if (withCommand && command.length === 0) {
    throw refuse.badRequest("you must specify at least one command for the container");
  }
  if (withCommand) for (const word of command) params.append("command", word);
  return params;
}

/** The query as the object that admission judges. */
function optionsOf(call: Call): object {
  const container = call.query.get("container");
  const command = call.query.getAll("command");
  return {
    ...Object.fromEntries(STREAMS.map((name) => [name, flag(call.query.get(name))])),
    ...(container && { container }),
    ...(command.length > 0 && { command }),
  };
}

async function serve(core: Core, call: Call, what: "exec" | "attach"): Promise<Response> {
  const kind = what === "exec" ? "PodExecOptions" : "PodAttachOptions";
  await admitConnect(core, call, kind, optionsOf(call));
  const params = paramsOf(call, what === "exec");
  const pod = await podOf(core, call);
  const container = containerOf(pod, call.query.get("container"));
  const link = await linkOf(core, pod);
  const { namespace = "", name, uid } = pod.metadata;
  const path = `/${what}/${namespace}/${name}/${container}?${params}&uid=${uid}`;
  return joinStream(call, link, path, params);
}

/** The same for clients from before WebSockets, which upgrade to SPDY. */
async function joinSpdy(
  call: Call,
  link: NodeLink,
  pathAndQuery: string,
  params: URLSearchParams,
): Promise<Response> {
  const protocol = spdyProtocolOf(call.request);
  if (protocol === undefined) {
    const offered = versionsOf(call.request).join(", ");
    throw refuse.badRequest(`unable to upgrade: none of the versions [${offered}] is served`);
  }
  const node = await openOn(link, pathAndQuery);
  const client = call.env.switchTo?.(SPDY, { [VERSION_HEADER]: protocol.name });
  if (client === undefined) {
    node.abort("the client could not be upgraded");
    throw refuse.badRequest("unable to upgrade the connection");
  }
  void serveCommand(client, node, params, protocol);
  return new Response(null);
}

/** Joins the client's WebSocket with a stream of the node. `params`: which streams it has. */
export async function joinStream(
  call: Call,
  link: NodeLink,
  pathAndQuery: string,
  params: URLSearchParams,
): Promise<Response> {
  if (wantsSpdy(call.request)) return joinSpdy(call, link, pathAndQuery, params);
  requireWebSocket(call.request);
  const protocol = chooseProtocol(call.request);
  const node = await openOn(link, pathAndQuery);
  const client = call.env.upgrade?.(protocol.name === "" ? undefined : protocol.name);
  if (client === undefined) {
    node.abort("the client could not be upgraded");
    throw refuse.badRequest("unable to upgrade the connection");
  }
  // An empty message on the first channel that the client reads tells it that the stream stands.
  const first = params.has("stdout") ? 1 : params.has("stderr") ? 2 : ERROR_CHANNEL;
  const hello = toClient({ ...protocol, plainErrors: false }, Uint8Array.of(first));
  if (hello !== undefined) {
    await client.send(hello).catch((error: unknown) => {
      node.abort(messageOf(error));
      throw error;
    });
  }
  void join(
    client,
    node,
    (message) => toClient(protocol, message),
    (message) => fromClient(protocol, message),
  );
  return new Response(null);
}

const make = (name: "exec" | "attach"): Subresource => ({
  name,
  of: (resource) => resource.bucket === "core/pods",
  kind: { group: "", version: "v1", kind: name === "exec" ? "PodExecOptions" : "PodAttachOptions" },
  verbs: ["create", "get"],
  async serve(core, call) {
    if (call.verb !== "get" && call.verb !== "create") throw refuse.method();
    return serve(core, call, name);
  },
});

export const exec = make("exec");
export const attach = make("attach");
