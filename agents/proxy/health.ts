/**
 * Tells load balancers outside of the cluster which nodes have pods of a Service with
 * externalTrafficPolicy Local: 200 where there is one, 503 where not, on the Service's
 * healthCheckNodePort.
 */
import type { ServicePortPlan } from "#agents/proxy/plan.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Service } from "#resources/types.gen.ts";

export interface ServiceHealth {
  namespace: string;
  name: string;
  /** Ready endpoints on this node. */
  localEndpoints: number;
}

/** Serves HTTP on the node's addresses until it is stopped. Throws where the port is taken. */
export type ServeHealth = (port: number, answer: () => Response) => { stop(): void };

/** On one address, or on all of the node's where none was chosen. */
export const serveHealthOn =
  (hostname = "0.0.0.0"): ServeHealth =>
  (port, answer) => {
    const server = Bun.serve({ port, hostname, fetch: answer });
    return { stop: () => void server.stop(true) };
  };

/** Pure. Undefined for Services that ask for no health check. */
export function healthOf(
  service: Service,
  ports: readonly ServicePortPlan[],
): { port: number; health: ServiceHealth } | undefined {
  const { type, externalTrafficPolicy, healthCheckNodePort } = service.spec ?? {};
  if (type !== "LoadBalancer" || externalTrafficPolicy !== "Local" || !healthCheckNodePort) {
    return undefined;
  }
  const { namespace = "", name = "" } = service.metadata ?? {};
  const here = new Set(ports.flatMap((port) => port.here.map(({ ip }) => ip)));
  return { port: healthCheckNodePort, health: { namespace, name, localEndpoints: here.size } };
}

function answerOf(health: ServiceHealth): Response {
  const { namespace, name, localEndpoints } = health;
  return Response.json(
    { service: { namespace, name }, localEndpoints, serviceProxyHealthy: true },
    {
      status: localEndpoints > 0 ? 200 : 503,
      headers: { "X-Load-Balancing-Endpoint-Weight": String(localEndpoints) },
    },
  );
}

export class HealthServers {
  readonly #serve: ServeHealth;
  readonly #log: Log;
  readonly #servers = new Map<number, { stop(): void }>();
  #wanted: ReadonlyMap<number, ServiceHealth> = new Map();

  constructor(serve: ServeHealth, log: Log) {
    this.#serve = serve;
    this.#log = log;
  }

  /** By port. A port that is taken is told and tried again at the next change. */
  settle(wanted: ReadonlyMap<number, ServiceHealth>): void {
    this.#wanted = wanted;
    for (const [port, server] of this.#servers) {
      if (wanted.has(port)) continue;
      server.stop();
      this.#servers.delete(port);
    }
    for (const port of wanted.keys()) {
      if (!this.#servers.has(port)) this.#start(port);
    }
  }

  stop(): void {
    this.settle(new Map());
  }

  #start(port: number): void {
    const answer = () => {
      const health = this.#wanted.get(port);
      return health === undefined ? new Response(null, { status: 503 }) : answerOf(health);
    };
    try {
      this.#servers.set(port, this.#serve(port, answer));
    } catch (error) {
      this.#log.warn("health check port not served", { port, error: messageOf(error) });
    }
  }
}
