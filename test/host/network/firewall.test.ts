/**
 * What a node lets its pods, the other nodes and strangers reach, with real packets: on two nodes
 * with an overlay, whose own firewall lets nothing in.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createNetworkAgent, type NetworkAgent } from "#agents/network/agent.ts";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { createCaches } from "#client/cache.ts";
import { nodes as nodeKind } from "#resources/kinds/node.ts";
import { must, openSite, type Site, type SiteNode, type SitePod } from "#test/host/network/site.ts";
import { FakeApi } from "#test/support/fakeapi.ts";

const DNS = "10.43.0.10";
const METADATA = "169.254.169.254";
const PORT = { api: 6443, datastore: 2379, other: 7000, dns: 53, vxlan: 8472 } as const;
/** Answers on these ports of all addresses, and says when it can. */
const ANSWER = `
  for (const port of process.argv.slice(1).map(Number)) {
    Bun.serve({ hostname: "0.0.0.0", port, fetch: () => new Response("here") });
  }
  console.log("ready");
`;
/** Sends a datagram, given in hexadecimal, to an address and port. */
const SEND = [
  "socket(my $s, PF_INET, SOCK_DGRAM, 17) or die $!;",
  "send($s, pack('H*', $ARGV[2]), 0, sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die $!;",
].join(" ");

let site: Site;
let n1: SiteNode;
let n2: SiteNode;
let a: SitePod;
let c: SitePod;
const api = new FakeApi();
const stop = new AbortController();
const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });
const writers: PacketWriter[] = [];
const children: Array<Bun.Subprocess<"ignore", "pipe", "inherit">> = [];

/** curl's exit status: 0 is an answer, 7 refused, 28 none in time. */
async function ask(run: Run, address: string, port: number, seconds = "20"): Promise<number> {
  const argv = ["curl", "-s", "-o", "/dev/null", "--max-time", seconds];
  return (await run([...argv, `http://${address}:${port}/`])).exitCode;
}

async function answering(node: SiteNode, ...ports: number[]): Promise<void> {
  const argv = ["nsenter", `--net=/run/netns/${node.netns}`, process.execPath, "-e", ANSWER];
  const child = Bun.spawn([...argv, ...ports.map(String)], { stdin: "ignore", stdout: "pipe" });
  children.push(child);
  await child.stdout.getReader().read();
}

async function startNetwork(node: SiteNode): Promise<void> {
  const shared = { run: node.run, log: silentLog, clock: realClock, caches, instance: "wall" };
  const writer = createIptablesWriter({ ...shared, owners: ["network"] });
  writers.push(writer);
  const agent: NetworkAgent = createNetworkAgent({
    ...shared,
    nodeName: node.name,
    clusterCidr: "10.42.0.0/16",
    writers: { IPv4: writer },
    podNetwork: node.pods,
    mode: "vxlan",
    apiPort: PORT.api,
    dnsAddresses: [DNS],
    datastore: [{ address: n1.address, port: PORT.datastore }],
  });
  agent.start(stop.signal);
  await agent.settled();
}

beforeAll(async () => {
  site = await openSite(2, { mtu: 1450 });
  [n1, n2] = site.nodes as [SiteNode, SiteNode];
  for (const node of site.nodes) {
    api.put(nodeKind, {
      metadata: { name: node.name },
      spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
      status: { addresses: [{ type: "InternalIP", address: node.address }] },
    });
    for (const address of [DNS, METADATA]) {
      await must(node.run, ["ip", "address", "add", `${address}/32`, "dev", "lo"]);
    }
    // As a careful administrator has it: only what goes on, and the machine itself.
    await must(node.run, ["iptables", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT"]);
    const known = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"];
    await must(node.run, ["iptables", "-A", "INPUT", ...known]);
    for (const chain of ["INPUT", "FORWARD"])
      await must(node.run, ["iptables", "-P", chain, "DROP"]);
    await answering(node, PORT.api, PORT.datastore, PORT.other, PORT.dns);
  }
  for (const node of site.nodes) await startNetwork(node);
  [a, c] = [await site.pod(n1, "a"), await site.pod(n2, "c")];
}, 180_000);

afterAll(async () => {
  stop.abort();
  caches.stop();
  for (const child of children) child.kill();
  await Promise.all(children.map((child) => child.exited));
  for (const writer of writers) await writer.clear();
  await site.close();
}, 180_000);

test("pods get to DNS, the API and each other where the machine lets nothing in", async () => {
  expect(await ask(a.run, DNS, PORT.dns)).toBe(0);
  expect(await ask(a.run, n1.address, PORT.api)).toBe(0);
  expect(await ask(c.run, a.ip, 8080)).toBe(0);
  // What the machine's own firewall keeps shut is no business of ours.
  expect(await ask(a.run, n1.address, PORT.other, "1")).toBe(28);
});

test("nodes reach each other's API, strangers do not by our doing", async () => {
  expect(await ask(n2.run, n1.address, PORT.api)).toBe(0);
  expect(await ask(site.client.run, n1.address, PORT.api, "1")).toBe(28);
});

test("a pod is kept from the machine's metadata, the node is not", async () => {
  expect(await ask(n1.run, METADATA, PORT.other)).toBe(0);
  await must(n1.run, ["iptables", "-P", "INPUT", "ACCEPT"]);
  expect(await ask(a.run, METADATA, PORT.other)).toBe(7);
  expect(await ask(a.run, n1.address, PORT.other)).toBe(0);
  // Nor does it get there by way of another node: a route that leads out is no way around.
  await must(n2.run, ["ip", "address", "del", `${METADATA}/32`, "dev", "lo"]);
  await must(n2.run, ["ip", "route", "add", `${METADATA}/32`, "via", n1.address]);
  expect(await ask(c.run, METADATA, PORT.other)).toBe(7);
});

test("a pod is kept from the datastore on all of its addresses, a node is not", async () => {
  await must(n1.run, ["iptables", "-P", "INPUT", "ACCEPT"]);
  expect(await ask(n2.run, n1.address, PORT.datastore)).toBe(0);
  expect(await ask(a.run, n1.address, PORT.datastore)).toBe(7);
  expect(await ask(a.run, DNS, PORT.datastore)).toBe(7);
  expect(await ask(c.run, n1.address, PORT.datastore)).toBe(7);
  expect(await ask(c.run, n1.address, PORT.other)).toBe(0);
});

/** The 16-bit sum of RFC 1071. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** A packet of UDP from pod c to a port of pod a where nobody is, in VXLAN (RFC 7348). */
function encapsulated(vni: number, mac: string): string {
  // From port 5000 to port 9 with one byte and no sum.
  const udp = Buffer.from("138800090009000078", "hex");
  const ip = Buffer.alloc(20);
  Buffer.from("4500001d000040004011", "hex").copy(ip);
  const bytesOf = (address: string) => Buffer.from(address.split(".").map(Number));
  bytesOf(c.ip).copy(ip, 12);
  bytesOf(a.ip).copy(ip, 16);
  ip.writeUInt16BE(checksum(ip), 10);
  const header = Buffer.from("0800000000000000", "hex");
  header.writeUInt32BE(vni * 256, 4);
  const frame = `${mac.replaceAll(":", "")}02b7000000000800`;
  return header.toString("hex") + frame + ip.toString("hex") + udp.toString("hex");
}

/** Datagrams so far that came to ports of the pod where nobody is. */
async function received(pod: SitePod): Promise<number> {
  const text = await must(pod.run, ["cat", "/proc/net/snmp"]);
  const [names = [], values = []] = text
    .split("\n")
    .filter((line) => line.startsWith("Udp: "))
    .map((line) => line.split(" "));
  return Number(values[names.indexOf("NoPorts")]);
}

test("what a stranger on the LAN sends into the overlay reaches no pod", async () => {
  interface Link {
    address: string;
    linkinfo: { info_data: { id: number } };
  }
  const show = ["ip", "-j", "-d", "link", "show", "dev", "brx-wall"];
  const [link] = JSON.parse(await must(n1.run, show)) as [Link];
  const packet = encapsulated(link.linkinfo.info_data.id, link.address);
  const send = (run: Run) => {
    const to = [n1.address, String(PORT.vxlan), packet];
    return must(run, ["perl", "-MSocket", "-e", SEND, ...to]);
  };
  const before = await received(a);
  for (let i = 0; i < 3; i++) await send(site.client.run);
  // The same packet from a node arrives; those of the stranger were on the way before it.
  await send(n2.run);
  const deadline = performance.now() + 20_000;
  while ((await received(a)) === before && performance.now() < deadline) await Bun.sleep(20);
  expect(await received(a)).toBe(before + 1);
});
