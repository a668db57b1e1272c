/** Shows this server to devices on the same network. */
import { announce } from "#agents/discovery/agent.ts";
import type { Client } from "#client/client.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import type { Surroundings } from "./control.ts";
import { version } from "./version.ts";

/** What Kubernetes' own tools take for a cluster's id: it stays as long as the cluster does. */
async function clusterId(client: Client): Promise<string> {
  const first = await client.get(namespaces, { name: "kube-system" });
  return first?.metadata.uid ?? "";
}

/** Answers how to take the announcement back. */
export async function announceServer(
  service: { nodeName: string; port: number; caSha256: string },
  around: Pick<Surroundings, "clock" | "log"> & { client: Client },
): Promise<() => Promise<void>> {
  return announce({
    name: service.nodeName,
    role: "server",
    port: service.port,
    version,
    caSha256: service.caSha256,
    cluster: await clusterId(around.client),
    clock: around.clock,
    log: around.log.part("discovery"),
  });
}
