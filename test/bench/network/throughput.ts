/** Bytes from pod to pod on two nodes, beside node to node on the same links. */
import { createNetworkAgent } from "#agents/network/agent.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { createCaches } from "#client/cache.ts";
import { nodes } from "#resources/kinds/node.ts";
import { quantile, type Row } from "#test/bench/network/rows.ts";
import { inNetns, must, openSite, type SiteNode } from "#test/host/network/site.ts";
import { FakeApi } from "#test/support/fakeapi.ts";

const ROUNDS = 3;
const SECONDS = "2";

/** Gbit/s of one stream. */
async function iperf(from: Run, to: string): Promise<number> {
  const text = await must(from, ["iperf3", "-c", to, "-t", SECONDS, "-J"]);
  const result = JSON.parse(text) as { end: { sum_received: { bits_per_second: number } } };
  return result.end.sum_received.bits_per_second / 1e9;
}

const noPackets: PacketWriter = {
  apply: async () => {},
  verify: async () => {},
  clear: async () => {},
};

/** One mode on two nodes of its own: node to node and pod to pod in turns. */
async function measure(mode: "host-gw" | "vxlan"): Promise<{ node: number; pod: number }> {
  const site = await openSite(2, mode === "vxlan" ? { mtu: 1450 } : {});
  const api = new FakeApi();
  const stop = new AbortController();
  const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });
  const servers: Array<ReturnType<typeof Bun.spawn>> = [];
  try {
    for (const node of site.nodes) {
      api.put(nodes, {
        metadata: { name: node.name },
        spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
        status: { addresses: [{ type: "InternalIP", address: node.address }] },
      });
    }
    for (const node of site.nodes) {
      const agent = createNetworkAgent({
        run: node.run,
        caches,
        podNetwork: node.pods,
        writers: { IPv4: noPackets },
        nodeName: node.name,
        clusterCidr: "10.42.0.0/16",
        mode,
        instance: "bench",
        clock: realClock,
        log: silentLog,
      });
      agent.start(stop.signal);
      await agent.settled();
    }
    const [n1, n2] = site.nodes as [SiteNode, SiteNode];
    const [a, b] = [await site.pod(n1, "a"), await site.pod(n2, "b")];
    for (const path of [`/run/netns/${n2.netns}`, b.netnsPath]) {
      servers.push(Bun.spawn(["nsenter", `--net=${path}`, "iperf3", "-s"], { stdout: "ignore" }));
    }
    await Bun.sleep(300);
    const all = { node: [] as number[], pod: [] as number[] };
    for (let i = 0; i < ROUNDS; i++) {
      all.node.push(await iperf(n1.run, n2.address));
      all.pod.push(await iperf(inNetns(a.netnsPath), b.ip));
    }
    return { node: quantile(all.node, 0.5), pod: quantile(all.pod, 0.5) };
  } finally {
    for (const server of servers) server.kill();
    await Promise.all(servers.map((server) => server.exited));
    stop.abort();
    caches.stop();
    await site.close();
  }
}

export async function throughputRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [mode, floor] of [
    ["host-gw", 0.95],
    ["vxlan", 0.7],
  ] as const) {
    const { node, pod } = await measure(mode);
    rows.push({
      what: `pod to pod across nodes, TCP, ${mode}`,
      measured: `${((pod / node) * 100).toFixed(0)} % (${pod.toFixed(1)} Gbit/s)`,
      floor: `${floor * 100} %`,
      yardstick: `node to node: ${node.toFixed(1)} Gbit/s`,
      met: pod / node >= floor,
    });
  }
  return rows;
}
