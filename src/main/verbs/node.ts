/** bramble node remove NAME */
import { nodeKeySecret } from "#agents/join/admit.ts";
import { OperatorError } from "#base/errors.ts";
import { connect } from "#cli/connect.ts";
import type { CliIo, VerbModule } from "#cli/verb.ts";
import { isNotFound } from "#client/client.ts";
import { nodes } from "#resources/kinds/node.ts";
import { secrets } from "#resources/kinds/secret.ts";

interface NodeOptions {
  kubeconfig?: string;
}

async function remove(name: string, options: NodeOptions, io: CliIo): Promise<void> {
  const { client } = connect({ kubeconfig: options.kubeconfig, env: io.env });
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

export const define: VerbModule["define"] = (command, io) => {
  command
    .command("remove")
    .description("forget a node and its key, so that its name is free")
    .argument("<name>")
    .option("--kubeconfig <file>", "kubeconfig to use")
    .action((name: string, options: NodeOptions) => remove(name, options, io));
};
