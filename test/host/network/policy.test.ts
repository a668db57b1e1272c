/**
 * NetworkPolicies with real packets: between pods of one node, of two, from the node and the LAN.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createNetworkAgent, type NetworkAgent } from "#agents/network/agent.ts";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import { createPolicyAgent, type PolicyAgent } from "#agents/policy/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { createCaches } from "#client/cache.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { networkPolicies } from "#resources/kinds/networkpolicy.ts";
import { nodes as nodeKind } from "#resources/kinds/node.ts";
import { pods as podKind } from "#resources/kinds/pod.ts";
import type {
  NetworkPolicyPeer,
  NetworkPolicyPort,
  NetworkPolicySpec,
} from "#resources/types.gen.ts";
import { must, openSite, type Site, type SiteNode, type SitePod } from "#test/host/network/site.ts";
import { caughtUp } from "#test/support/caughtup.ts";
import { FakeApi } from "#test/support/fakeapi.ts";

const ASK = join(import.meta.dir, "ask.ts");
const POLICIES = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
/** Connects, and asks only when it is told to. */
const PATIENT = `
  const socket = await Bun.connect({ hostname: process.argv.at(-1), port: 8080, socket: {
    data: (_, data) => void console.log(data.toString().split("\\r\\n")[0]),
  } });
  console.log("open");
  for await (const _ of Bun.stdin.stream()) socket.write("GET / HTTP/1.0\\r\\n\\r\\n");
`;

let site: Site;
let n1: SiteNode;
let a: SitePod;
let b: SitePod;
let c: SitePod;
const api = new FakeApi();
const stop = new AbortController();
const policyAgents: PolicyAgent[] = [];
const networks: NetworkAgent[] = [];
const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });

/** Whether a request from there gets an answer; on a loaded machine that takes its time. */
async function reach(run: Run, ip: string, seconds = "20"): Promise<boolean> {
  const curl = ["curl", "-s", "-o", "/dev/null", "--max-time", seconds, `http://${ip}:8080/`];
  return (await run(curl)).exitCode === 0;
}

/** Whether none comes: a packet that is dropped takes a second to tell. */
const kept = async (run: Run, ip: string): Promise<boolean> => !(await reach(run, ip, "1"));

async function settled(): Promise<void> {
  await caughtUp(api, caches, networkPolicies, podKind, namespaces);
  await Bun.sleep(60);
  for (const agent of policyAgents) await agent.settled();
}

async function put(name: string, spec: NetworkPolicySpec): Promise<void> {
  api.put(networkPolicies, { metadata: { namespace: "default", name }, spec });
  await settled();
}

async function pod(node: SiteNode, name: string, namespace = "default"): Promise<SitePod> {
  const attached = await site.pod(node, name);
  api.put(podKind, {
    metadata: { namespace, name, uid: name, labels: { app: name } },
    spec: {
      nodeName: node.name,
      containers: [{ name, ports: [{ name: "http", containerPort: 8080 }] }],
    },
    status: { phase: "Running", podIPs: [{ ip: attached.ip }] },
  });
  return attached;
}

beforeAll(async () => {
  site = await openSite(2);
  n1 = site.nodes[0] as SiteNode;
  api.put(namespaces, { metadata: { name: "default", labels: { team: "a" } } });
  for (const node of site.nodes) {
    api.put(nodeKind, {
      metadata: { name: node.name },
      spec: { podCIDR: node.podCidr, podCIDRs: [node.podCidr] },
      status: { addresses: [{ type: "InternalIP", address: node.address }] },
    });
  }
  for (const node of site.nodes) {
    const common = { run: node.run, log: silentLog, clock: realClock, caches };
    const owners = ["policy", "network"];
    const writers = { IPv4: createIptablesWriter({ ...common, instance: "site", owners }) };
    const cluster = { nodeName: node.name, clusterCidr: "10.42.0.0/16", instance: "site" };
    const all = { ...common, ...cluster, writers, podNetwork: node.pods };
    const network = createNetworkAgent({ ...all, mode: "vxlan" });
    network.start(stop.signal);
    networks.push(network);
    const policy = createPolicyAgent({ ...all, dnsAddresses: ["10.43.0.10"] });
    policy.start(stop.signal);
    policyAgents.push(policy);
    await network.settled();
    await policy.settled();
  }
  [a, b, c] = [await pod(n1, "a"), await pod(n1, "b"), await pod(site.nodes[1] as SiteNode, "c")];
}, 180_000);

afterAll(async () => {
  stop.abort();
  caches.stop();
  await site.close();
}, 180_000);

test("pods reach each other over the overlay, with their own addresses", async () => {
  const ask = [process.execPath, ASK, "http", `http://${c.ip}:8080/`, "1", "1"];
  expect(JSON.parse(await must(a.run, ask))).toEqual({ [`c ${a.ip}`]: 1 });
  expect(await must(n1.run, ["ip", "-d", "link", "show", "dev", "brx-site"])).toContain("vxlan");
  expect(await must(n1.run, ["ip", "route", "get", c.ip])).toContain("dev brx-site");
});

test("default deny is in force at once, and the node still reaches its pods", async () => {
  expect(await reach(b.run, a.ip)).toBe(true);
  await put("deny", { podSelector: { matchLabels: { app: "a" } }, policyTypes: ["Ingress"] });
  expect(await kept(b.run, a.ip)).toBe(true);
  expect(await kept(c.run, a.ip)).toBe(true);
  expect(await reach(n1.run, a.ip)).toBe(true);
  expect(await reach(b.run, c.ip)).toBe(true);
  expect(await reach(a.run, c.ip)).toBe(true);
}, 360_000);

test("what a policy allows gets through, on one node and across", async () => {
  const from = [{ podSelector: { matchLabels: { app: "c" } } }];
  const ports = [{ port: 8080, protocol: "TCP" }];
  await put("allow", {
    podSelector: { matchLabels: { app: "a" } },
    policyTypes: ["Ingress"],
    ingress: [{ from, ports }],
  });
  expect(await reach(c.run, a.ip)).toBe(true);
  expect(await kept(b.run, a.ip)).toBe(true);
}, 360_000);

test("ports are allowed by name and as a range", async () => {
  const allow = (...ports: NetworkPolicyPort[]) =>
    put("allow", {
      podSelector: { matchLabels: { app: "a" } },
      policyTypes: ["Ingress"],
      ingress: [{ ports }],
    });
  await allow({ port: "http" });
  expect(await reach(c.run, a.ip)).toBe(true);
  await allow({ port: 8081, endPort: 8090 });
  expect(await kept(c.run, a.ip)).toBe(true);
  await allow({ port: 8000, endPort: 8080, protocol: "TCP" });
  expect(await reach(c.run, a.ip)).toBe(true);
}, 360_000);

test("a connection that was open before a policy goes on", async () => {
  api.remove(`${POLICIES}/allow`);
  api.remove(`${POLICIES}/deny`);
  await settled();
  const client = Bun.spawn(
    ["nsenter", `--net=${b.netnsPath}`, process.execPath, "-e", PATIENT, a.ip],
    { stdin: "pipe", stdout: "pipe" },
  );
  const reader = client.stdout.getReader();
  const text = async () => new TextDecoder().decode((await reader.read()).value);
  expect(await text()).toBe("open\n");
  await put("deny", { podSelector: { matchLabels: { app: "a" } }, policyTypes: ["Ingress"] });
  expect(await kept(b.run, a.ip)).toBe(true);
  client.stdin.write("now");
  client.stdin.flush();
  expect(await text()).toContain("200 OK");
  client.kill();
  await client.exited;
}, 360_000);

test("egress is bound, too", async () => {
  const podSelector = { matchLabels: { app: "b" } };
  const to = [{ ipBlock: { cidr: "10.42.0.0/16", except: [`${c.ip}/32`] } }];
  await put("out", { podSelector, policyTypes: ["Egress"], egress: [{ to }] });
  expect(await kept(b.run, c.ip)).toBe(true);
  // Dropped (28: no answer in time), not refused (7): nobody listens there.
  const toNode = (seconds: string) =>
    b.run(["curl", "-s", "--max-time", seconds, `http://${n1.address}:9999/`]);
  expect((await toNode("1")).exitCode).toBe(28);
  api.remove(`${POLICIES}/out`);
  await settled();
  expect(await reach(b.run, c.ip)).toBe(true);
  expect((await toNode("20")).exitCode).toBe(7);
}, 360_000);

/** Lets these in to pod a, beside the policy that denies all. */
const allowFrom = (...from: NetworkPolicyPeer[]) =>
  put("allow", {
    podSelector: { matchLabels: { app: "a" } },
    policyTypes: ["Ingress"],
    ingress: [{ from }],
  });

test("a block of addresses lets the LAN in, but for whom it excepts", async () => {
  const { run, address } = site.client;
  const second = "192.168.50.98";
  await must(run, ["ip", "address", "add", `${second}/24`, "dev", "eth0"]);
  await must(run, ["ip", "route", "add", "10.42.1.0/24", "via", n1.address]);
  const as = (from: string, seconds: string) => {
    const curl = ["curl", "-s", "-o", "/dev/null", "--max-time", seconds, "--interface", from];
    return run([...curl, `http://${a.ip}:8080/`]);
  };
  expect((await as(address, "1")).exitCode).toBe(28);
  await allowFrom({ ipBlock: { cidr: "192.168.50.0/24", except: [`${second}/32`] } });
  expect((await as(address, "20")).exitCode).toBe(0);
  expect((await as(second, "1")).exitCode).toBe(28);
  expect(await kept(c.run, a.ip)).toBe(true);
}, 360_000);

test("peers of another namespace, as long as it has the label", async () => {
  api.put(namespaces, { metadata: { name: "shop", labels: { team: "b" } } });
  const d = await pod(site.nodes[1] as SiteNode, "d", "shop");
  await allowFrom({ namespaceSelector: { matchLabels: { team: "b" } } });
  expect(await reach(d.run, a.ip)).toBe(true);
  expect(await kept(c.run, a.ip)).toBe(true);
  api.put(namespaces, { metadata: { name: "shop", labels: { team: "c" } } });
  await settled();
  expect(await kept(d.run, a.ip)).toBe(true);
  const both = { namespaceSelector: { matchLabels: { team: "c" } } };
  await allowFrom({ ...both, podSelector: { matchLabels: { app: "e" } } });
  expect(await kept(d.run, a.ip)).toBe(true);
  await allowFrom({ ...both, podSelector: { matchLabels: { app: "d" } } });
  expect(await reach(d.run, a.ip)).toBe(true);
  api.remove(`${POLICIES}/allow`);
  await settled();
  expect(await kept(d.run, a.ip)).toBe(true);
}, 360_000);

test("without policies there are no rules left of them", async () => {
  api.remove(`${POLICIES}/deny`);
  await settled();
  expect(await must(n1.run, ["iptables-save", "-t", "filter"])).not.toContain("POL");
  expect(await reach(b.run, a.ip)).toBe(true);
});

test("a node that leaves takes its routes and entries with it", async () => {
  api.remove("/api/v1/nodes/n2");
  await caughtUp(api, caches, nodeKind);
  await Bun.sleep(60);
  await networks[0]?.settled();
  expect(await must(n1.run, ["ip", "route", "show", "proto", "171"])).toBe("");
  const fdb = await must(n1.run, ["bridge", "fdb", "show", "dev", "brx-site"]);
  expect(fdb).not.toContain("dst 192.168.50.2");
  await networks[0]?.clear();
  expect((await n1.run(["ip", "link", "show", "dev", "brx-site"])).exitCode).not.toBe(0);
});
