/**
 * Agents without containers, each over its own connections, TLS and token, as real ones: they join,
 * watch what a real agent watches, renew their Leases and report their pods Running, or gone.
 *
 *   bun test/bench/hollow.ts URL TOKEN NODES        commands on stdin, one JSON answer a line
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { openIdentity } from "#agents/join/identity.ts";
import { joinCluster } from "#agents/join/join.ts";
import { parseToken } from "#agents/join/token.ts";
import { realClock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { HollowNode } from "#test/bench/hollownode.ts";
import { Tally } from "#test/bench/tally.ts";

export interface HollowStats {
  readonly running: number;
  readonly requests: number;
  readonly errors: number;
  readonly lastError: string;
  /** Milliseconds from asking to the whole answer. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const [url = "", tokenText = "", count = "10"] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const JOINS_AT_ONCE = 16;

const dir = mkdtempSync(join(tmpdir(), "bramble-hollow-"));
const tidy = (): void => rmSync(dir, { recursive: true, force: true });
// Its parent ends it so: what follows the last command below is not reached.
process.on("SIGTERM", () => {
  tidy();
  process.exit();
});
const token = parseToken(tokenText);
const tally = new Tally();
const nodes: HollowNode[] = [];
const names = Array.from({ length: Number(count) }, (_, i) => `hollow-${i}`);

async function joinOne(nodeName: string): Promise<void> {
  const identity = await openIdentity({ dir: join(dir, nodeName), nodeName, clock: realClock });
  const nowMs = Date.now();
  const { info } = await joinCluster({ server: url, token, nodeName, identity, nowMs });
  const { caPem } = info;
  const peer = { hostname, port: Number(port), caPem };
  const node = new HollowNode({ peer, nodeName, token: () => identity.token(), tally });
  await node.start();
  nodes.push(node);
}

async function joinAll(): Promise<void> {
  const waiting = names.values();
  const worker = async (): Promise<void> => {
    for (const name of waiting) await joinOne(name);
  };
  await Promise.all(Array.from({ length: JOINS_AT_ONCE }, worker));
}

/** Each renews on its own beat, as machines that started at different times do. */
async function beat(): Promise<void> {
  for (let at = 0; ; at = (at + 1) % Math.max(1, nodes.length)) {
    const node = nodes[at];
    if (node !== undefined && !paused) void node.renew();
    await sleep(realClock, limits.nodeLeaseRenewMs / Math.max(1, nodes.length));
  }
}

let paused = false;

function stats(): HollowStats {
  const running = nodes.reduce((sum, node) => sum + node.running, 0);
  return { running, ...tally.take() };
}

const commands: Record<string, () => object> = {
  stats,
  pause: () => {
    paused = true;
    return {};
  },
  resume: () => {
    paused = false;
    return {};
  },
};

try {
  void beat();
  await joinAll();
  console.log(JSON.stringify({ joined: nodes.length }));
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(commands[line.trim()]?.() ?? {}));
  }
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
} finally {
  tidy();
  process.exit();
}
