/**
 * metrics.k8s.io: what nodes and pods use, asked of the nodes' agents when someone wants to know,
 * so that `kubectl top` and autoscalers need nothing installed. An APIService of another server
 * for this group goes before it.
 */
import { peek } from "#api/codec.ts";
import { type Call, type Core, timestamp } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { negotiate } from "#api/negotiate.ts";
import type { NodeLinks, NodeUsageAnswer, NodeUsages, UsageFigures } from "#api/nodes.ts";
import { respond } from "#api/respond.ts";
import { selectionOf } from "#api/select.ts";
import { metadataOf, tableOf } from "#api/table.ts";
import { must } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { NodeMetrics, PodMetrics, Usage } from "#resources/kinds/metrics.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

type Answer = NodeUsageAnswer | undefined;

/** The last answer of each node, for a few seconds; one question at a time to each. */
export class AskedUsages implements NodeUsages {
  readonly #links: NodeLinks;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #known = new Map<string, { atMs: number; answer: Promise<Answer> }>();

  constructor({ links, clock, log }: { links: NodeLinks; clock: Clock; log: Log }) {
    this.#links = links;
    this.#clock = clock;
    this.#log = log;
  }

  of(nodeName: string): Promise<Answer> {
    const nowMs = this.#clock.monotonic();
    for (const [name, { atMs }] of this.#known) {
      if (nowMs - atMs > limits.usageAgeMsMax) this.#known.delete(name);
    }
    const known = this.#known.get(nodeName);
    if (known !== undefined) return known.answer;
    const answer = this.#ask(nodeName).catch((error: unknown) => {
      this.#log.debug("a node does not tell its use", { node: nodeName, error: messageOf(error) });
      this.#known.delete(nodeName);
      return undefined;
    });
    this.#known.set(nodeName, { atMs: nowMs, answer });
    return answer;
  }

  async #ask(nodeName: string): Promise<NodeUsageAnswer> {
    const link = this.#links.link(nodeName);
    if (link === undefined) throw new Error("not connected");
    const signal = AbortSignal.timeout(limits.usageAnswerMsMax);
    const late = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => late.reject(new Error("no answer in time")));
    const read = async () => {
      const response = await link.fetch(new Request("http://node/usage", { signal }));
      if (!response.ok) throw new Error(`status ${response.status}`);
      return (await response.json()) as NodeUsageAnswer;
    };
    return Promise.race([read(), late.promise]);
  }
}

const usageOf = ({ nanoCores, memoryBytes }: UsageFigures): Usage => ({
  cpu: `${nanoCores}n`,
  memory: `${Math.floor(memoryBytes / 1024)}Ki`,
});

/** As Go writes a duration. */
function durationText(ms: number): string {
  const seconds = (ms % 60_000) / 1000;
  return ms < 60_000 ? `${seconds}s` : `${Math.floor(ms / 60_000)}m${seconds}s`;
}

function head(core: Core, call: Call, about: Stored, { atMs, windowMs }: NodeUsageAnswer) {
  const { name, namespace, labels } = about.metadata;
  return {
    kind: call.resource.kind.kind,
    apiVersion: call.resource.apiVersion,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      creationTimestamp: timestamp(core.clock.now()),
      ...(labels && { labels }),
    },
    timestamp: timestamp(atMs),
    window: durationText(Math.round(windowMs)),
  };
}

async function podMetricsOf(core: Core, call: Call, pod: Stored<Pod>): Promise<PodMetrics[]> {
  const answer = await core.usages.of(pod.spec?.nodeName ?? "");
  const found = answer?.pods.find(({ uid }) => uid === pod.metadata.uid);
  if (answer === undefined || found === undefined) return [];
  const containers = found.containers.map((each) => ({ name: each.name, usage: usageOf(each) }));
  return [{ ...head(core, call, pod, answer), containers }];
}

async function nodeMetricsOf(core: Core, call: Call, node: Stored): Promise<NodeMetrics[]> {
  const answer = await core.usages.of(node.metadata.name);
  if (answer?.node === undefined) return [];
  return [{ ...head(core, call, node, answer), usage: usageOf(answer.node) }];
}

/** The pods or nodes that the call is about. */
async function subjects(core: Core, call: Call, bucket: string): Promise<Stored[]> {
  const resource = must(core.registry.byBucket(bucket), bucket);
  const { prefix, filter } = selectionOf({ ...call, resource });
  const { name } = call.target;
  if (name !== undefined) {
    const item = await core.store.get(`${prefix}${name}`);
    return item === undefined ? [] : [peek<Stored>(item)];
  }
  const page = await core.store.list({ prefix, ...(filter && { filter }) });
  return page.items.map((item) => peek<Stored>(item));
}

async function measured(core: Core, call: Call): Promise<Array<NodeMetrics | PodMetrics>> {
  const isPods = call.resource.kind.namespaced;
  const found = await subjects(core, call, isPods ? "core/pods" : "core/nodes");
  const all = await Promise.all(
    found.map((each): Promise<Array<NodeMetrics | PodMetrics>> => {
      return isPods
        ? podMetricsOf(core, call, each as Stored<Pod>)
        : nodeMetricsOf(core, call, each);
    }),
  );
  return all.flat();
}

/** Answers get and list of `nodes` and `pods`. */
export async function serveUsage(core: Core, call: Call): Promise<Response> {
  const { kind, apiVersion } = call.resource;
  const { name } = call.target;
  if (call.verb !== "get" && call.verb !== "list") throw refuse.method();
  const form = negotiate(call.request.headers.get("accept"));
  const items = await measured(core, call);
  const [first] = items;
  if (name !== undefined && first === undefined) throw refuse.notFound(kind, name);
  if (form.as === "table") return respond(call, tableOf(core, call, items));
  if (name !== undefined && first !== undefined) {
    return respond(call, form.as === "metadata" ? metadataOf(first) : first);
  }
  if (form.as === "metadata") {
    const list = { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", metadata: {} };
    return respond(call, { ...list, items: items.map(metadataOf) });
  }
  return respond(call, { kind: kind.listKind, apiVersion, metadata: {}, items });
}
