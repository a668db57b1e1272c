/**
 * Real packets to pods that are gone, in both families: what their clients' kernel, or another
 * node's, still leads there is led elsewhere.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createNetworkAgent, type NetworkAgent } from "#agents/network/agent.ts";
import type { PortMapping } from "#agents/network/cni.ts";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import { createProxyAgent, type ProxyAgent } from "#agents/proxy/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { createCaches } from "#client/cache.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes as nodeKind } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import { must, openSite, type Site, type SiteNode, v6Of } from "#test/host/network/site.ts";
import { caughtUp } from "#test/support/caughtup.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { until } from "#test/support/lab.ts";
import { service, slice } from "#test/unit/agents/proxy/build.ts";

type Pod = Awaited<ReturnType<Site["pod"]>>;

const ASK = join(import.meta.dir, "ask.ts");
const CLUSTER = "10.42.0.0/16,fd00:42::/56";
/** How long a client asks; the kernel forgets an unanswered first packet after 120 s. */
const PATIENCE_S = 25;
/** A connection that nobody ends goes on for a quarter of an hour. */
const HOLD_MS = 60_000;
const SEEN_MS_MAX = 60_000;
/** The kernel forgets a connection that was reset after 10 s. */
const RESET_MS_MAX = 5_000;
const FAMILIES = [
  { family: "IPv4", at: 0, vip: "10.43.0.7", iptables: "iptables" },
  { family: "IPv6", at: 1, vip: "fd00:43::7", iptables: "ip6tables" },
] as const;

let site: Site;
let n1: SiteNode;
let n2: SiteNode;
/** `a` on the first node, `b` on the second. */
let a: Pod;
let b: Pod;
const proxies: ProxyAgent[] = [];
const networks: NetworkAgent[] = [];
const api = new FakeApi();
const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });
const stop = new AbortController();

async function startAgents(node: SiteNode): Promise<void> {
  const shared = { run: node.run, log: silentLog, clock: realClock, instance: "gone", caches };
  const owners = ["proxy", "network"];
  const writers = Object.fromEntries(
    FAMILIES.map(({ family }) => [family, createIptablesWriter({ ...shared, owners, family })]),
  );
  const own = { ...shared, writers, nodeName: node.name, clusterCidr: CLUSTER };
  const network = createNetworkAgent({ ...own, podNetwork: node.pods, mode: "host-gw" });
  network.start(stop.signal);
  await network.settled();
  networks.push(network);
  const proxy = createProxyAgent({ ...own, flows: node.flows });
  proxy.start(stop.signal);
  proxies.push(proxy);
}

beforeAll(async () => {
  site = await openSite(2, { ipv6: true });
  [n1, n2] = site.nodes as [SiteNode, SiteNode];
  for (const node of site.nodes) {
    const addresses = [node.address, v6Of(node.address)];
    api.put(nodeKind, {
      metadata: { name: node.name },
      spec: { podCIDRs: node.podCidr.split(",") },
      status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
    });
  }
  for (const node of site.nodes) await startAgents(node);
  a = await site.pod(n1, "a");
  b = await site.pod(n2, "b");
}, 180_000);

afterAll(async () => {
  stop.abort();
  caches.stop();
  await site.close();
}, 180_000);

/** Entries of the node's kernel for connections that arrive at the pod. */
async function entries(on: SiteNode, ip: string): Promise<string[]> {
  const family = ip.includes(":") ? "ipv6" : "ipv4";
  const listed = await must(on.run, ["conntrack", "-L", "-f", family, "-p", "tcp", "-r", ip]);
  return listed.split("\n").filter((line) => line !== "");
}

const inUrl = (ip: string): string => (ip.includes(":") ? `[${ip}]` : ip);

describe.each(FAMILIES)("by $family", ({ family, at, vip, iptables }) => {
  const ipOf = (pod: Pod): string => pod.ips[at] ?? "";
  let count = 0;

  async function serve(pod: Pod, on: SiteNode): Promise<void> {
    const name = `web${at}`;
    api.put(services, service(name, { clusterIP: vip, clusterIPs: [vip], ipFamilies: [family] }));
    const made = slice(name, [`${ipOf(pod)}@${on.name}`]);
    api.put(endpointSlices, { ...made, addressType: family });
    await caughtUp(api, caches, services, endpointSlices);
    await Bun.sleep(20);
    for (const proxy of proxies) await proxy.settled();
  }

  /** A pod whose kernel drops first packets, as an overloaded one does. */
  async function deafPod(portMappings: readonly PortMapping[] = []) {
    const pod = await site.pod(n1, `deaf${at}${count++}`, portMappings);
    const rule = "-A INPUT -p tcp --syn --dport 8080 -j DROP".split(" ");
    await must(pod.run, [iptables, ...rule]);
    return pod;
  }

  /** Asks from one port for some time; the first packet has been led to `to` by the node. */
  async function ask(from: Run, url: string, led: { by: SiteNode; to: Pod; patienceS?: number }) {
    const curl = ["curl", "-gsS", "--max-time", String(led.patienceS ?? PATIENCE_S), url];
    const answer = from(curl).then(({ stdout, stderr }) => stdout.split(" ")[0] || stderr);
    await until("the first packet", SEEN_MS_MAX, async () => {
      const found = await entries(led.by, ipOf(led.to));
      return found.some((line) => line.includes("SYN_SENT"));
    });
    return { answer };
  }

  test("a host port leads clients of a pod that is gone to the next one", async () => {
    const portMappings = [{ hostPort: 9090 + at, containerPort: 8080, protocol: "TCP" as const }];
    const old = await deafPod(portMappings);
    await networks[0]?.settled();
    const host = at === 0 ? n1.address : v6Of(n1.address);
    const url = `http://${inUrl(host)}:${9090 + at}/`;
    const { answer } = await ask(site.client.run, url, { by: n1, to: old });
    await n1.pods.detach(old);
    const next = await site.pod(n1, `next${at}`, portMappings);
    await networks[0]?.settled();
    expect(await answer).toBe(`next${at}`);
    await next.stop();
    await n1.pods.detach(next);
  }, 120_000);

  test("a connection to a pod that is gone without a word ends", async () => {
    const old = await site.pod(n1, `mute${at}`);
    await serve(old, n1);
    const argv = ["nsenter", `--net=${a.netnsPath}`, process.execPath, ASK, "hold", vip, "80"];
    const client = Bun.spawn(argv, { stdout: "pipe", timeout: HOLD_MS });
    const { value } = await client.stdout.getReader().read();
    expect(new TextDecoder().decode(value)).toBe("open\n");
    await must(old.run, [iptables, "-I", "OUTPUT", "-j", "DROP"]);
    await serve(b, n2);
    expect(await entries(n1, ipOf(old))).toHaveLength(1);
    await old.stop();
    await n1.pods.detach(old);
    await until("the entry is gone", SEEN_MS_MAX, async () => {
      return (await entries(n1, ipOf(old))).length === 0;
    });
    // 0: it ended by itself, the time was not over.
    expect(await client.exited).toBe(0);
  }, 120_000);

  test("who gets the port of a connection to a pod that is gone reaches the next one", async () => {
    const old = await site.pod(n1, `reset${at}`);
    await serve(old, n1);
    const url = `http://${inUrl(vip)}/`;
    const close = ["-H", "Connection: close"];
    await must(a.run, ["curl", "-gsS", ...close, url]);
    const hold = must(a.run, [process.execPath, ASK, "hold", vip, "80"]);
    await until("it is open", SEEN_MS_MAX, async () => {
      return (await entries(n1, ipOf(old))).some((line) => line.includes("ESTABLISHED"));
    });
    const reset = "-I INPUT -p tcp --dport 8080 -j REJECT --reject-with tcp-reset".split(" ");
    await must(old.run, [iptables, ...reset]);
    await hold;
    await old.stop();
    const before = await entries(n1, ipOf(old));
    const states = before.map((line) => /^tcp +6 \d+ (\S+)/.exec(line)?.[1]);
    expect(states.sort()).toEqual(["CLOSE", "TIME_WAIT"]);
    const port = before.map((line) => / CLOSE .*?sport=(\d+)/.exec(line)?.[1]).join("");
    await serve(b, n2);
    await n1.pods.detach(old);
    await until("its entry is gone", RESET_MS_MAX, async () => {
      return !(await entries(n1, ipOf(old))).some((line) => line.includes(" CLOSE "));
    });
    // What has ended with both sides' words is left to whoever comes next.
    expect(await entries(n1, ipOf(old))).toHaveLength(1);
    const again = ["curl", "-gsS", "--max-time", "8", "--local-port", port, url];
    expect((await must(a.run, again)).split(" ")[0]).toBe("b");
  }, 120_000);

  test("a first packet to what has left is led elsewhere, from each node", async () => {
    const old = await deafPod();
    await serve(old, n1);
    const url = `http://${inUrl(vip)}/`;
    const near = await ask(a.run, url, { by: n1, to: old });
    const far = await ask(b.run, url, { by: n2, to: old });
    await serve(a, n1);
    expect(await far.answer).toBe("a");
    expect(await near.answer).toBe("a");
    await n1.pods.detach(old);
  }, 120_000);

  test("of many places those are found that the kernel has something of", async () => {
    const [old, other] = [await deafPod(), await deafPod()];
    for (const pod of [old, other]) {
      const url = `http://${inUrl(ipOf(pod))}:8080/`;
      const { answer } = await ask(b.run, url, { by: n1, to: pod, patienceS: 1 });
      expect(await answer).toContain("curl: (28)");
    }
    const others = Array.from(
      { length: 9 },
      (_, last) => `${ipOf(b).replace(/\d+$/, "")}24${last}`,
    );
    const many = [...others, ipOf(old)].map((ip) => ({ ip, port: 8080, unanswered: true }));
    await n1.flows.end(many);
    expect(await entries(n1, ipOf(old))).toEqual([]);
    expect(await entries(n1, ipOf(other))).toHaveLength(1);
    await n1.flows.end([...others, ipOf(other)].map((ip) => ({ ip, unanswered: false })));
    expect(await entries(n1, ipOf(other))).toEqual([]);
    await n1.pods.detach(old);
    await n1.pods.detach(other);
  }, 120_000);
});
