/** The network of a real node by the compiled binary: what Services, names and its ports do. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { WEB_INGRESS, webManifest } from "#test/e2e/web.ts";
import {
  eventually,
  freePort,
  type Instance,
  mustRun,
  run,
  startInstance,
} from "#test/support/instance.ts";
import { quickest } from "#test/support/lab.ts";
import { startNameUpstream, UPSTREAM_ADDRESS } from "#test/support/nameupstream.ts";
import { plainServer } from "#test/support/plainserver.ts";

const MENDED_MS_MAX = 30_000;
const NAMED_MS_MAX = 1_000;
const WAITED_MS_MAX = 90_000;

let cluster: Instance;
let node = "";
let dns = "";

beforeAll(async () => {
  cluster = await startInstance({ name: "network", images: ["1"] });
  const path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}";
  node = await cluster.must("get", "nodes", "-o", path);
  dns = cluster.flags[cluster.flags.indexOf("--cluster-dns") + 1] ?? "";
  await cluster.apply(webManifest({ replicas: 2 }));
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
}, 360_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

const get = (url: string, seconds = "20") => run(["curl", "-s", "-m", seconds, url]);

async function scale(replicas: number): Promise<void> {
  await cluster.must("scale", "deployment/web", `--replicas=${replicas}`);
  const pods = ["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].status.phase}"];
  await eventually(`${replicas} pods`, WAITED_MS_MAX, async () => {
    const phases = (await cluster.must(...pods)).split(" ").filter((phase) => phase !== "");
    return phases.length === replicas && phases.every((phase) => phase === "Running");
  });
}

async function dig(...args: string[]): Promise<string> {
  const argv = ["dig", "+short", "+tries=1", "+time=5", `@${dns}`, ...args];
  return (await mustRun(argv)).trim();
}

test("a pod's link takes packets as long as the node's own", async () => {
  const [link] = JSON.parse(await mustRun(["ip", "-j", "route", "show", "default"]));
  const { mtu } = JSON.parse(await mustRun(["ip", "-j", "link", "show", "dev", link.dev]))[0];
  const inside = ["exec", "deployment/web", "--", "cat", "/sys/class/net/eth0/mtu"];
  expect(Number(await cluster.must(...inside))).toBe(mtu);
});

const balanced = (port: number) => `
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{port: ${port}, targetPort: 8080}]
`;

test("a load balancer has the node's address, and is told whether pods are here", async () => {
  const own = await freePort();
  await cluster.apply(balanced(own));
  const shown = "jsonpath={.status.loadBalancer.ingress[0].ip} {.spec.healthCheckNodePort}";
  const port = await eventually("an address", WAITED_MS_MAX, async () => {
    const [ip, health] = (await cluster.must("get", "service", "balanced", "-o", shown)).split(" ");
    return ip === node && Number(health);
  });
  const health = async (): Promise<[number, unknown]> => {
    const answer = await fetch(`http://${node}:${port}/`);
    return [answer.status, await answer.json()];
  };
  const told = (localEndpoints: number) => ({
    service: { namespace: "default", name: "balanced" },
    localEndpoints,
    serviceProxyHealthy: true,
  });
  await eventually("two pods", WAITED_MS_MAX, async () => (await health())[0] === 200);
  expect(await health()).toEqual([200, told(2)]);
  expect((await get(`http://${node}:${own}/`)).stdout).toStartWith("hello");
  await scale(0);
  await eventually("none", WAITED_MS_MAX, async () => (await health())[0] === 503);
  expect(await health()).toEqual([503, told(0)]);
  await scale(2);
}, 360_000);

/** A Service without a selector, whose endpoints somebody else keeps. */
const elsewhere = (ip: string) => `
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {clusterIP: None, ports: [{name: sql, port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: elsewhere-1, labels: {kubernetes.io/service-name: elsewhere}}
addressType: IPv4
ports: [{name: sql, port: 5432}]
endpoints: [{addresses: [${ip}], hostname: db}]
`;

test("a name is right within a second of its endpoints' change", async () => {
  const name = "elsewhere.default.svc.cluster.local";
  const tookMs = await quickest(NAMED_MS_MAX, async (at) => {
    const ip = `192.0.2.${at + 10}`;
    await cluster.apply(elsewhere(ip));
    const changed = performance.now();
    await eventually("the new address", WAITED_MS_MAX, async () => (await dig(name)) === ip);
    const took = performance.now() - changed;
    expect(await dig(`db.${name}`)).toBe(ip);
    expect(await dig("SRV", `_sql._tcp.${name}`)).toBe(`0 100 5432 db.${name}.`);
    return took;
  });
  console.log(`right ${Math.round(tookMs)} ms after kubectl's end`);
  expect(tookMs).toBeLessThan(NAMED_MS_MAX);
});

test("a ConfigMap names hosts and other name servers", async () => {
  const server = await startNameUpstream("127.0.0.1");
  try {
    await cluster.apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-dns, namespace: kube-system}
data:
  stubDomains: '{"factory.example": ["127.0.0.1:${server.port}"]}'
  hosts: |
    192.0.2.20 plc.factory.local
`);
    const known = async () => (await dig("plc.factory.local")) === "192.0.2.20";
    await eventually("the host", WAITED_MS_MAX, known);
    expect(await dig("line-1.factory.example")).toBe(UPSTREAM_ADDRESS);
    await cluster.must("delete", "configmap", "kube-dns", "-n", "kube-system");
    await eventually("the host is gone", WAITED_MS_MAX, async () => !(await known()));
  } finally {
    server.close();
  }
}, 360_000);

const DENY = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
`;

test("pods that nobody may reach are probed, and become ready", async () => {
  await cluster.apply(DENY);
  await cluster.must("rollout", "restart", "deployment/web");
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  await cluster.must("delete", "networkpolicy", "deny");
}, 360_000);

/** What listens for TCP, or on a port that is not drawn at random for UDP: `tcp *:6443`. */
async function listening(pid: number): Promise<string[]> {
  const lines = (await mustRun(["ss", "-Hlntup"])).split("\n");
  const own = lines.filter((line) => line.includes(`pid=${pid},`));
  const places = own.map((line) => {
    const [protocol = "", , , , local = ""] = line.split(/\s+/);
    return `${protocol} ${local.replace(/%\w+/, "").replace(/^(0\.0\.0\.0|\[::\]):/, "*:")}`;
  });
  const isRandom = (place: string) =>
    place.startsWith("udp ") && Number(/\d+$/.exec(place)?.[0]) >= 32_768;
  return [...new Set(places.filter((place) => !isRandom(place)))].sort();
}

test("it listens where its manual says, and nowhere else", async () => {
  await cluster.apply(WEB_INGRESS);
  const [http, https] = cluster.ingressPorts;
  const entry = `http://127.0.0.1:${http}/`;
  await eventually("the Ingress", WAITED_MS_MAX, async () => (await get(entry)).exitCode === 0);
  const path = "jsonpath={.spec.healthCheckNodePort}";
  const health = await cluster.must("get", "service", "balanced", "-o", path);
  expect(await listening(cluster.process?.pid ?? 0)).toEqual(
    [
      `tcp *:${cluster.port}`,
      `tcp *:${http}`,
      `tcp *:${https}`,
      `tcp *:${health}`,
      `tcp ${dns}:53`,
      `udp ${dns}:53`,
      "udp *:5353",
    ].sort(),
  );
  await cluster.must("delete", "ingress", "web");
}, 360_000);

test("the API listens on the chosen address alone", async () => {
  const plain = await plainServer();
  try {
    await plain.start();
    expect(await listening(plain.pid)).toEqual([`tcp ${new URL(plain.url).host}`]);
  } finally {
    await plain.close();
  }
});

/** Chains of this instance begin with it: `BRAMBLE-tag-`. */
async function prefix(ip: string): Promise<string> {
  const rules = await mustRun(["iptables-save", "-t", "nat"]);
  const rule = rules.split("\n").find((line) => line.includes(` -d ${ip}/32 `)) ?? "";
  return /BRAMBLE-\w+-/.exec(rule)?.[0] ?? "";
}

test("what someone flushed is back within half a minute", async () => {
  const ip = await cluster.must("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
  // Not anyone: the network around the machine may answer for whatever address is asked.
  const answers = async (seconds: string) =>
    (await get(`http://${ip}/`, seconds)).stdout.startsWith("hello from web-");
  await eventually("the Service answers", WAITED_MS_MAX, () => answers("5"));
  const chain = `${await prefix(ip)}SERVICES`;
  const tookMs = await quickest(MENDED_MS_MAX, async () => {
    await mustRun(["iptables", "-w", "-t", "nat", "-F", chain]);
    const flushed = performance.now();
    expect(await answers("1")).toBe(false);
    await eventually("it answers again", WAITED_MS_MAX, () => answers("1"));
    return performance.now() - flushed;
  });
  console.log(`mended after ${Math.round(tookMs)} ms`);
  expect(tookMs).toBeLessThan(MENDED_MS_MAX);
}, 360_000);

test("addresses of pods that went while the agent was dead are free again", async () => {
  const leases = () =>
    readdirSync(`${cluster.dataDir}/network/pods`).filter((file) => /^\d+\./.test(file)).length;
  expect(leases()).toBe(2);
  await cluster.must("scale", "deployment/web", "--replicas=6");
  // In the middle of making four of them.
  await eventually("the third one", WAITED_MS_MAX, async () => leases() > 2);
  await cluster.stop("SIGKILL");
  await cluster.start();
  await scale(1);
  await eventually("one address is taken", WAITED_MS_MAX, async () => leases() === 1);
}, 360_000);
