/**
 * Calls from the API server to what extends it: webhooks and other API servers, by URL or behind a
 * Service.
 */
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import { peek } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { addressOfName, checkReachable, endpointsOf } from "#api/endpoints.ts";
import { limits } from "#base/limits.ts";
import type { Service } from "#resources/types.gen.ts";

export interface ServiceTarget {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** A ready endpoint behind a Service's port. @throws Error where there is none to be reached. */
export async function placeOf(core: Core, target: ServiceTarget): Promise<Place> {
  const { namespace, name, port } = target;
  const item = await core.store.get(`core/services/${namespace}/${name}`);
  if (item === undefined) throw new Error(`service "${name}" not found`);
  const service = peek<Service>(item);
  const { spec } = service;
  if (spec?.type === "ExternalName" && spec.externalName) {
    return { host: await addressOfName(core, spec.externalName), port };
  }
  const found = spec?.ports?.find((each) => each.port === port);
  if (found === undefined) throw new Error(`no service port ${port} found for service "${name}"`);
  const endpoints = await endpointsOf(core, service, found.name ?? "");
  const endpoint = endpoints[Math.floor(core.random.next() * endpoints.length)];
  if (endpoint === undefined) throw new Error(`no endpoints available for service "${name}"`);
  await checkReachable(core, endpoint);
  return { host: endpoint.address, port: endpoint.port };
}

export interface OutboundRequest {
  readonly method: string;
  readonly place: Place;
  /** The name that the server's certificate must carry. */
  readonly serverName: string;
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
  readonly body?: string | Uint8Array;
  /** PEM; without it the machine's own authorities are trusted. */
  readonly ca?: string;
  readonly insecure?: boolean;
  /** A client certificate, PEM. */
  readonly identity?: { readonly certPem: string; readonly keyPem: string };
  readonly signal: AbortSignal;
}

export interface OutboundAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array>;
}

/** One HTTPS request. The certificate's name may differ from the address that is called. */
export function send(request: OutboundRequest): Promise<OutboundAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<OutboundAnswer>();
  const { place, serverName, ca, identity } = request;
  const outgoing = httpsRequest(
    {
      method: request.method,
      host: place.host,
      port: place.port,
      path: request.path,
      // An address is no server name; the certificate is checked against it all the same.
      ...(isIP(serverName) === 0 && { servername: serverName }),
      headers: { ...request.headers, host: serverName },
      ...(ca !== undefined && { ca }),
      ...(identity !== undefined && { cert: identity.certPem, key: identity.keyPem }),
      rejectUnauthorized: request.insecure !== true,
      signal: request.signal,
      agent: false,
    },
    (incoming) => {
      const headers = new Headers();
      for (const [name, value] of Object.entries(incoming.headers)) {
        for (const each of [value ?? []].flat()) headers.append(name, each);
      }
      resolve({ status: incoming.statusCode ?? 0, headers, body: incoming });
    },
  );
  outgoing.on("error", reject);
  outgoing.end(request.body);
  return promise;
}

/** A whole body, bounded. @throws Error past the limit. */
export async function textOf(answer: OutboundAnswer): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body) {
    size += part.length;
    if (size > limits.requestBodyBytesMax) throw new Error("the answer is too long");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
