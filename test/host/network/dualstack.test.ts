/** Real packets of IPv6 beside IPv4: routes between nodes, Services by either back end. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createNetworkAgent } from "#agents/network/agent.ts";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import { createNftablesWriter } from "#agents/network/nftables.ts";
import { createPolicyAgent } from "#agents/policy/agent.ts";
import { createProxyAgent } from "#agents/proxy/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { createCaches } from "#client/cache.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { networkPolicies } from "#resources/kinds/networkpolicy.ts";
import { nodes as nodeKind } from "#resources/kinds/node.ts";
import { pods as podKind } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import { must, openSite, type Site, type SiteNode, v6Of } from "#test/host/network/site.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { service, slice } from "#test/unit/agents/proxy/build.ts";

type Pod = Awaited<ReturnType<Site["pod"]>>;
const ASK = join(import.meta.dir, "ask.ts");
const CLUSTER = "10.42.0.0/16,fd00:42::/56";
const FAMILIES = ["IPv4", "IPv6"] as const;

let site: Site;
let pods: Pod[];
const api = new FakeApi();
const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });
const stop = new AbortController();

async function names(run: Run, url: string, count: number): Promise<string[]> {
  const text = await must(run, [process.execPath, ASK, "http", url, String(count), "4"]);
  const answers = Object.keys(JSON.parse(text) as Record<string, number>);
  return [...new Set(answers.map((answer) => answer.split(" ", 1)[0] ?? ""))].sort();
}

/** Of both families; `ips[1]` is a pod's address of IPv6. */
function common(node: SiteNode) {
  const shared = { run: node.run, log: silentLog, clock: realClock, instance: "dual" };
  const owners = ["policy", "proxy", "network"];
  const writers = Object.fromEntries(
    FAMILIES.map((family) => [family, createIptablesWriter({ ...shared, owners, family })]),
  );
  const tables = Object.fromEntries(
    FAMILIES.map((family) => [family, createNftablesWriter({ ...shared, family })]),
  );
  return { ...shared, caches, writers, tables, nodeName: node.name, clusterCidr: CLUSTER };
}

const parts = new Map<SiteNode, ReturnType<typeof common>>();

beforeAll(async () => {
  site = await openSite(2, { ipv6: true });
  for (const node of site.nodes) {
    const addresses = [node.address, v6Of(node.address)];
    api.put(nodeKind, {
      metadata: { name: node.name },
      spec: { podCIDRs: node.podCidr.split(",") },
      status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) },
    });
  }
  for (const node of site.nodes) {
    const own = common(node);
    parts.set(node, own);
    const network = createNetworkAgent({ ...own, podNetwork: node.pods, mode: "host-gw" });
    network.start(stop.signal);
    await network.settled();
  }
  const [n1, n2] = site.nodes as [SiteNode, SiteNode];
  pods = [await site.pod(n1, "a"), await site.pod(n1, "b"), await site.pod(n2, "c")];
}, 180_000);

afterAll(async () => {
  stop.abort();
  caches.stop();
  await site.close();
}, 180_000);

test("pods have an address of each family and reach each other across nodes by both", async () => {
  const [a, , c] = pods as [Pod, Pod, Pod];
  expect(c.ips).toEqual(["10.42.2.2", "fd00:42:0:2::2"]);
  expect(await names(a.run, "http://[fd00:42:0:2::2]:8080/", 1)).toEqual(["c"]);
  expect(await names(a.run, "http://10.42.2.2:8080/", 1)).toEqual(["c"]);
});

describe.each(["iptables", "nftables"] as const)("Services by %s", (mode) => {
  const ending = new AbortController();

  beforeAll(async () => {
    const spec = { clusterIP: "10.43.0.7", clusterIPs: ["10.43.0.7", "fd00:43::7"] };
    const ports = [{ port: 80, nodePort: 30080 }];
    api.put(services, service("web", { ...spec, type: "NodePort", ports }));
    const [n1, n2] = site.nodes as [SiteNode, SiteNode];
    for (const family of [0, 1]) {
      const ips = pods.map(({ ips: own }, i) => `${own[family]}@${i < 2 ? n1.name : n2.name}`);
      const object = slice("web", ips);
      api.put(endpointSlices, {
        ...object,
        metadata: { ...object.metadata, name: `web-${family}` },
      });
    }
    for (const own of parts.values()) {
      const proxy = createProxyAgent({ ...own, mode });
      proxy.start(ending.signal);
      await proxy.settled();
    }
  });

  afterAll(() => ending.abort());

  test("a cluster IP of IPv6 leads to all pods, from a pod, its node and itself", async () => {
    const [a] = pods as [Pod];
    const [n1] = site.nodes as [SiteNode];
    expect(await names(a.run, "http://[fd00:43::7]/", 60)).toEqual(["a", "b", "c"]);
    expect(await names(n1.run, "http://[fd00:43::7]/", 60)).toEqual(["a", "b", "c"]);
    expect(await names(a.run, "http://10.43.0.7/", 60)).toEqual(["a", "b", "c"]);
  });

  test("so does a node port on the node's address of IPv6, for the LAN", async () => {
    const [n1] = site.nodes as [SiteNode];
    const url = `http://[${v6Of(n1.address)}]:30080/`;
    expect(await names(site.client.run, url, 60)).toEqual(["a", "b", "c"]);
  });
});

test("a policy binds both families, by the pods that it names", async () => {
  const ending = new AbortController();
  const labels = ["a", "b", "c"];
  for (const [i, { ips }] of pods.entries()) {
    const name = labels[i] ?? "";
    api.put(podKind, {
      metadata: { namespace: "default", name, uid: name, labels: { app: name } },
      spec: { nodeName: i < 2 ? "n1" : "n2", containers: [{ name }] },
      status: { phase: "Running", podIPs: ips.map((ip) => ({ ip })) },
    });
  }
  api.put(namespaces, { metadata: { name: "default" } });
  const from = [{ podSelector: { matchLabels: { app: "c" } } }];
  api.put(networkPolicies, {
    metadata: { namespace: "default", name: "some" },
    spec: { podSelector: { matchLabels: { app: "a" } }, ingress: [{ from }] },
  });
  for (const [node, own] of parts) {
    const policy = createPolicyAgent({ ...own, podNetwork: node.pods, dnsAddresses: [] });
    policy.start(ending.signal);
    await policy.settled();
  }
  const [a, b, c] = pods as [Pod, Pod, Pod];
  const ask = async (run: Run, ip: string, seconds: string) => {
    const host = ip.includes(":") ? `[${ip}]` : ip;
    const curl = ["curl", "-gs", "-o", "/dev/null", "--max-time", seconds];
    return (await run([...curl, `http://${host}:8080/`])).exitCode;
  };
  for (const ip of a.ips) {
    expect(await ask(c.run, ip, "20")).toBe(0);
    expect(await ask(b.run, ip, "1")).toBe(28);
  }
  for (const ip of b.ips) expect(await ask(c.run, ip, "20")).toBe(0);
  ending.abort();
}, 360_000);
