/**
 * Real packets through Services, by either back end, through routes and host ports, on two nodes
 * made of namespaces.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createNetworkAgent, type NetworkAgent } from "#agents/network/agent.ts";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import { createNftablesWriter } from "#agents/network/nftables.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import type { TableWriter } from "#agents/network/tables.ts";
import { createProxyAgent, type ProxyAgent } from "#agents/proxy/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { createCaches } from "#client/cache.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes as nodeKind } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import type { ServiceSpec } from "#resources/types.gen.ts";
import { must, openSite, type Site, type SiteNode } from "#test/host/network/site.ts";
import { caughtUp } from "#test/support/caughtup.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { until } from "#test/support/lab.ts";
import { service, slice } from "#test/unit/agents/proxy/build.ts";

type Pod = Awaited<ReturnType<Site["pod"]>>;
const ASK = join(import.meta.dir, "ask.ts");
const FOREIGN = [
  "*nat\n-A PREROUTING -s 203.0.113.7/32 -j ACCEPT\n-A POSTROUTING -o foreign0 -j MASQUERADE\nCOMMIT",
  "*filter\n:OTHERS - [0:0]\n-A OTHERS -s 203.0.113.8/32 -j DROP\n-A FORWARD -j OTHERS\nCOMMIT\n",
].join("\n");

/** Sends hexadecimal bytes to an address as IP protocol 132. */
const SEND_SCTP = [
  "socket(my $s, PF_INET, SOCK_RAW, 132) or die $!;",
  "send($s, pack('H*', $ARGV[1]), 0, sockaddr_in(0, inet_aton($ARGV[0]))) or die $!;",
].join(" ");

/** RFC 9260: an INIT chunk from port 5000, with its CRC32c. */
function sctpInit(port: number): string {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt16BE(5_000, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.writeUInt8(1, 12);
  bytes.writeUInt16BE(20, 14);
  for (const [at, value] of [
    [16, 1],
    [20, 65_536],
    [28, 1],
  ] as const) {
    bytes.writeUInt32BE(value, at);
  }
  bytes.writeUInt16BE(1, 24);
  bytes.writeUInt16BE(1, 26);
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  bytes.writeUInt32LE(~crc >>> 0, 8);
  return bytes.toString("hex");
}

const FOREIGN_TABLE =
  "table inet others {\n set s { type ipv4_addr; }\n chain c { tcp dport 9 drop; }\n}\n";

/** The look at routes that nobody tells of. */
const WAY_MS_MAX = 60_000;
const AFFINITY_SECONDS = 1;
/** That all of them lead to one of three pods by chance: once in half a million runs. */
const AFFINITY_TRIES = 13;

describe.each(["iptables", "nftables"] as const)("Services by %s", (mode) => {
  let site: Site;
  let n1: SiteNode;
  let n2: SiteNode;
  let pods: Pod[];
  let foreign: string;
  const api = new FakeApi();
  const stop = new AbortController();
  const writers: PacketWriter[] = [];
  const tables: TableWriter[] = [];
  const proxies: ProxyAgent[] = [];
  const networks: NetworkAgent[] = [];
  const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });

  async function http(run: Run, url: string, count = 1): Promise<Record<string, number>> {
    return JSON.parse(await must(run, [process.execPath, ASK, "http", url, String(count), "4"]));
  }

  async function udp(
    run: Run,
    to: string,
    port: number,
    from = 0,
  ): Promise<Record<string, number>> {
    const args = ["udp", to, String(port), "1", String(from)];
    return JSON.parse(await must(run, [process.execPath, ASK, ...args]));
  }

  /** Counts by pod, without the client's address. */
  function byPod(counts: Record<string, number>): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const [answer, count] of Object.entries(counts)) {
      const name = answer.split(" ", 1)[0] ?? "";
      sums[name] = (sums[name] ?? 0) + count;
    }
    return sums;
  }

  /** All rules, byte for byte but for counters and times; of nft what iptables does not show. */
  async function rules(run: Run): Promise<string> {
    const saved = await must(run, ["iptables-save"]);
    const tables = await must(run, ["nft", "list", "tables"]);
    let all = saved.replace(/^#.*\n/gm, "").replace(/\[\d+:\d+\]/g, "");
    for (const [, name = ""] of tables.matchAll(/^table (\S+ (?:others|bramble\S*))$/gm)) {
      all += await must(run, ["nft", "list", "table", ...name.split(" ")]);
    }
    return all;
  }

  async function settled(): Promise<void> {
    await caughtUp(api, caches, services, endpointSlices);
    await Bun.sleep(20);
    for (const proxy of proxies) await proxy.settled();
  }

  async function serve(
    name: string,
    spec: ServiceSpec,
    endpoints: string[],
    ingress: string[] = [],
  ) {
    const ports = [
      { name: "", port: 8080, protocol: "TCP" },
      { name: "udp", port: 8080, protocol: "UDP" },
    ];
    api.put(services, service(name, spec, ingress));
    api.put(endpointSlices, slice(name, endpoints, ports));
    await settled();
  }

  beforeAll(async () => {
    site = await openSite(2);
    [n1, n2] = site.nodes as [SiteNode, SiteNode];
    await must(n1.run, ["iptables-restore", "--noflush"], FOREIGN);
    await must(n1.run, ["nft", "-f", "-"], FOREIGN_TABLE);
    foreign = await rules(n1.run);
    for (const node of site.nodes) {
      api.put(nodeKind, {
        metadata: { name: node.name },
        spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
        status: { addresses: [{ type: "InternalIP", address: node.address }] },
      });
    }
    for (const node of site.nodes) {
      const common = { run: node.run, log: silentLog, clock: realClock, caches };
      const owners = ["proxy", "network"];
      const writer = createIptablesWriter({ ...common, instance: "site", owners });
      writers.push(writer);
      const table = createNftablesWriter({ ...common, instance: "site", family: "IPv4" });
      tables.push(table);
      const cluster = { nodeName: node.name, clusterCidr: "10.42.0.0/16" };
      const all = { ...common, ...cluster, writers: { IPv4: writer } };
      const network = createNetworkAgent({
        ...all,
        podNetwork: node.pods,
        mode: "host-gw",
        instance: "site",
        serviceCidr: "10.43.0.0/16",
        table: () => must(node.run, ["cat", "/proc/net/route"]),
      });
      network.start(stop.signal);
      const proxy = createProxyAgent({ ...all, tables: { IPv4: table }, mode });
      proxy.start(stop.signal);
      proxies.push(proxy);
      networks.push(network);
      await network.settled();
    }
    pods = [await site.pod(n1, "a"), await site.pod(n1, "b"), await site.pod(n2, "c")];
  }, 180_000);

  afterAll(async () => {
    stop.abort();
    caches.stop();
    await site.close();
  }, 180_000);

  const at = (i: number, node: SiteNode): string => `${pods[i]?.ip}@${node.name}`;

  test("pods on two nodes reach each other with their own addresses", async () => {
    const [a, , c] = pods as [Pod, Pod, Pod];
    expect(await http(a.run, `http://${c.ip}:8080/`)).toEqual({ [`c ${a.ip}`]: 1 });
    expect(await http(c.run, `http://${a.ip}:8080/`)).toEqual({ [`a ${c.ip}`]: 1 });
  });

  test("a pod's address is hidden outside of the cluster", async () => {
    const [a] = pods as [Pod];
    const listen = Bun.spawn(
      ["nsenter", `--net=/run/netns/${n1.netns.replace("-n1", "-lan")}`, process.execPath].concat(
        join(import.meta.dir, "server.ts"),
        "out",
      ),
      { stdout: "pipe" },
    );
    await listen.stdout.getReader().read();
    expect(await http(a.run, `http://${site.client.address}:8080/`)).toEqual({
      [`out ${n1.address}`]: 1,
    });
    listen.kill();
    await listen.exited;
  });

  test("requests spread over the endpoints, from pods, nodes and a LAN client", async () => {
    const ports = [{ port: 80, nodePort: 30080, protocol: "TCP" }];
    const spec = { type: "NodePort", clusterIP: "10.43.0.7", ports };
    await serve("web", spec, [at(0, n1), at(1, n1), at(2, n2)]);
    const [, , c] = pods as [Pod, Pod, Pod];
    const spread = byPod(await http(c.run, "http://10.43.0.7/", 300));
    expect(Object.keys(spread).sort()).toEqual(["a", "b", "c"]);
    for (const count of Object.values(spread)) expect(count).toBeGreaterThan(50);
    for (const run of [n1.run, n2.run]) {
      const seen = byPod(await http(run, "http://10.43.0.7/", 30));
      expect(Object.values(seen).reduce((sum, count) => sum + count)).toBe(30);
      expect(Object.keys(seen).every((name) => ["a", "b", "c"].includes(name))).toBe(true);
    }
    for (const node of [n1, n2]) {
      const seen = byPod(await http(site.client.run, `http://${node.address}:30080/`, 60));
      expect(Object.keys(seen).sort()).toEqual(["a", "b", "c"]);
    }
    expect(Object.keys(byPod(await http(n1.run, "http://127.0.0.1:30080/", 60))).sort()).toEqual([
      "a",
      "b",
      "c",
    ]);
  }, 360_000);

  test("a pod reaches itself through its Service", async () => {
    const spec = { clusterIP: "10.43.0.8", ports: [{ port: 80 }] };
    await serve("self", spec, [at(0, n1)]);
    const [a] = pods as [Pod];
    const seen = await http(a.run, "http://10.43.0.8/", 20);
    expect(byPod(seen)).toEqual({ a: 20 });
  });

  test("affinity keeps a client with one pod", async () => {
    const spec = { clusterIP: "10.43.0.9", sessionAffinity: "ClientIP", ports: [{ port: 80 }] };
    await serve("sticky", spec, [at(0, n1), at(1, n1), at(2, n2)]);
    const [a] = pods as [Pod];
    expect(Object.values(byPod(await http(a.run, "http://10.43.0.9/", 20)))).toEqual([20]);
  });

  test("no endpoint: refused at once", async () => {
    await serve("none", { clusterIP: "10.43.0.10", ports: [{ port: 80 }] }, ["!10.42.1.250@n1"]);
    const [a] = pods as [Pod];
    expect(await http(a.run, "http://10.43.0.10/", 3)).toEqual({ ECONNREFUSED: 3 });
    expect(await http(n1.run, "http://10.43.0.10/", 3)).toEqual({ ECONNREFUSED: 3 });
  });

  test("externalTrafficPolicy Local shows the client, answers only where a pod is", async () => {
    const ports = [{ port: 80, nodePort: 30081 }];
    const spec = {
      type: "NodePort",
      clusterIP: "10.43.0.11",
      externalTrafficPolicy: "Local",
      ports,
    };
    await serve("local", spec, [at(2, n2)]);
    const { run, address } = site.client;
    expect(await http(run, `http://${n2.address}:30081/`)).toEqual({ [`c ${address}`]: 1 });
    expect(await http(run, `http://${n1.address}:30081/`)).toEqual({ TimeoutError: 1 });
  });

  test("UDP goes on with another pod when its own is gone, from the same port", async () => {
    const ports = [{ name: "udp", port: 53, protocol: "UDP" }];
    const spec = { clusterIP: "10.43.0.12", ports };
    await serve("udp", spec, [at(0, n1)]);
    const [, b] = pods as [Pod, Pod];
    expect(await udp(b.run, "10.43.0.12", 53, 5555)).toEqual({ a: 1 });
    await serve("udp", spec, [at(2, n2)]);
    expect(await udp(b.run, "10.43.0.12", 53, 5555)).toEqual({ c: 1 });
  });

  test("a host port leads to its pod, from the LAN, the node and the pod itself", async () => {
    const portMappings = [
      { hostPort: 9090, containerPort: 8080, protocol: "TCP" as const },
      { hostPort: 9091, containerPort: 8080, protocol: "UDP" as const },
      { hostPort: 9092, containerPort: 8080, protocol: "TCP" as const, hostIP: "127.0.0.2" },
    ];
    const d = await site.pod(n1, "d", portMappings);
    await networks[0]?.settled();
    expect(byPod(await http(site.client.run, `http://${n1.address}:9090/`))).toEqual({ d: 1 });
    expect(byPod(await http(n1.run, "http://127.0.0.1:9090/"))).toEqual({ d: 1 });
    expect(byPod(await http(d.run, `http://${n1.address}:9090/`))).toEqual({ d: 1 });
    expect(await udp(site.client.run, n1.address, 9091)).toEqual({ d: 1 });
    expect(byPod(await http(n1.run, "http://127.0.0.2:9092/"))).toEqual({ d: 1 });
    expect(await http(site.client.run, `http://${n1.address}:9092/`)).toEqual({ ECONNREFUSED: 1 });
    await d.stop();
    await n1.pods.detach(d);
    await networks[0]?.settled();
    expect(await http(site.client.run, `http://${n1.address}:9090/`)).toEqual({ ECONNREFUSED: 1 });
  });

  test("a rolling change of endpoints under load loses no request", async () => {
    const [a] = pods as [Pod];
    const load = http(a.run, "http://10.43.0.7/", 2_000);
    for (let i = 0; i < 20; i++) {
      const endpoints = [at(0, n1), at(1, n1), at(2, n2)].filter((_, j) => j !== i % 3);
      const slicePorts = [{ name: "", port: 8080, protocol: "TCP" }];
      api.put(endpointSlices, slice("web", endpoints, slicePorts));
      await Bun.sleep(15);
    }
    expect(byPod(await load)).toMatchObject({
      a: expect.any(Number),
      b: expect.any(Number),
      c: expect.any(Number),
    });
    expect(Object.keys(byPod(await load)).sort()).toEqual(["a", "b", "c"]);
  }, 360_000);

  test("loadBalancerSourceRanges keep others out of the load balancer's address", async () => {
    const ports = [{ port: 80, nodePort: 30082 }];
    const spec = { type: "LoadBalancer", clusterIP: "10.43.0.13", ports };
    const endpoints = [at(2, n2)];
    const url = `http://${n1.address}/`;
    await serve("lb", { ...spec, loadBalancerSourceRanges: ["10.99.0.0/16"] }, endpoints, [
      n1.address,
    ]);
    expect(await http(site.client.run, url)).toEqual({ TimeoutError: 1 });
    expect(byPod(await http(n1.run, url))).toEqual({ c: 1 });
    const ranges = ["192.168.50.0/24", "192.168.50.99/32"];
    await serve("lb", { ...spec, loadBalancerSourceRanges: ranges }, endpoints, [n1.address]);
    expect(byPod(await http(site.client.run, url))).toEqual({ c: 1 });
  }, 360_000);

  test("external addresses lead to pods, of one named port each", async () => {
    const { run } = site.client;
    await must(run, ["ip", "route", "add", "203.0.113.50/32", "via", n1.address]);
    const ports = [
      { name: "web", port: 8000, targetPort: "web", protocol: "TCP" },
      { name: "udp", port: 53, targetPort: "udp", protocol: "UDP" },
    ];
    const spec = { clusterIP: "10.43.0.16", externalIPs: ["203.0.113.50"], ports };
    api.put(services, service("outer", spec));
    const own = ports.map(({ name, protocol }) => ({ name, port: 8080, protocol }));
    api.put(endpointSlices, slice("outer", [at(2, n2)], own));
    await settled();
    const [a] = pods as [Pod];
    for (const from of [run, a.run, n1.run]) {
      expect(byPod(await http(from, "http://203.0.113.50:8000/"))).toEqual({ c: 1 });
    }
    expect(await udp(run, "203.0.113.50", 53)).toEqual({ c: 1 });
    expect(await udp(a.run, "10.43.0.16", 53)).toEqual({ c: 1 });
  });

  test("internalTrafficPolicy Local leads to pods of the asker's node alone", async () => {
    const spec: ServiceSpec = { clusterIP: "10.43.0.17", internalTrafficPolicy: "Local" };
    await serve("near", { ...spec, ports: [{ port: 80 }] }, [at(0, n1), at(2, n2)]);
    const [a, b, c] = pods as [Pod, Pod, Pod];
    for (const [from, here] of [
      [a.run, "a"],
      [b.run, "a"],
      [n1.run, "a"],
      [c.run, "c"],
      [n2.run, "c"],
    ] as const) {
      expect(byPod(await http(from, "http://10.43.0.17/", 10))).toEqual({ [here]: 10 });
    }
    await serve("near", { ...spec, ports: [{ port: 80 }] }, [at(0, n1)]);
    // Dropped (28: no answer in time), not refused.
    const curl = ["curl", "-s", "--max-time", "1", "http://10.43.0.17/"];
    expect((await c.run(curl)).exitCode).toBe(28);
    expect((await n2.run(curl)).exitCode).toBe(28);
  });

  test("a node whose LAN has no router reaches Services as well", async () => {
    const ways = () => must(n1.run, ["ip", "route", "show", "10.43.0.0/16", "proto", "171"]);
    const spec = { clusterIP: "10.43.0.19", ports: [{ port: 80 }] };
    await serve("routed", spec, [at(0, n1), at(2, n2)]);
    expect(await ways()).toBe("");
    const [router] = (await must(n1.run, ["ip", "route", "show", "default"])).split("\n");
    await must(n1.run, ["ip", "route", "del", "default"]);
    await until("a way", WAY_MS_MAX, async () => (await ways()).includes(" dev eth0 "));
    const all = async () => Object.keys(byPod(await http(n1.run, "http://10.43.0.19/", 60)));
    expect((await all()).sort()).toEqual(["a", "c"]);
    const words = (router ?? "").trim().split(" ");
    await must(n1.run, ["ip", "route", "add", ...words]);
    await until("the way is gone", WAY_MS_MAX, async () => (await ways()) === "");
    expect((await all()).sort()).toEqual(["a", "c"]);
  }, 360_000);

  test("affinity ends some time after a client's last connection", async () => {
    const sessionAffinityConfig = { clientIP: { timeoutSeconds: AFFINITY_SECONDS } };
    const spec: ServiceSpec = { clusterIP: "10.43.0.18", sessionAffinity: "ClientIP" };
    const all = [at(0, n1), at(1, n1), at(2, n2)];
    await serve("while", { ...spec, sessionAffinityConfig, ports: [{ port: 80 }] }, all);
    const [a] = pods as [Pod];
    const seen = new Set<string>();
    for (let i = 0; i < AFFINITY_TRIES && seen.size < 2; i++) {
      for (const name of Object.keys(byPod(await http(a.run, "http://10.43.0.18/")))) {
        seen.add(name);
      }
      await Bun.sleep(AFFINITY_SECONDS * 1_000 + 500);
    }
    expect(seen.size).toBe(2);
  }, 360_000);

  test("pods on their way out serve while nothing else does", async () => {
    const spec = { clusterIP: "10.43.0.14", ports: [{ port: 80 }] };
    const [a] = pods as [Pod];
    await serve("going", spec, [`~${at(1, n1)}`, `!${at(2, n2)}`]);
    expect(byPod(await http(a.run, "http://10.43.0.14/", 5))).toEqual({ b: 5 });
    await serve("going", spec, [`~${at(1, n1)}`, at(2, n2)]);
    expect(byPod(await http(a.run, "http://10.43.0.14/", 5))).toEqual({ c: 5 });
  });

  test("an SCTP Service leads to its pod", async () => {
    const ports = [{ name: "udp", port: 9000, protocol: "SCTP" }];
    await serve("sctp", { clusterIP: "10.43.0.15", ports }, [at(2, n2)]);
    const [a, , c] = pods as [Pod, Pod, Pod];
    // The kernel here has no SCTP sockets, but it translates: an INIT chunk by hand.
    await must(a.run, ["perl", "-MSocket", "-e", SEND_SCTP, "10.43.0.15", sctpInit(9000)]);
    const flows = await must(n1.run, ["conntrack", "-L", "-p", "sctp"]);
    expect(flows).toContain(`dst=10.43.0.15 sport=5000 dport=9000 [UNREPLIED] src=${c.ip}`);
  });

  /** Breaks what this back end has in the kernel. */
  async function flush(run: Run): Promise<void> {
    await must(run, ["iptables", "-D", "FORWARD", "1"]);
    if (mode === "iptables") {
      await must(run, ["iptables", "-t", "nat", "-F", "BRAMBLE-site-SERVICES"]);
      return;
    }
    await must(run, ["nft", "flush", "chain", "ip", "bramble-site", "dispatch"]);
    const key = "{ 10.43.0.7 . tcp . 80 }";
    await must(run, ["nft", "delete", "element", "ip", "bramble-site", "services", key]);
  }

  /** What nft shows, without the order in which it keeps elements. */
  const sorted = (text: string): string[] =>
    text
      .replace(/^\s*elements = \{|\}$|,$/gm, "")
      .split("\n")
      .map((line) => line.trim().replace(/ expires \S+/, ""))
      .sort();

  test("an agent that starts anew takes over, and clients keep their pod", async () => {
    const before = sorted(await rules(n1.run));
    const [a] = pods as [Pod];
    const sticky = async () => Object.keys(byPod(await http(a.run, "http://10.43.0.9/", 5)));
    const chosen = await sticky();
    if (mode === "nftables") {
      // A Service that went while no agent was there.
      const gone = "{ 10.43.9.9 . tcp . 80 : goto refused }";
      await must(n1.run, ["nft", "add", "element", "ip", "bramble-site", "services", gone]);
    }
    const ending = new AbortController();
    const common = { run: n1.run, log: silentLog, clock: realClock, instance: "site" };
    const proxy = createProxyAgent({
      ...common,
      caches,
      nodeName: n1.name,
      clusterCidr: "10.42.0.0/16",
      writers: { IPv4: createIptablesWriter({ ...common, owners: ["proxy", "network"] }) },
      tables: { IPv4: createNftablesWriter({ ...common, family: "IPv4" }) },
      mode,
    });
    proxy.start(ending.signal);
    await proxy.settled();
    ending.abort();
    expect(await sticky()).toEqual(chosen);
    expect(chosen).toHaveLength(1);
    expect(sorted(await rules(n1.run))).toEqual(before);
  });

  test("what someone flushed is mended", async () => {
    const [writer] = writers as [PacketWriter];
    const [table] = tables as [TableWriter];
    const before = sorted(await rules(n1.run));
    await flush(n1.run);
    expect(sorted(await rules(n1.run))).not.toEqual(before);
    const [a] = pods as [Pod];
    await writer.verify();
    await table.verify();
    expect(sorted(await rules(n1.run))).toEqual(before);
    expect(byPod(await http(a.run, "http://10.43.0.8/", 3))).toEqual({ a: 3 });
  });

  test("clear leaves others' rules as they were, byte for byte", async () => {
    stop.abort();
    for (const writer of writers) await writer.clear();
    for (const table of tables) await table.clear();
    expect(await rules(n1.run)).toBe(foreign);
  });
});
