/** Calls to the servers behind APIServices. */
import type { FrontProxy } from "#api/aggregation/identity.ts";
import type { Core, UserInfo } from "#api/core.ts";
import { withoutCredentials } from "#api/forwarded.ts";
import { type OutboundAnswer, type Place, placeOf, send } from "#api/outbound.ts";
import { must } from "#base/assert.ts";
import type { Stored } from "#resources/meta.ts";
import type { APIService } from "#resources/types.gen.ts";

export type Service = Stored<APIService>;
export type Outgoing = Record<string, string | string[]>;

/** What the client sent, with the user's name in place of what proves it. */
export function headersFor(given: Headers, user: UserInfo): Outgoing {
  const headers: Outgoing = {};
  withoutCredentials(given).forEach((value, name) => {
    headers[name] = value;
  });
  headers["x-remote-user"] = user.name;
  if (user.uid !== undefined) headers["x-remote-uid"] = user.uid;
  headers["x-remote-group"] = [...user.groups];
  for (const [key, values] of Object.entries(user.extra ?? {})) {
    headers[`x-remote-extra-${encodeURIComponent(key)}`] = [...values];
  }
  return headers;
}

export const groupVersionOf = ({ spec }: Service): string => `${spec?.group}/${spec?.version}`;

/** Where a service's server is, and how it is known to be the right one. */
export interface Target {
  readonly place: Place;
  readonly serverName: string;
  readonly ca?: string;
  readonly insecure: boolean;
}

/** @throws Error where no endpoint is ready. */
export async function targetOf(core: Core, service: Service): Promise<Target> {
  const { spec } = service;
  const { name = "", namespace = "", port = 443 } = must(spec?.service, "service");
  const { caBundle, insecureSkipTLSVerify } = must(spec, "spec");
  return {
    place: await placeOf(core, { namespace, name, port }),
    serverName: `${name}.${namespace}.svc`,
    ...(caBundle && { ca: Buffer.from(caBundle, "base64").toString() }),
    insecure: insecureSkipTLSVerify === true,
  };
}

export interface RemoteRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Outgoing;
  readonly body?: Uint8Array;
  readonly signal: AbortSignal;
}

export type Remote = (service: Service, request: RemoteRequest) => Promise<OutboundAnswer>;

export function createRemote(core: Core, identity: FrontProxy | undefined): Remote {
  return async (service, request) =>
    send({
      ...request,
      ...(await targetOf(core, service)),
      ...(identity !== undefined && { identity }),
    });
}
