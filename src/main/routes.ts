/** Paths of bramble's own beside the API: joining, and the tunnels of nodes. */

import { admitNode, findToken, JoinRefused } from "#agents/join/admit.ts";
import { CA_PATH, JOIN_PATH, type JoinAnswer } from "#agents/join/join.ts";
import { TUNNEL_PATH } from "#agents/tunnel/dial.ts";
import type { TunnelHub } from "#agents/tunnel/hub.ts";
import type { Api } from "#api/app.ts";
import { nodeNameOf } from "#api/auth/nodeauthorizer.ts";
import type { RequestEnv, UserInfo } from "#api/core.ts";
import type { Channel } from "#base/channel.ts";
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Client } from "#client/client.ts";
import { TIME_PATH } from "./locator.ts";
import type { ClusterNet } from "./parts.ts";
import { skewOf } from "./upgrade/plan.ts";
import { PROGRAM_PATH } from "./upgrade/wanted.ts";
import { version } from "./version.ts";

export interface RouteParts {
  api: Api;
  client: Client;
  hub: TunnelHub;
  clock: Clock;
  caPem: string;
  cluster: ClusterNet;
  /** Node name of this server. */
  serverName: string;
  /** Where `bramble upgrade --cluster` leaves programs for nodes, by architecture. */
  programsDir: string;
}

const OWN = "/bramble/v1/";

function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return start < 0 ? "/" : url.slice(start, end < 0 ? undefined : end);
}

const A_NODE = "a node's certificate or token is needed";

const refusal = (status: number, message: string): Response =>
  Response.json({ message }, { status });

type Caller = () => Promise<UserInfo | undefined>;

/** Returns the node that the request's token or certificate identifies. */
async function callingNode(caller: Caller): Promise<string | undefined> {
  const user = await caller();
  return user && nodeNameOf(user);
}

/** Frames leave in order, each once the one before was taken. */
function frameSocket(channel: Channel) {
  let turn = Promise.resolve();
  return {
    send: (frame: Uint8Array) => {
      turn = turn.then(() => channel.send(frame)).catch(() => channel.abort("the node went away"));
    },
    close: () => channel.abort("the node speaks through a newer tunnel"),
  };
}

async function tunnel(parts: RouteParts, env: RequestEnv, caller: Caller): Promise<Response> {
  const nodeName = await callingNode(caller);
  if (nodeName === undefined) return refusal(401, A_NODE);
  const channel = env.upgrade?.(undefined);
  if (channel === undefined) return refusal(400, "a WebSocket is needed");
  const session = parts.hub.accept(nodeName, frameSocket(channel));
  void (async () => {
    let reason = "the node closed it";
    try {
      for await (const frame of channel.messages) session.receive(frame);
    } catch (error) {
      reason = error instanceof Error ? error.message : String(error);
    }
    session.closed(reason);
    channel.abort(reason);
  })();
  return new Response(null, { status: 204 });
}

/** Reads the body of a join request. @throws JoinRefused beyond the limit. */
async function textOf(request: Request): Promise<string> {
  const bytesMax = limits.joinBodyBytesMax;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new JoinRefused(413, `the body is larger than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function objectIn(text: string): Partial<Record<string, unknown>> {
  try {
    return (JSON.parse(text) as Record<string, unknown> | null) ?? {};
  } catch {
    return {};
  }
}

async function admit(parts: RouteParts, request: Request): Promise<void> {
  const { client, clock, serverName } = parts;
  const header = request.headers.get("authorization") ?? "";
  const bearer = /^Bearer +(\S+)$/i.exec(header)?.[1] ?? "";
  // The token is checked before the body is read.
  await findToken(client, bearer, clock.now());
  const { nodeName, publicKey, version: theirs } = objectIn(await textOf(request));
  if (typeof nodeName !== "string" || typeof publicKey !== "object" || publicKey === null) {
    throw new JoinRefused(400, "nodeName and publicKey are needed");
  }
  const skewed = typeof theirs === "string" ? skewOf(version, theirs) : undefined;
  if (skewed !== undefined) throw new JoinRefused(409, `${nodeName} cannot join: ${skewed}`);
  await admitNode(client, { bearer, nodeName, publicKey, nowMs: clock.now(), serverName });
}

async function join(parts: RouteParts, request: Request, caller: Caller): Promise<Response> {
  // Records the caller in the audit log. `admit` decides whether the token is valid for this join.
  await caller();
  try {
    await admit(parts, request);
  } catch (error) {
    if (error instanceof JoinRefused) return refusal(error.status, error.message);
    throw error;
  }
  const { clusterCidr, serviceCidr, clusterDns, clusterDomain } = parts.cluster;
  const nowMs = parts.clock.now();
  const answer: JoinAnswer = { clusterCidr, serviceCidr, clusterDns, clusterDomain, nowMs };
  return Response.json(answer);
}

async function program(parts: RouteParts, request: Request, caller: Caller): Promise<Response> {
  if ((await callingNode(caller)) === undefined) return refusal(401, A_NODE);
  const arch = pathOf(request.url).slice(PROGRAM_PATH.length);
  if (!["amd64", "arm64"].includes(arch)) return refusal(404, "no such architecture");
  const file = Bun.file(`${parts.programsDir}/${arch}`);
  return (await file.exists()) ? new Response(file) : refusal(404, "no program to hand out");
}

/** The server's whole fetch: own paths first, the API for all others. */
export function serveAll(parts: RouteParts) {
  return async (request: Request, env: RequestEnv): Promise<Response> => {
    const path = pathOf(request.url);
    if (!path.startsWith(OWN)) return parts.api.fetch(request, env);
    return parts.api.beside(request, env, async (caller) => {
      if (path === CA_PATH) return new Response(parts.caPem);
      if (path === TIME_PATH) return Response.json({ nowMs: parts.clock.now(), version });
      if (path === JOIN_PATH && request.method === "POST") return join(parts, request, caller);
      if (path.startsWith(PROGRAM_PATH)) return program(parts, request, caller);
      if (path === TUNNEL_PATH) return tunnel(parts, env, caller);
      return refusal(404, "no such path");
    });
  };
}
