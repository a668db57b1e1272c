/**
 * Bytes from pod to pod on two nodes, beside node to node on the same links: over links of a
 * board's speed, and as fast as the processors go. There what counts is what the kernel does for
 * the same links, bridges and routes by hand with connection tracking, which Services cannot do
 * without: answers of their endpoints look like other packets between pods until looked up.
 */
import { createNetworkAgent } from "#agents/network/agent.ts";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import { createPolicyAgent } from "#agents/policy/agent.ts";
import { createProxyAgent } from "#agents/proxy/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createCaches } from "#client/cache.ts";
import type { Caches } from "#client/cache.types.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import { leadByHand, type Mode, openPair, type Pair } from "#test/bench/network/handsite.ts";
import { drawnQuietly } from "#test/bench/network/quiet.ts";
import { percent, quantile, type Row } from "#test/bench/network/rows.ts";
import { middle, type Stream, stream, streamServer } from "#test/bench/network/streams.ts";
import { inNetns, must, type SiteNode } from "#test/host/network/site.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { service, slice } from "#test/unit/agents/proxy/build.ts";

const ROUNDS = { count: 9, triesMax: 12 };
const LINK_ROUNDS = 3;
/** Each has a pod on either node. */
const SERVICES = 50;
/** Where processors are the limit: of what the kernel does by hand. */
const OF_BY_HAND = 0.95;
/** What small boards have. */
const LINK_GIGABITS = 1;

interface Ways {
  node: Stream;
  pod: Stream;
}

/** Routes, and the packet rules that a node's pods meet, with some Services. */
async function startAgents(
  node: SiteNode,
  { caches, mode, signal }: { caches: Caches; mode: Mode; signal: AbortSignal },
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

/** Leads from pod to pod as bramble does. Answers its end. */
async function leadByAgents({ nodes: both }: Pair, mode: Mode): Promise<() => Promise<void>> {
  const api = new FakeApi();
  const stop = new AbortController();
  const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });
  for (const node of both) {
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
  const writers: PacketWriter[] = [];
  const { signal } = stop;
  for (const node of both) writers.push(await startAgents(node, { caches, mode, signal }));
  return async () => {
    stop.abort();
    caches.stop();
    for (const writer of writers) await writer.clear();
  };
}

/** From the first node to the second, then from pod to pod. */
async function waysOf({ nodes: both, pods }: Pair): Promise<Ways> {
  return {
    node: await stream(both[0].run, both[1].address),
    pod: await stream(inNetns(pods[0].netnsPath), pods[1].ip),
  };
}

const middleWays = (all: readonly Ways[]): Ways => ({
  node: middle(all.map(({ node }) => node)),
  pod: middle(all.map(({ pod }) => pod)),
});

/** The switch sends to each node at a board's speed from now on. */
async function slowLinks({ nodes: both }: Pair): Promise<void> {
  for (const { name, netns } of both) {
    const inside = inNetns(`/run/netns/${netns.replace(/[^-]+$/, "sw")}`);
    const rate = ["rate", `${LINK_GIGABITS}gbit`, "burst", "256kb", "latency", "20ms"];
    await must(inside, ["tc", "qdisc", "replace", "dev", name, "root", "tbf", ...rate]);
  }
}

interface Figures {
  ours: Ways;
  /** Links, bridges and routes alone. */
  bare: Ways;
  tracked: Ways;
  /** Ours beside that by processor time, round by round: the machine changes between them. */
  ofTracked: number;
  when: string;
  slow: Ways;
}

/** Three pairs of nodes of their own, in turns. */
async function measure(mode: Mode): Promise<Figures> {
  const ends: Array<() => Promise<unknown>> = [];
  try {
    const open = async (): Promise<Pair> => {
      const pair = await openPair(mode);
      ends.push(pair.close);
      for (const path of [`/run/netns/${pair.nodes[1].netns}`, pair.pods[1].netnsPath]) {
        ends.push(await streamServer(path));
      }
      return pair;
    };
    const [pair, bare, tracked] = [await open(), await open(), await open()];
    ends.push(await leadByAgents(pair, mode));
    await leadByHand(bare, mode, false);
    await leadByHand(tracked, mode, true);
    const { draws, when } = await drawnQuietly(
      async () => ({
        ours: await waysOf(pair),
        bare: await waysOf(bare),
        tracked: await waysOf(tracked),
      }),
      ROUNDS,
    );
    const ofTracked = draws.map((round) => timeShare(round.ours) / timeShare(round.tracked));
    await slowLinks(pair);
    const slow: Ways[] = [];
    while (slow.length < LINK_ROUNDS) slow.push(await waysOf(pair));
    return {
      ours: middleWays(draws.map(({ ours }) => ours)),
      bare: middleWays(draws.map((round) => round.bare)),
      tracked: middleWays(draws.map((round) => round.tracked)),
      ofTracked: quantile(ofTracked, 0.5),
      when,
      slow: middleWays(slow),
    };
  } finally {
    for (const end of ends.toReversed()) await end();
  }
}

const shareOf = ({ node, pod }: Ways): number => pod.gigabits / node.gigabits;
/** Of processor time a byte. */
const timeShare = ({ node, pod }: Ways): number => node.cpuSeconds / pod.cpuSeconds;

function rowsOf(mode: Mode, floor: number, figures: Figures): Row[] {
  const { ours, bare, tracked, ofTracked, when, slow } = figures;
  const what = `pod to pod across nodes, TCP, ${mode}`;
  const told = (ways: Ways) => `${percent(shareOf(ways))} (${ways.pod.gigabits.toFixed(2)} Gbit/s)`;
  return [
    {
      what: `${what}, over links of ${LINK_GIGABITS} Gbit/s`,
      measured: told(slow),
      floor: percent(floor),
      yardstick: `node to node: ${slow.node.gigabits.toFixed(2)} Gbit/s`,
      met: shareOf(slow) >= floor,
    },
    {
      what: `${what}, as fast as the processors go`,
      measured:
        `${told(ours)}; by processor time a byte ${percent(timeShare(ours))}, ` +
        `round by round ${percent(ofTracked)} of by hand with connection tracking, ${when}`,
      floor: `${percent(OF_BY_HAND)} of the latter`,
      yardstick:
        `node to node: ${ours.node.gigabits.toFixed(2)} Gbit/s; the same by hand: ` +
        `${percent(shareOf(bare))} (${percent(timeShare(bare))}), ` +
        `with connection tracking ${percent(shareOf(tracked))} (${percent(timeShare(tracked))})`,
      met: ofTracked >= OF_BY_HAND,
    },
  ];
}

export async function throughputRows(): Promise<Row[]> {
  return [
    ...rowsOf("host-gw", 0.95, await measure("host-gw")),
    ...rowsOf("vxlan", 0.7, await measure("vxlan")),
  ];
}
