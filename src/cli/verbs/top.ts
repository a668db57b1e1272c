/** bramble top node|pod */
import type { Command } from "commander";
import { OperatorError } from "#base/errors.ts";
import { ask, StatusFailure } from "#cli/api.ts";
import { act, isSet, type Options, type Session, textOf } from "#cli/session.ts";
import { columns } from "#cli/table.ts";
import { listAll } from "#cli/targets.ts";
import type { VerbModule } from "#cli/verb.ts";
import { pathOf } from "#client/http.ts";
import { nodes } from "#resources/kinds/node.ts";
import type { Stored } from "#resources/meta.ts";
import { milliValue, quantityValue } from "#resources/quantity.ts";
import type { Node } from "#resources/types.gen.ts";

const METRICS = { group: "metrics.k8s.io", version: "v1beta1" };
const MEBI = 1024 * 1024;

type Usage = Readonly<Record<string, string>>;

interface NodeMetrics extends Stored {
  usage: Usage;
}

interface PodMetrics extends Stored {
  containers: Array<{ name: string; usage: Usage }>;
}

interface Used {
  cpu: number;
  memory: number;
}

const used = (usage: Usage): Used => ({
  cpu: milliValue(usage["cpu"] ?? "0"),
  memory: quantityValue(usage["memory"] ?? "0"),
});

const cpuText = (cpu: number): string => `${Math.ceil(cpu)}m`;
const memoryText = (memory: number): string => `${Math.floor(memory / MEBI)}Mi`;
const share = (part: number, whole: number): string =>
  whole > 0 ? `${Math.floor((part * 100) / whole)}%` : "<unknown>";

/** The most of `--sort-by`, or by name. */
function sorted<T extends { name: string; use: Used }>(rows: T[], options: Options): T[] {
  const key = textOf(options, "sortBy");
  if (key !== "cpu" && key !== "memory") return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  return rows.sort((a, b) => b.use[key] - a.use[key]);
}

async function metrics<T extends Stored>(
  session: Session,
  path: string,
  name?: string,
  labels?: string,
) {
  try {
    if (name !== undefined) return [await ask<T>(session.client, { path: `${path}/${name}` })];
    return (await listAll(session, path, { labelSelector: labels })).items as T[];
  } catch (error) {
    const absent = error instanceof StatusFailure && error.code === 404 && name === undefined;
    throw absent ? new OperatorError("Metrics API not available") : error;
  }
}

function print(session: Session, options: Options, head: string[], rows: string[][]): void {
  session.io.out(columns(options["headers"] === false ? rows : [head, ...rows]));
}

async function topNodes(session: Session, args: string[], options: Options): Promise<void> {
  const kind = { ...METRICS, plural: "nodes", namespaced: false };
  const labels = textOf(options, "selector");
  const found = await metrics<NodeMetrics>(session, pathOf(kind, {}), args[0], labels);
  const { items } = await listAll(session, pathOf(nodes, {}));
  const capacities = new Map(
    (items as Stored<Node>[]).map(({ metadata, status }) => [
      metadata.name,
      used((status?.allocatable ?? {}) as Usage),
    ]),
  );
  const rows = sorted(
    found.map(({ metadata, usage }) => ({ name: metadata.name, use: used(usage) })),
    options,
  );
  print(
    session,
    options,
    ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"],
    rows.map(({ name, use }) => {
      const all = capacities.get(name);
      const cpu = [cpuText(use.cpu), share(use.cpu, all?.cpu ?? 0)];
      return [name, ...cpu, memoryText(use.memory), share(use.memory, all?.memory ?? 0)];
    }),
  );
}

const sum = (pod: PodMetrics): Used =>
  pod.containers
    .map(({ usage }) => used(usage))
    .reduce((a, b) => ({ cpu: a.cpu + b.cpu, memory: a.memory + b.memory }), { cpu: 0, memory: 0 });

async function topPods(session: Session, args: string[], options: Options): Promise<void> {
  const everywhere = isSet(options, "allNamespaces");
  const kind = { ...METRICS, plural: "pods", namespaced: true };
  const scope = everywhere ? {} : { namespace: session.namespace };
  const labels = textOf(options, "selector");
  const found = await metrics<PodMetrics>(session, pathOf(kind, scope), args[0], labels);
  if (found.length === 0) {
    session.io.err(
      everywhere
        ? "No resources found\n"
        : `No resources found in ${session.namespace} namespace.\n`,
    );
    return;
  }
  const byContainer = isSet(options, "containers");
  const rows = found.flatMap((pod) => {
    const { name, namespace = "" } = pod.metadata;
    const own = everywhere ? [namespace, name] : [name];
    if (!byContainer) return [{ name, cells: own, use: sum(pod) }];
    return pod.containers.map((each) => ({
      name,
      cells: [...own, each.name],
      use: used(each.usage),
    }));
  });
  const head = [
    ...(everywhere ? ["NAMESPACE"] : []),
    ...(byContainer ? ["POD", "NAME"] : ["NAME"]),
    ...["CPU(cores)", "MEMORY(bytes)"],
  ];
  print(
    session,
    options,
    head,
    sorted(rows, options).map(({ cells, use }) => [
      ...cells,
      cpuText(use.cpu),
      memoryText(use.memory),
    ]),
  );
}

function sub(parent: Command, name: string, alias: string[], summary: string): Command {
  return parent
    .command(name)
    .aliases(alias)
    .description(summary)
    .option("-l, --selector <labels>", "only those with these labels")
    .option("--sort-by <what>", "cpu or memory")
    .option("--no-headers", "leave out the heads of columns");
}

export const define: VerbModule["define"] = (command, io) => {
  act(sub(command, "node", ["nodes", "no"], "what nodes use"), io, topNodes);
  const pod = sub(command, "pod", ["pods", "po"], "what pods use")
    .option("-A, --all-namespaces", "in all namespaces")
    .option("--containers", "each container for itself");
  act(pod, io, topPods);
};
