/**
 * Groups that other API servers serve: requests are handed on with the name of who asked; discovery
 * and OpenAPI show them.
 * https://kubernetes.io/docs/concepts/extend-kubernetes/api-extension/apiserver-aggregation/
 */
import { autoregister } from "#api/aggregation/autoregister.ts";
import { Availability } from "#api/aggregation/availability.ts";
import type { FrontProxy } from "#api/aggregation/identity.ts";
import { createRemote, groupVersionOf, headersFor, type Service } from "#api/aggregation/remote.ts";
import { passSocket, type SocketRequest, wantsSocket } from "#api/aggregation/sockets.ts";
import type { Core } from "#api/core.ts";
import type { Foreign } from "#api/discovery.ts";
import { ApiError, refuse } from "#api/errors.ts";
import { follow } from "#api/follow.ts";
import { headersForBackend } from "#api/forwarded.ts";
import type { OtherDocuments } from "#api/openapi.ts";
import type { OutboundAnswer } from "#api/outbound.ts";
import { messageOf } from "#base/errors.ts";
import { HOP_HEADERS } from "#base/httphead.ts";
import type { APIService } from "#resources/types.gen.ts";

export type { FrontProxy } from "#api/aggregation/identity.ts";

const BUCKET = "apiregistration.k8s.io/apiservices";

export interface Aggregation {
  start(): Promise<() => void>;
  /** Whether somebody else serves this group and version. */
  serves(group: string, version: string): boolean;
  /** Whether somebody else serves a path: a group-version's own, or its OpenAPI document. */
  claims(path: string): Service | undefined;
  foreign(): readonly Foreign[];
  /** OpenAPI documents of others. */
  documents(): OtherDocuments;
  /** @throws ApiError 503 where nobody answers. */
  proxy(incoming: SocketRequest, group: string, version: string): Promise<Response>;
  pass(incoming: SocketRequest, service: Service): Promise<Response>;
}

const CLAIMED = /^(?:\/openapi\/v3)?\/apis\/([^/]+)\/([^/]+)\/?$/;

function streamOf(answer: OutboundAnswer): ReadableStream<Uint8Array> {
  const parts = answer.body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await parts.next();
      if (next.done === true) controller.close();
      else controller.enqueue(new Uint8Array(next.value));
    },
    async cancel() {
      await parts.return?.();
    },
  });
}

function answerOf(request: Request, answer: OutboundAnswer): Response {
  for (const name of HOP_HEADERS) answer.headers.delete(name);
  const { status, headers } = answer;
  const empty = status === 204 || status === 304 || request.method === "HEAD";
  return new Response(empty ? null : streamOf(answer), { status, headers });
}

export function createAggregation(core: Core, identity: FrontProxy | undefined): Aggregation {
  const { log } = core;
  const services = follow<APIService>(core.store, log, BUCKET, () => availability.look());
  const all = (): Service[] =>
    services.all().filter(({ spec }) => spec?.service !== undefined && spec.service !== null);
  const remote = createRemote(core, identity);
  const availability = new Availability(core, remote, all);

  let listed: readonly unknown[] | undefined;
  let served = new Map<string, Service>();
  /** Every request asks; what is served changes seldom. */
  const find = (group: string, version: string): Service | undefined => {
    const now = services.all();
    if (now !== listed) {
      listed = now;
      served = new Map(all().map((service) => [groupVersionOf(service), service]));
    }
    return served.size === 0 ? undefined : served.get(`${group}/${version}`);
  };

  async function pass(incoming: SocketRequest, service: Service): Promise<Response> {
    const { request, env, user } = incoming;
    const { pathname, search } = new URL(request.url);
    const bodiless = request.method === "GET" || request.method === "HEAD";
    const body = bodiless ? undefined : new Uint8Array(await request.arrayBuffer());
    try {
      if (wantsSocket(request)) return await passSocket(core, identity, service, incoming);
      const answer = await remote(service, {
        method: request.method,
        path: pathname + search,
        headers: headersFor(headersForBackend(request, env.remoteAddress), user),
        ...(body && { body }),
        signal: request.signal,
      });
      return answerOf(request, answer);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      const { name } = service.metadata;
      log.debug("an API service does not answer", { name, error: messageOf(error) });
      throw refuse.unavailable("the server is currently unable to handle the request");
    }
  }

  return {
    async start() {
      const ends = [await services.start(), await autoregister(core)];
      availability.look();
      return () => {
        availability.end();
        for (const end of ends) end();
      };
    },
    serves: (group, version) => find(group, version) !== undefined,
    claims(path) {
      const [, group = "", version = ""] = CLAIMED.exec(path) ?? [];
      return group === "" ? undefined : find(group, version);
    },
    foreign: () =>
      all().map(({ metadata, spec }) => ({
        group: spec?.group ?? "",
        version: spec?.version ?? "",
        resources: availability.told(metadata.name)?.resources,
      })),
    documents: () => ({
      v3: new Map(
        all().flatMap((service) => {
          const where = availability.told(service.metadata.name)?.openApi;
          return where === undefined ? [] : [[`apis/${groupVersionOf(service)}`, where]];
        }),
      ),
      v2: all().flatMap(({ metadata }) => availability.told(metadata.name)?.openApiV2 ?? []),
    }),
    async proxy(incoming, group, version) {
      const service = find(group, version);
      if (service === undefined) throw refuse.noPath();
      return pass(incoming, service);
    },
    pass,
  };
}
