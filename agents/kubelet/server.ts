/**
 * The kubelet's own API, for the API server's log, exec, attach, port-forward and node proxy: the
 * paths of Kubernetes' kubelet, over whatever carries a NodeLink.
 */
import type { Kubelet } from "#agents/kubelet/agent.ts";
import type { PodWork } from "#agents/kubelet/context.ts";
import { type LogOptions, readLog } from "#agents/kubelet/logread.ts";
import { Meter } from "#agents/kubelet/meter.ts";
import { cadvisorMetrics, ownMetrics, resourceMetrics } from "#agents/kubelet/metrics.ts";
import { holdNamespace } from "#agents/kubelet/native.ts";
import { anyRunning, isRunning, membersOf, specOf } from "#agents/kubelet/pod.ts";
import { type ForwardOptions, forwardPort } from "#agents/kubelet/portforward.ts";
import { logFile } from "#agents/kubelet/start.ts";
import { nodeUsage } from "#agents/kubelet/stats.ts";
import { summary, usageAnswer } from "#agents/kubelet/summary.ts";
import type { RunRecord } from "#agents/kubelet/types.ts";
import type { Runtime } from "#agents/runtime/runtime.ts";
import type { NodeLink } from "#api/nodes.ts";
import type { Channel } from "#base/channel.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { percentDecoded } from "#base/percent.ts";

export interface NodeHandlerOptions {
  kubelet: Kubelet;
  runtime: Runtime;
  clock: Clock;
  log: Log;
  /** More of the node, for `/metrics`. */
  moreMetrics?: () => Promise<string>;
}

/** What the caller got wrong; the text goes to the user. */
class NodeError extends Error {
  override name = "NodeError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface Place {
  what: string;
  namespace: string;
  pod: string;
  container: string;
  query: URLSearchParams;
}

function placeOf(pathAndQuery: string): Place {
  const mark = pathAndQuery.indexOf("?");
  const path = mark < 0 ? pathAndQuery : pathAndQuery.slice(0, mark);
  const query = new URLSearchParams(mark < 0 ? "" : pathAndQuery.slice(mark + 1));
  const [what = "", namespace = "", pod = "", container = ""] = path
    .split("/")
    .slice(1)
    .map((part) => percentDecoded(part) ?? part);
  return { what, namespace, pod, container, query };
}

const flag = (query: URLSearchParams, name: string): boolean =>
  ["true", "1"].includes(query.get(name) ?? "");

function number(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  return text === null || text === "" ? undefined : Number(text);
}

function logOptions(query: URLSearchParams, nowMs: number): LogOptions {
  const seconds = number(query, "sinceSeconds");
  const time = query.get("sinceTime");
  const sinceMs =
    seconds !== undefined ? nowMs - seconds * 1000 : time ? Date.parse(time) : undefined;
  return {
    follow: flag(query, "follow"),
    timestamps: flag(query, "timestamps"),
    tailLines: number(query, "tailLines"),
    sinceMs,
    limitBytes: number(query, "limitBytes"),
  };
}

/** @throws NodeError. */
function portOf(query: URLSearchParams): number {
  const text = query.get("port") ?? "";
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port > 0 && port < 65_536) return port;
  throw new NodeError(400, `port ${JSON.stringify(text)} is not between 1 and 65535`);
}

const LOOPBACK = ["127.0.0.1", "::1"];

/**
 * Where connections for a pod go: into its own network namespace, as the record of its sandbox has
 * it, and never from the node's. The API's words about its address count for nothing. A pod on the
 * node's network is reached by the node's address: loopback is the node's.
 * @throws NodeError where the pod has no network.
 */
function reachOf(worker: PodWork, proxied: boolean): ForwardOptions["to"] {
  const { sandbox, cleaned, name } = worker.record;
  const missing = new NodeError(
    409,
    `pod "${name}" has no network: it has not started or has ended`,
  );
  if (sandbox === undefined || cleaned) throw missing;
  if (specOf(worker.pod).hostNetwork === true) {
    const [nodeAddress] = worker.context.options.nodeIps();
    if (nodeAddress === undefined || !anyRunning(worker.state())) throw missing;
    return { nodeAddress };
  }
  if (sandbox.netnsPath === "") throw missing;
  // A proxy reaches what the pod shows to others, and not its loopback.
  return { netns: holdNamespace(sandbox.netnsPath), hosts: proxied ? sandbox.ips : LOOPBACK };
}

/** A stream that reads on only when the client takes, and stops when it leaves. */
function streamOf(
  make: (signal: AbortSignal) => AsyncGenerator<Uint8Array>,
): ReadableStream<Uint8Array> {
  const gone = new AbortController();
  const bytes = make(gone.signal);
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await bytes.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      gone.abort();
      await bytes.return(undefined);
    },
  });
}

class NodeHandler implements NodeLink {
  readonly #options: NodeHandlerOptions;
  readonly #meter: Meter;

  constructor(options: NodeHandlerOptions) {
    this.#options = options;
    this.#meter = new Meter(options.kubelet, options.clock);
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    try {
      return await this.#answer(placeOf(pathname + search), pathname);
    } catch (error) {
      const status = error instanceof NodeError ? error.status : 500;
      return new Response(messageOf(error), { status });
    }
  }

  async #answer(place: Place, path: string): Promise<Response> {
    const { kubelet, clock } = this.#options;
    switch (path) {
      case "/healthz":
      case "/healthz/ping":
        return new Response("ok");
      case "/pods":
      case "/runningpods/":
        return Response.json(this.#pods());
      case "/stats/summary":
        return Response.json(summary(await this.#meter.read(), kubelet.options.nodeName));
      case "/usage":
        return Response.json(usageAnswer(await this.#meter.read()));
      case "/metrics":
        return this.#ownMetrics();
      case "/metrics/resource":
        return metricsText(resourceMetrics(await nodeUsage(kubelet), clock.now()));
      case "/metrics/cadvisor":
        return metricsText(cadvisorMetrics((await nodeUsage(kubelet)).pods, clock.now()));
      case "/configz":
        return Response.json({ kubeletconfig: kubelet.config() });
    }
    if (place.what === "containerLogs") return this.#logs(place);
    throw new NodeError(404, "404 page not found");
  }

  async #ownMetrics(): Promise<Response> {
    const { kubelet, moreMetrics } = this.#options;
    const own = ownMetrics(this.#records(), kubelet.options.nodeName);
    return metricsText(own + ((await moreMetrics?.()) ?? ""));
  }

  #records() {
    return [...this.#options.kubelet.workers.values()].map(({ record }) => record);
  }

  #pods(): object {
    const items = [...this.#options.kubelet.workers.values()].map(({ pod }) => pod);
    return { kind: "PodList", apiVersion: "v1", metadata: {}, items };
  }

  /** The pod of this name, and with this UID where one is given: another may have its name now. */
  #worker(place: Place): PodWork {
    const uid = place.query.get("uid");
    for (const worker of this.#options.kubelet.workers.values()) {
      const { namespace, name } = worker.record;
      if (!worker.exists || namespace !== place.namespace || name !== place.pod) continue;
      if (uid === null || uid === (worker.shown ?? worker.pod).metadata.uid) return worker;
    }
    throw new NodeError(404, `pod "${place.pod}" not found on this node`);
  }

  #logs(place: Place): Response {
    const worker = this.#worker(place);
    const { container, pod, query } = place;
    if (!membersOf(worker.pod).some(({ spec }) => spec.name === container)) {
      throw new NodeError(404, `container ${container} not found in pod ${pod}`);
    }
    const run = this.#run(worker, container, pod, flag(query, "previous"));
    const path = logFile(worker, container, run.attempt);
    const file = worker.context.logs.of(path, run.startedAtMs, isRunning(run));
    const options = logOptions(query, this.#options.clock.now());
    return new Response(
      streamOf((signal) => readLog(file, options, signal)),
      {
        headers: { "content-type": "text/plain" },
      },
    );
  }

  #run(worker: PodWork, container: string, pod: string, previous: boolean): RunRecord {
    const record = worker.record.containers[container];
    if (previous) {
      if (record?.last?.id) return record.last;
      const text = `previous terminated container "${container}" in pod "${pod}" not found`;
      throw new NodeError(400, text);
    }
    if (record?.current?.id) return record.current;
    if (record?.last?.id) return record.last;
    const why = worker.status.waitingReason(container);
    throw new NodeError(
      400,
      `container "${container}" in pod "${pod}" is waiting to start: ${why}`,
    );
  }

  async open(pathAndQuery: string): Promise<Channel> {
    const place = placeOf(pathAndQuery);
    const worker = this.#worker(place);
    const { runtime, clock } = this.#options;
    const { query } = place;
    if (place.what === "portForward") {
      const port = portOf(query);
      const to = reachOf(worker, flag(query, "proxy"));
      return forwardPort({ to, port, secure: flag(query, "tls"), clock });
    }
    const id = this.#runningId(worker, place.container);
    const stdin = flag(query, "stdin") || flag(query, "input");
    if (place.what === "exec") {
      const tty = flag(query, "tty");
      return runtime.exec(id, { command: query.getAll("command"), tty, stdin });
    }
    if (place.what !== "attach") throw new NodeError(404, "404 page not found");
    const { spec } = worker.member(place.container);
    return runtime.attach(id, { tty: spec.tty === true, stdin: stdin && spec.stdin === true });
  }

  #runningId(worker: PodWork, container: string): string {
    const run = worker.record.containers[container]?.current;
    if (!isRunning(run)) throw new NodeError(404, `container not found ("${container}")`);
    return run.id;
  }
}

const metricsText = (text: string): Response =>
  new Response(text, { headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" } });

export function createNodeHandler(options: NodeHandlerOptions): NodeLink {
  return new NodeHandler(options);
}
