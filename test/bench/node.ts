/**
 * The figures of one node beside plain nerdctl in the same run. A node agent without a control
 * plane is measured apart: it joins a server that runs no agent.
 *
 *   bun run bench:node [--rounds 3] [--idle-seconds 60] [--only agent,pods]
 */
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startAgent } from "#test/bench/agent.ts";
import { measureAll } from "#test/bench/ends.ts";
import { type Figure, figuresTable } from "#test/bench/figures.ts";
import { loadImage } from "#test/bench/image.ts";
import { openContainerd } from "#test/bench/machine.ts";
import { measureAgent, type NodeCost } from "#test/bench/nodecost.ts";
import { type Pods, podLoad, reserveNetwork } from "#test/bench/podload.ts";
import { buildBramble, must } from "#test/bench/programs.ts";
import { startServer } from "#test/bench/server.ts";
import type { PrivateContainerd } from "#test/support/containerd.ts";

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    only: { type: "string", default: "agent,pods" },
    "idle-seconds": { type: "string", default: "60" },
  },
});

interface Measured {
  pods?: Pods;
  cost?: NodeCost;
}

const wants = (part: string): boolean => flags.only.split(",").includes(part);

/** By hand is plain nerdctl, or a namespace, the CNI plugin and nerdctl from a script. */
function figuresOf({ pods, cost }: Measured): Figure[] {
  const rate = { unit: "pods/s", more: true, byHand: pods?.byHandPerSecond };
  const percent = { unit: "%" };
  const megabytes = { unit: "MB" };
  return [
    { what: "create to Ready, p50", value: pods?.readyMs, unit: "ms", byHand: pods?.nerdctlMs },
    {
      what: "create to Ready over nerdctl run -d",
      value: pods?.ratio,
      unit: "x",
      floor: 1,
      aim: 0.7,
    },
    { what: "30 bare pods at once", value: pods?.burstPerSecond, floor: 10, aim: 13, ...rate },
    {
      what: "30 bare pods over the same by hand",
      value: pods?.byHandRatio,
      unit: "x",
      floor: 0.74,
      aim: 0.96,
      more: true,
    },
    { what: "Deployment of 30", value: pods?.deploymentPerSecond, floor: 9, aim: 12, ...rate },
    { what: "110 pods, all Ready from 30", value: cost?.fullSeconds, unit: "s" },
    {
      what: "agent's CPU, 110 idle pods",
      value: cost?.cpuPercent,
      floor: 2,
      aim: 0.5,
      ...percent,
    },
    { what: "agent's CPU, 100 pods asked", value: cost?.probesCpuPercent, floor: 5, ...percent },
    { what: "agent's PSS, 30 pods", value: cost?.agentPssMb, floor: 80, aim: 50, ...megabytes },
    {
      what: "memory of a pod, 30 pods",
      value: cost?.podPssMb,
      floor: 7,
      aim: 5,
      byHand: cost?.shimPssMb,
      ...megabytes,
    },
    {
      what: "dead container to restarted",
      value: cost?.restartMs,
      unit: "ms",
      floor: 1e3,
      aim: 300,
    },
  ];
}

async function measureApart(binary: string, containerd: PrivateContainerd): Promise<NodeCost> {
  console.error("… an agent without a control plane");
  const server = await startServer({ binary });
  const agent = await startAgent({ binary, containerd, server });
  await loadImage(containerd.address, containerd.namespace);
  const idleSeconds = Number(flags["idle-seconds"]);
  const cost = await measureAgent({ server, agentPid: agent.pid, containerd, idleSeconds });
  await agent.end();
  await server.end();
  return cost;
}

async function measureStarts(
  binary: string,
  containerd: PrivateContainerd,
  network: string,
): Promise<Pods> {
  console.error("… pods, one at a time and many at once");
  const server = await startServer({ binary, containerd });
  await loadImage(containerd.address, containerd.namespace);
  const pods = await podLoad(server, { containerd, network, rounds: Number(flags.rounds) });
  await server.end();
  return pods;
}

async function measure(): Promise<Measured> {
  const binary = await buildBramble();
  const network = await reserveNetwork();
  const containerd = await openContainerd(binary);
  const measured: Measured = {};
  if (wants("agent")) measured.cost = await measureApart(binary, containerd);
  if (wants("pods")) measured.pods = await measureStarts(binary, containerd, network);
  return measured;
}

await measureAll(async () => {
  if (process.getuid?.() !== 0) throw new Error("measuring pods needs root");
  const measured = await measure();
  const figures = figuresOf(measured);
  console.log(JSON.stringify(measured));
  console.log(`\n${figuresTable(figures)}`);
  const commit = (await must(["git", "rev-parse", "--short=12", "HEAD"])).trim();
  const last = { commit, date: new Date().toISOString(), load: loadavg()[0], figures, measured };
  writeFileSync(join(import.meta.dir, "last-node.json"), `${JSON.stringify(last, null, 2)}\n`);
});
