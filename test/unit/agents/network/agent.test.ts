import { expect, test } from "bun:test";
import { createNetworkAgent } from "#agents/network/agent.ts";
import type { PodNetwork } from "#agents/network/cni.ts";
import type { RuleSet } from "#agents/network/packets.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { createCaches } from "#client/cache.ts";
import { nodes } from "#resources/kinds/node.ts";
import type { Node } from "#resources/types.gen.ts";
import { fakeClock } from "#test/support/clock.ts";
import { FakeApi } from "#test/support/fakeapi.ts";

const node = (name: string, address: string, podCIDR: string, heartbeat = ""): Node => ({
  metadata: { name },
  spec: { podCIDR },
  status: { addresses: [{ type: "InternalIP", address }], phase: heartbeat },
});

function setUp() {
  const api = new FakeApi();
  const clock = fakeClock();
  const batches: string[] = [];
  let lists = 0;
  const kernel = { table: "before", looks: 0 };
  const run: Run = async (argv, options) => {
    if (argv.includes("-batch")) batches.push(String(options?.stdin).trim());
    if (argv.includes("show") && argv.includes("route")) lists++;
    const missing = argv.includes("link") ? 1 : 0;
    return { exitCode: missing, stdout: "", stderr: "" };
  };
  const applied: RuleSet[] = [];
  let verified = 0;
  let changed = () => {};
  const podNetwork = {
    attachments: async () => [],
    onChange: (listener: () => void) => {
      changed = listener;
      return () => {};
    },
  } as unknown as PodNetwork;
  const ending = new AbortController();
  const agent = createNetworkAgent({
    run,
    caches: createCaches({ client: api.client, clock, log: silentLog }),
    podNetwork,
    writers: {
      IPv4: {
        apply: async (_owner, rules) => void applied.push(rules),
        verify: async () => void verified++,
        clear: async () => {},
      },
    },
    nodeName: "n1",
    clusterCidr: "10.42.0.0/16",
    mode: "host-gw",
    instance: "",
    table: async () => {
      kernel.looks++;
      return kernel.table;
    },
    clock,
    log: silentLog,
  });
  api.put(nodes, node("n1", "192.168.0.1", "10.42.1.0/24"));
  agent.start(ending.signal);
  const counts = () => ({ lists, looks: kernel.looks, verified, applied: applied.length });
  return { api, clock, batches, counts, ending, kernel, pod: () => changed() };
}

test("routes follow the nodes and their addresses, not their heartbeats", async () => {
  const { api, clock, batches, counts, ending } = setUp();
  await clock.advance(50);
  api.put(nodes, node("n2", "192.168.0.2", "10.42.2.0/24"));
  await clock.advance(50);
  expect(batches).toEqual(["route replace 10.42.2.0/24 via 192.168.0.2 proto 171"]);
  const before = counts().lists;
  api.put(nodes, node("n2", "192.168.0.2", "10.42.2.0/24", "again"));
  await clock.advance(50);
  expect(counts().lists).toBe(before);
  api.put(nodes, node("n2", "192.168.0.22", "10.42.2.0/24"));
  await clock.advance(50);
  expect(batches.at(-1)).toBe("route replace 10.42.2.0/24 via 192.168.0.22 proto 171");
  ending.abort();
});

test("routes are looked at every few seconds, rules within half a minute", async () => {
  const { clock, counts, ending, kernel } = setUp();
  await clock.advance(50);
  const before = counts();
  await clock.advance(30_000);
  const after = counts();
  expect(after.looks - before.looks).toBeGreaterThanOrEqual(30_000 / limits.routesCheckMs - 1);
  // As long as the kernel's table is the same, no program is asked.
  expect(after.lists).toBe(before.lists);
  expect(after.verified - before.verified).toBeGreaterThanOrEqual(1);
  kernel.table = "changed by another";
  await clock.advance(limits.routesCheckMs);
  expect(counts().lists).toBe(after.lists + 1);
  ending.abort();
  const ended = counts();
  await clock.advance(60_000);
  expect(counts()).toEqual(ended);
});

test("a pod that comes or goes changes the rules at once", async () => {
  const { clock, counts, pod, ending } = setUp();
  await clock.advance(50);
  const before = counts();
  pod();
  await clock.advance(10);
  expect(counts()).toEqual({ ...before, applied: before.applied + 1 });
  ending.abort();
});
