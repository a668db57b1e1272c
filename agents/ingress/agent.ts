/**
 * Ingress on this node: a reverse proxy for HTTP/1 and HTTPS, straight to the endpoints. It
 * listens only while there is an Ingress for it: a node without any takes no port.
 * HTTP/2 and with it gRPC are not served.
 */
import { AccessLog } from "#agents/ingress/accesslog.ts";
import { Certificates, selfSigned } from "#agents/ingress/certificates.ts";
import { Doors } from "#agents/ingress/doors.ts";
import { planTable, type Table } from "#agents/ingress/plan.ts";
import { Serving } from "#agents/ingress/serving.ts";
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { keepLevel, type Level } from "#base/level.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Index, ShownCaches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import { ingressClasses } from "#resources/kinds/ingressclass.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import { INGRESS_PORTS } from "#resources/ownedingress.ts";
import type { EndpointSlice } from "#resources/types.gen.ts";

export interface IngressAgentOptions {
  caches: ShownCaches;
  /** `markOn`. */
  mark: (ports: string | undefined) => Promise<void>;
  /** Secrets by name. */
  objects: ObjectSource;
  nodeName: string;
  /** Address to listen on. */
  host: string;
  httpPort: number;
  tlsPort: number;
  /** File of the access log. Default: none. */
  accessLog?: string;
  clock: Clock;
  random: Random;
  log: Log;
}

const SERVICE_LABEL = "kubernetes.io/service-name";

const serviceKeyOf = ({ metadata }: Pick<EndpointSlice, "metadata">): string =>
  `${metadata?.namespace}/${metadata?.labels?.[SERVICE_LABEL]}`;

const slicesOfService: Index<EndpointSlice> = {
  name: "ingressService",
  values: (slice) => [serviceKeyOf(slice)],
};

const slicesOfPod: Index<EndpointSlice> = {
  name: "ingressPod",
  values: (slice) => (slice.endpoints ?? []).flatMap(({ targetRef }) => targetRef?.uid ?? []),
};

/** Writes on the node at which ports its Ingress listens (`80,443`), or that it does not. */
export const markOn =
  (client: Pick<Client, "patch">, nodeName: string): IngressAgentOptions["mark"] =>
  async (ports) => {
    const annotations = { [INGRESS_PORTS]: ports ?? null };
    await client.patch(nodes, { name: nodeName }, "merge", { metadata: { annotations } });
  };

/** Changes that come together are planned together. */
const GATHER_MS = 3;

export class IngressAgent {
  readonly #options: IngressAgentOptions;
  readonly #serving: Serving;
  readonly #certificates: Certificates;
  readonly #doors: Doors;
  readonly #accessLog: AccessLog | undefined;
  /** Services that the table asked for. */
  #asked: ReadonlySet<string> = new Set();
  #level: Level | undefined;
  #problems = "";

  constructor(options: IngressAgentOptions) {
    this.#options = options;
    const { accessLog: path, clock, log, random } = options;
    const accessLog = path === undefined ? undefined : new AccessLog({ path, clock, log });
    this.#accessLog = accessLog;
    this.#serving = new Serving({
      clock,
      ...(accessLog && { onServed: (served) => accessLog.add(served) }),
    });
    this.#certificates = new Certificates(options.objects, log);
    this.#doors = new Doors({
      ...options,
      serving: this.#serving,
      fallback: () => selfSigned(clock, random),
      contextOf: (name) => this.#certificates.contextOf(name),
    });
  }

  /** Works until the signal aborts. */
  start(signal: AbortSignal): void {
    const { caches, clock, log, nodeName } = this.#options;
    const level = keepLevel({ clock, log, signal, gatherMs: GATHER_MS, work: () => this.#work() });
    this.#level = level;
    const poke = () => level.poke();
    const ends = [
      caches.of(ingresses).onChange(poke),
      caches.of(ingressClasses).onChange(poke),
      caches.of(services).onChange(({ key }) => this.#asked.has(key) && poke()),
      caches.of(endpointSlices).onChange(({ before, after }) => {
        const slice = after ?? before;
        if (slice !== undefined && this.#asked.has(serviceKeyOf(slice))) poke();
      }),
      caches.of(nodes).onChange(({ key, after }) => {
        if (key === nodeName && after?.metadata.annotations?.[INGRESS_PORTS] !== this.#mark) poke();
      }),
    ];
    signal.addEventListener("abort", () => {
      for (const end of ends) end();
    });
    void this.#synced().then(poke);
  }

  /** Listens no more; requests under way may end. */
  async stop(): Promise<void> {
    this.#doors.close();
    await this.#serving.stop(limits.ingressDrainMsMax);
    this.#certificates.stop();
    await this.#accessLog?.flush();
  }

  /** Resolves when every change seen so far counts. */
  async settled(): Promise<void> {
    await this.#synced();
    await this.#level?.settled();
  }

  /**
   * Resolves when no request of this node is under way to the pod and none will be; in
   * `drainAnswersMsMax` at the latest. An answer without an end must not keep a pod alive.
   */
  async drained(podUid: string): Promise<void> {
    const { caches, clock } = this.#options;
    const slices = caches.of(endpointSlices);
    if (!slices.synced) return;
    const endpoints = slices
      .indexed(slicesOfPod, podUid)
      .flatMap((slice) => slice.endpoints ?? [])
      .filter(({ targetRef }) => targetRef?.uid === podUid);
    const addresses = endpoints.flatMap((endpoint) => endpoint.addresses);
    const endMs = clock.monotonic() + limits.drainAnswersMsMax;
    await this.settled();
    while (clock.monotonic() < endMs) {
      if (addresses.every((address) => this.#serving.balancer.pendingAt(address) === 0)) return;
      await sleep(clock, limits.ingressDrainLookMs);
    }
  }

  get ports(): { http: number | undefined; https: number | undefined } {
    return this.#doors.ports;
  }

  metrics(): string {
    return this.#serving.metrics.text(this.#serving.balancer.states);
  }

  async #synced(): Promise<void> {
    const { caches } = this.#options;
    for (const kind of [ingresses, ingressClasses, services, endpointSlices, nodes]) {
      await caches.of<object>(kind).whenSynced();
    }
  }

  #plan(): Table {
    const { caches } = this.#options;
    const asked = new Set<string>();
    const table = planTable({
      ingresses: caches.of(ingresses).list(),
      classes: caches.of(ingressClasses).list(),
      service: (key) => {
        asked.add(key);
        return caches.of(services).get(key);
      },
      slices: (key) => caches.of(endpointSlices).indexed(slicesOfService, key),
    });
    this.#asked = asked;
    return table;
  }

  async #work(): Promise<void> {
    const table = this.#plan();
    this.#tell(table);
    this.#serving.follow(table);
    await this.#certificates.follow(table);
    if (table.count === 0) this.#doors.close();
    else if (!(await this.#doors.open())) {
      this.#options.clock.after(limits.ingressListenMs, () => this.#level?.poke());
    }
    await this.#show();
  }

  #tell({ problems }: Table): void {
    const text = problems.join("; ");
    if (text === this.#problems) return;
    this.#problems = text;
    if (text !== "")
      this.#options.log.warn("not all of the Ingresses can be served", { why: text });
  }

  get #mark(): string | undefined {
    const { http, https } = this.#doors.ports;
    const ports = [http, https].filter((port) => port !== undefined);
    return ports.length > 0 ? ports.join(",") : undefined;
  }

  /** The node says where it listens; the control plane makes addresses of it. */
  async #show(): Promise<void> {
    const { caches, nodeName, mark } = this.#options;
    const node = caches.of(nodes).get(nodeName);
    const ports = this.#mark;
    if (node === undefined || node.metadata.annotations?.[INGRESS_PORTS] === ports) return;
    await mark(ports);
  }
}
