/**
 * HTTP to a pod, a Service or a node by way of the API.
 * (Kubernetes tasks, access cluster services: manually constructing apiserver proxy URLs).
 */
import { peek } from "#api/codec.ts";
import { admitConnect, type ConnectKind } from "#api/connect.ts";
import type { Call, Core } from "#api/core.ts";
import { checkReachable, type Endpoint, endpointsOf, podBehind } from "#api/endpoints.ts";
import { refuse } from "#api/errors.ts";
import { headersForBackend } from "#api/forwarded.ts";
import { mustGet } from "#api/read.ts";
import { requestOver } from "#api/stream/http1.ts";
import { linkOf, nodeLink, openOn } from "#api/stream/target.ts";
import { joinStream } from "#api/subresources/exec.ts";
import { fromBehindProxy, type Way } from "#api/subresources/proxypage.ts";
import type { Subresource } from "#api/subresources/subresource.ts";
import { flag } from "#api/watch.ts";
import { messageOf } from "#base/errors.ts";
import type { Stored } from "#resources/meta.ts";
import type { Node, Pod, Service } from "#resources/types.gen.ts";

/** `[scheme:]name[:port]`, as the name in the path has it. */
interface Spot {
  readonly scheme: string;
  readonly name: string;
  readonly port: string;
}

/** @throws ApiError 400. */
export function parseSpot(text: string): Spot {
  const parts = text.split(":");
  if (parts.length === 1) return { scheme: "", name: text, port: "" };
  const [first = "", second = "", third = ""] = parts;
  if (parts.length === 2) return { scheme: "", name: first, port: second };
  if (parts.length === 3 && (first === "http" || first === "https" || first === "")) {
    return { scheme: first, name: second, port: third };
  }
  throw refuse.badRequest(`invalid proxy target ${JSON.stringify(text)}`);
}

const KUBELET_PORT = 10_250;

const isSecure = (spot: Spot): boolean => spot.scheme === "https";

/** Relative links of a page need the slash; browsers are sent there, as upstream does. */
function toFolder(call: Call): Response | undefined {
  const { request, target, query } = call;
  if (target.rest !== "" || (request.method !== "GET" && request.method !== "HEAD"))
    return undefined;
  if (request.headers.has("upgrade")) return undefined;
  const { pathname } = new URL(request.url);
  const location = `${pathname}/${query.size === 0 ? "" : `?${query}`}`;
  return new Response(null, { status: 301, headers: { location } });
}

function pathOf(call: Call): string {
  const path = call.target.rest === "" ? "/" : (call.target.rest ?? "/");
  return call.query.size === 0 ? path : `${path}?${call.query}`;
}

interface PodPort {
  readonly port: number;
  readonly secure: boolean;
}

async function viaPod(
  core: Core,
  call: Call,
  pod: Stored<Pod>,
  { port, secure }: PodPort,
): Promise<Response> {
  const { namespace = "", name, uid } = pod.metadata;
  const { request } = call;
  const hasBody = request.method !== "GET" && request.method !== "HEAD";
  const params = new URLSearchParams({ port: String(port), proxy: "1", uid });
  if (secure) params.set("tls", "1");
  const path = `/portForward/${namespace}/${name}?${params}`;
  const channel = await openOn(await linkOf(core, pod), path);
  const host = `${pod.status?.podIP ?? name}:${port}`;
  const headers = headersForBackend(request, call.env.remoteAddress);
  // A page that is compressed could not be looked through.
  headers.delete("accept-encoding");
  try {
    const answer = await requestOver(channel, {
      method: request.method,
      pathAndQuery: pathOf(call),
      host,
      headers,
      body: hasBody ? new Uint8Array(await request.arrayBuffer()) : undefined,
    });
    return fromBehindProxy(answer, wayOf(call, host));
  } catch (error) {
    channel.abort("failed");
    throw refuse.unavailable(`error trying to reach service: ${messageOf(error)}`);
  }
}

/** Where the answer comes out, and what the other side may call itself. */
function wayOf(call: Call, host: string): Way {
  const { pathname, host: own } = new URL(call.request.url);
  const { rest = "" } = call.target;
  const base = pathname.slice(0, pathname.length - rest.length);
  return { base, hosts: [host, call.request.headers.get("host") ?? own] };
}

/** A port by number or by the name that a container gives it. */
function podPort(pod: Pod, port: string): number {
  const containers = pod.spec?.containers ?? [];
  if (port === "") {
    return containers.flatMap(({ ports }) => ports ?? [])[0]?.containerPort ?? 80;
  }
  const named = containers
    .flatMap(({ ports }) => ports ?? [])
    .find((each) => each.name === port)?.containerPort;
  const number = named ?? Number(port);
  if (Number.isInteger(number)) return number;
  throw refuse.badRequest(`no port ${JSON.stringify(port)} in the pod`);
}

async function proxyPod(core: Core, call: Call): Promise<Response> {
  const spot = parseSpot(call.target.name ?? "");
  const named = { ...call, target: { ...call.target, name: spot.name } };
  const pod = peek<Pod>(await mustGet(core, named));
  return viaPod(core, call, pod, { port: podPort(pod, spot.port), secure: isSecure(spot) });
}

async function proxyService(core: Core, call: Call): Promise<Response> {
  const spot = parseSpot(call.target.name ?? "");
  const named = { ...call, target: { ...call.target, name: spot.name } };
  const service = peek<Service>(await mustGet(core, named));
  const ports = service.spec?.ports ?? [];
  const port =
    spot.port === ""
      ? ports[0]
      : ports.find((each) => each.name === spot.port || String(each.port) === spot.port);
  if (port === undefined) {
    throw refuse.unavailable(
      `no service port ${JSON.stringify(spot.port)} found for service "${spot.name}"`,
    );
  }
  const endpoints = await endpointsOf(core, service, port.name ?? "");
  const endpoint = endpoints[Math.floor(core.random.next() * endpoints.length)];
  if (endpoint === undefined) {
    throw refuse.unavailable(`no endpoints available for service "${call.target.name}"`);
  }
  const pod = await podBehind(core, endpoint);
  if (pod !== undefined) {
    return viaPod(core, call, pod, { port: endpoint.port, secure: isSecure(spot) });
  }
  return direct(core, call, endpoint, spot.scheme || "http");
}

/** An endpoint that is no pod: reached from here. Its redirects are the client's to follow. */
async function direct(
  core: Core,
  call: Call,
  endpoint: Endpoint,
  scheme: string,
): Promise<Response> {
  const { address, port } = endpoint;
  try {
    await checkReachable(core, endpoint);
  } catch (error) {
    throw refuse.badRequest(messageOf(error));
  }
  const host = address.includes(":") ? `[${address}]` : address;
  const url = `${scheme}://${host}:${port}${pathOf(call)}`;
  const headers = headersForBackend(call.request, call.env.remoteAddress);
  const { method, signal } = call.request;
  try {
    const body = method === "GET" || method === "HEAD" ? null : await call.request.arrayBuffer();
    const tls = { rejectUnauthorized: false };
    const answer = await fetch(url, { method, headers, body, signal, redirect: "manual", tls });
    return fromBehindProxy(new Response(answer.body, answer), wayOf(call, new URL(url).host));
  } catch (error) {
    throw refuse.unavailable(`error trying to reach service: ${messageOf(error)}`);
  }
}

/** The kubelet's own names of an exec's streams, as the API has them. */
function kubeletStreams(query: URLSearchParams): URLSearchParams {
  const names = { stdin: "input", stdout: "output", stderr: "error" };
  const params = new URLSearchParams();
  for (const [name, own] of Object.entries(names)) {
    if (flag(query.get(name)) || flag(query.get(own))) params.set(name, "1");
  }
  return params;
}

async function proxyNode(core: Core, call: Call): Promise<Response> {
  const spot = parseSpot(call.target.name ?? "");
  const named = { ...call, target: { ...call.target, name: spot.name } };
  const node = peek<Node>(await mustGet(core, named));
  // Upstream connects to any port of the node; here only its agent answers.
  const port = String(node.status?.daemonEndpoints?.kubeletEndpoint?.Port ?? KUBELET_PORT);
  if (spot.port !== "" && spot.port !== port) {
    throw refuse.badRequest(`port ${spot.port} of a node is not allowed, only ${port}`);
  }
  const { method, headers, signal } = call.request;
  const link = await nodeLink(core, spot.name);
  const path = pathOf(call);
  if (headers.has("upgrade") && /^\/(exec|attach)\//.test(path)) {
    return joinStream(call, link, path, kubeletStreams(call.query));
  }
  const body = method === "GET" || method === "HEAD" ? null : await call.request.arrayBuffer();
  const safe = headersForBackend(call.request, call.env.remoteAddress);
  return link.fetch(new Request(`http://node${path}`, { method, headers: safe, body, signal }));
}

const PROXIES: Record<string, (core: Core, call: Call) => Promise<Response>> = {
  "core/pods": proxyPod,
  "core/services": proxyService,
  "core/nodes": proxyNode,
};

const KINDS: Record<string, ConnectKind> = {
  "core/pods": "PodProxyOptions",
  "core/services": "ServiceProxyOptions",
  "core/nodes": "NodeProxyOptions",
};

const make = (bucket: string): Subresource => ({
  name: "proxy",
  of: (resource) => resource.bucket === bucket,
  kind: { group: "", version: "v1", kind: KINDS[bucket] ?? "" },
  verbs: ["create", "delete", "get", "patch", "update"],
  async serve(core, call) {
    const proxy = PROXIES[bucket];
    const kind = KINDS[bucket];
    if (proxy === undefined || kind === undefined) throw refuse.noPath();
    await admitConnect(core, call, kind, { path: pathOf(call) });
    return toFolder(call) ?? proxy(core, call);
  },
});

export const proxies: readonly Subresource[] = Object.keys(PROXIES).map(make);
