/** bramble node cordon, uncordon, drain, remove NAME */
import type { Command } from "commander";
import { nodeKeySecret } from "#agents/join/admit.ts";
import { realClock } from "#base/clock.ts";
import { OperatorError, UsageError } from "#base/errors.ts";
import { connect } from "#cli/connect.ts";
import type { CliIo, VerbModule } from "#cli/verb.ts";
import { type Client, isNotFound } from "#client/client.ts";
import { nodes } from "#resources/kinds/node.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";
import { emptyNode, isAlone, isEvictable, podsOn, setOpen } from "../evict.ts";
import { spanMs } from "../span.ts";

interface NodeOptions {
  kubeconfig?: string;
}

interface DrainOptions extends NodeOptions {
  force?: boolean;
  deleteEmptydirData?: boolean;
  timeout: string;
}

const clientOf = ({ kubeconfig }: NodeOptions, io: CliIo): Client =>
  connect({ kubeconfig, env: io.env }).client;

async function remove(name: string, options: NodeOptions, io: CliIo): Promise<void> {
  const client = clientOf(options, io);
  const attempts = [
    () => client.delete(secrets, { namespace: "kube-system", name: nodeKeySecret(name) }),
    () => client.delete(nodes, { name }),
  ];
  let removed = 0;
  for (const attempt of attempts) {
    try {
      await attempt();
      removed += 1;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  if (removed === 0) throw new OperatorError(`there is no node ${name}`);
  io.out(`node ${name} removed; another device may take its name\n`);
}

async function setCordon(client: Client, name: string, open: boolean, io: CliIo): Promise<void> {
  const node = await client.get(nodes, { name });
  if (node === undefined) throw new OperatorError(`there is no node ${name}`);
  const word = open ? "uncordoned" : "cordoned";
  const isOpen = node.spec?.unschedulable !== true;
  if (isOpen !== open) await setOpen(client, name, open);
  io.out(`node/${name} ${isOpen === open ? `already ${word}` : word}\n`);
}

const nameOf = ({ metadata }: Stored<Pod>): string => `${metadata.namespace}/${metadata.name}`;
const keepsData = ({ spec }: Stored<Pod>): boolean =>
  spec?.volumes?.some(({ emptyDir }) => emptyDir !== undefined) ?? false;

/** Why the node is not drained without a word more; undefined where nothing is lost by it. */
function objection(pods: readonly Stored<Pod>[], options: DrainOptions): string | undefined {
  const names = (all: readonly Stored<Pod>[]): string => all.map(nameOf).join(", ");
  const alone = pods.filter(isAlone);
  if (alone.length > 0 && options.force !== true) {
    return `nothing makes them anew (--force deletes them): ${names(alone)}`;
  }
  const lossy = pods.filter((pod) => keepsData(pod) && (isAlone(pod) || isEvictable(pod)));
  if (lossy.length === 0 || options.deleteEmptydirData === true) return undefined;
  return `their emptyDir's files go with them (--delete-emptydir-data): ${names(lossy)}`;
}

function timeoutMs(text: string): number {
  const ms = spanMs(text, "smh");
  if (ms !== undefined) return ms;
  throw new UsageError(`--timeout: "${text}" must be a time such as 90s or 10m`);
}

async function drain(name: string, options: DrainOptions, io: CliIo): Promise<void> {
  const client = clientOf(options, io);
  const msMax = timeoutMs(options.timeout);
  await setCordon(client, name, false, io);
  const refused = objection(await podsOn(client, name), options);
  if (refused !== undefined) {
    throw new OperatorError(`${name} is cordoned, but not drained: ${refused}`);
  }
  await emptyNode({
    ...{ client, clock: realClock, node: name, msMax },
    isMeant: (pod) => isEvictable(pod) || isAlone(pod),
    onEvict: (pod) => io.out(`evicting pod ${nameOf(pod)}\n`),
  });
  io.out(`node/${name} drained\n`);
}

export const define: VerbModule["define"] = (command, io) => {
  const sub = (verb: string, summary: string): Command =>
    command
      .command(verb)
      .description(summary)
      .argument("<name>")
      .option("--kubeconfig <file>", "kubeconfig to use");
  sub("cordon", "let no new pod come to a node").action((name: string, options: NodeOptions) =>
    setCordon(clientOf(options, io), name, false, io),
  );
  sub("uncordon", "let pods come again").action((name: string, options: NodeOptions) =>
    setCordon(clientOf(options, io), name, true, io),
  );
  sub("drain", "cordon a node and move its pods elsewhere, as their budgets let them go")
    .option("--force", "also pods that nothing makes anew")
    .option("--delete-emptydir-data", "also pods with an emptyDir, whose files are lost")
    .option("--timeout <time>", "give up after this time", "10m")
    .action((name: string, options: DrainOptions) => drain(name, options, io));
  sub("remove", "forget a node and its key, so that its name is free").action(
    (name: string, options: NodeOptions) => remove(name, options, io),
  );
};
