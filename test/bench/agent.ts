/** A node agent in a process of its own, which joins a server without one. */
import { join } from "node:path";
import { realClock, sleep } from "#base/clock.ts";
import { goesOn, whenOver } from "#test/bench/ends.ts";
import { benchDir, endNode, takeMachine } from "#test/bench/machine.ts";
import { must } from "#test/bench/programs.ts";
import { ask, type BenchServer } from "#test/bench/server.ts";
import type { PrivateContainerd } from "#test/support/containerd.ts";

export interface BenchAgent {
  readonly pid: number;
  end(): Promise<void>;
}

const READY_MS_MAX = 30_000;

interface NodeList {
  items: Array<{ status?: { conditions?: Array<{ type: string; status: string }> } }>;
}

async function nodeReady(server: BenchServer, alive: () => boolean): Promise<void> {
  const end = performance.now() + READY_MS_MAX;
  while (performance.now() < end && alive()) {
    const answer = await ask(server, "/api/v1/nodes");
    const list = (await answer?.json()) as NodeList | undefined;
    const conditions = (list?.items ?? []).flatMap(({ status }) => status?.conditions ?? []);
    if (conditions.some(({ type, status }) => type === "Ready" && status === "True")) return;
    await sleep(realClock, 50);
  }
  throw new Error("the agent's node did not become ready");
}

export async function startAgent(options: {
  binary: string;
  containerd: PrivateContainerd;
  server: BenchServer;
}): Promise<BenchAgent> {
  const { binary, containerd, server } = options;
  const kubeconfig = join(server.dataDir, "kubeconfig");
  const token = await must([binary, "token", "create", "--kubeconfig", kubeconfig]);
  await takeMachine();
  goesOn();
  const dataDir = benchDir("agent");
  const log = Bun.file(`${dataDir}.log`);
  const flags = [
    ["--server", server.url, "--token", token.trim(), "--node-name", "bench-agent"],
    ["--containerd-address", containerd.address, "--containerd-namespace", containerd.namespace],
    // Nothing is to be found or told on the machine's own network.
    ["--disable", "discovery"],
  ].flat();
  const child = Bun.spawn([binary, "agent", "--data-dir", dataDir, ...flags], {
    detached: true,
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  const end = whenOver(() => endNode({ binary, dataDir, containerd }, child));
  try {
    await nodeReady(server, () => child.exitCode === null);
  } catch (error) {
    const text = await log.text();
    await end();
    throw new Error(`${error instanceof Error ? error.message : error}: ${text.slice(-600)}`);
  }
  return { pid: child.pid, end };
}
