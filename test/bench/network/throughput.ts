/** Bytes from pod to pod on two nodes, beside node to node on the same links. */
import { createNetworkAgent } from "#agents/network/agent.ts";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import { createPolicyAgent } from "#agents/policy/agent.ts";
import { createProxyAgent } from "#agents/proxy/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { createCaches } from "#client/cache.ts";
import type { Caches } from "#client/cache.types.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import { measuring, owned } from "#test/bench/ends.ts";
import { quantile, type Row } from "#test/bench/network/rows.ts";
import { inNetns, must, openSite, type SiteNode } from "#test/host/network/site.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { service, slice } from "#test/unit/agents/proxy/build.ts";

const ROUNDS = 5;
/** Each has a pod on either node. */
const SERVICES = 50;
const SECONDS = "2";

interface Stream {
  gigabits: number;
  /** Of both ends and of the kernel in between, a gigabyte: other programs hardly change it. */
  cpuSeconds: number;
}

/** What iperf3 tells of one stream. */
interface Told {
  end: {
    sum_received: { bits_per_second: number; seconds: number; bytes: number };
    cpu_utilization_percent: { host_total: number; remote_total: number };
  };
}

async function iperf(from: Run, to: string): Promise<Stream> {
  const text = await must(from, ["iperf3", "-c", to, "-t", SECONDS, "-J"]);
  const { sum_received: sum, cpu_utilization_percent: cpu } = (JSON.parse(text) as Told).end;
  const busy = ((cpu.host_total + cpu.remote_total) / 100) * sum.seconds;
  return { gigabits: sum.bits_per_second / 1e9, cpuSeconds: busy / (sum.bytes / 1e9) };
}

const middle = (streams: readonly Stream[]): Stream => ({
  gigabits: quantile(
    streams.map(({ gigabits }) => gigabits),
    0.5,
  ),
  cpuSeconds: quantile(
    streams.map(({ cpuSeconds }) => cpuSeconds),
    0.5,
  ),
});

/** Routes, and the packet rules that a node's pods meet, with some Services. */
async function startAgents(
  node: SiteNode,
  { caches, mode, signal }: { caches: Caches; mode: "host-gw" | "vxlan"; signal: AbortSignal },
): Promise<PacketWriter> {
  const writer = createIptablesWriter({
    ...{ run: node.run, instance: "bench", log: silentLog },
    owners: ["policy", "proxy", "network"],
  });
  const shared = {
    ...{ run: node.run, caches, podNetwork: node.pods, writers: { IPv4: writer } },
    ...{ nodeName: node.name, clusterCidr: "10.42.0.0/16", clock: realClock, log: silentLog },
  };
  const network = createNetworkAgent({ ...shared, mode, instance: "bench" });
  const proxy = createProxyAgent(shared);
  network.start(signal);
  proxy.start(signal);
  createPolicyAgent({ ...shared, dnsAddresses: [] }).start(signal);
  await network.settled();
  await proxy.settled();
  return writer;
}

/** One mode on two nodes of its own: node to node and pod to pod in turns. */
async function measure(mode: "host-gw" | "vxlan"): Promise<{ node: Stream; pod: Stream }> {
  const [site, close] = await owned(
    () => openSite(2, mode === "vxlan" ? { mtu: 1450 } : {}),
    (each) => each.close(),
  );
  const api = new FakeApi();
  const stop = new AbortController();
  const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });
  const servers: Array<ReturnType<typeof Bun.spawn>> = [];
  const writers: PacketWriter[] = [];
  try {
    for (const node of site.nodes) {
      api.put(nodes, {
        metadata: { name: node.name },
        spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
        status: { addresses: [{ type: "InternalIP", address: node.address }] },
      });
    }
    for (let i = 0; i < SERVICES; i++) {
      api.put(services, service(`s${i}`, { clusterIP: `10.43.1.${i + 1}` }));
      api.put(endpointSlices, slice(`s${i}`, ["10.42.1.2@n1", "10.42.2.2@n2"]));
    }
    const { signal } = stop;
    for (const node of site.nodes) writers.push(await startAgents(node, { caches, mode, signal }));
    const [n1, n2] = site.nodes as [SiteNode, SiteNode];
    const [a, b] = [await site.pod(n1, "a"), await site.pod(n2, "b")];
    for (const path of [`/run/netns/${n2.netns}`, b.netnsPath]) {
      const argv = ["nsenter", `--net=${path}`, "iperf3", "-s"];
      servers.push(measuring(() => Bun.spawn(argv, { stdout: "ignore" })));
    }
    await Bun.sleep(300);
    const all = { node: [] as Stream[], pod: [] as Stream[] };
    for (let i = 0; i < ROUNDS; i++) {
      all.node.push(await iperf(n1.run, n2.address));
      all.pod.push(await iperf(inNetns(a.netnsPath), b.ip));
    }
    return { node: middle(all.node), pod: middle(all.pod) };
  } finally {
    for (const server of servers) server.kill();
    await Promise.all(servers.map((server) => server.exited));
    stop.abort();
    caches.stop();
    for (const writer of writers) await writer.clear();
    await close();
  }
}

export async function throughputRows(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [mode, floor] of [
    ["host-gw", 0.95],
    ["vxlan", 0.7],
  ] as const) {
    const { node, pod } = await measure(mode);
    const share = pod.gigabits / node.gigabits;
    const cost = (node.cpuSeconds / pod.cpuSeconds) * 100;
    rows.push({
      what: `pod to pod across nodes, TCP, ${mode}`,
      measured:
        `${(share * 100).toFixed(0)} % (${pod.gigabits.toFixed(1)} Gbit/s); ` +
        `by processor time a byte ${cost.toFixed(0)} %`,
      floor: `${floor * 100} %`,
      yardstick: `node to node: ${node.gigabits.toFixed(1)} Gbit/s`,
      met: share >= floor,
    });
  }
  return rows;
}
