/** The node's DNS with dig, from pods, the node and over both transports. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Run } from "#base/process.ts";
import { must, openSite, type Site, type SiteNode } from "#test/host/network/site.ts";
import { service, slice } from "#test/unit/agents/proxy/build.ts";

const NAMESERVER = join(import.meta.dir, "nameserver.ts");
type Child = Bun.Subprocess<"pipe", "pipe", "inherit">;

let site: Site;
let node: SiteNode;
let second: SiteNode;
let third: SiteNode;
let pod: Awaited<ReturnType<Site["pod"]>>;
const dir = mkdtempSync(join(tmpdir(), "bramble-dns-"));
const children: Child[] = [];

/** A child whose lines are read one at a time. */
function spawn(netns: string, ...args: string[]) {
  const argv = ["nsenter", `--net=/run/netns/${netns}`, process.execPath, NAMESERVER, ...args];
  const child = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe" });
  children.push(child);
  const reader = child.stdout.getReader();
  return { child, line: async () => void (await reader.read()) };
}

let server: ReturnType<typeof spawn>;

async function put(kind: string, object: object, to = server): Promise<void> {
  to.child.stdin.write(`${JSON.stringify({ kind, object })}\n`);
  to.child.stdin.flush();
  await to.line();
}

async function dig(run: Run, ...args: string[]): Promise<string[]> {
  const argv = ["dig", "+short", "+tries=1", "+time=20", "@10.43.0.10", ...args];
  return (await must(run, argv)).trim().split("\n").sort();
}

beforeAll(async () => {
  site = await openSite(3);
  [node, second, third] = site.nodes as [SiteNode, SiteNode, SiteNode];
  const lan = node.netns.replace("-n1", "-lan");
  await spawn(lan, "upstream").line();
  const resolvConf = join(dir, "resolv.conf");
  writeFileSync(resolvConf, `nameserver 192.0.2.1\nnameserver ${site.client.address}\n`);
  server = spawn(node.netns, "cluster", resolvConf);
  await server.line();
  pod = await site.pod(node, "a");
  await put("namespaces", { metadata: { name: "default" } });
  await put("services", service("web", { clusterIP: "10.43.0.7", clusterIPs: ["10.43.0.7"] }));
  await put("services", service("db", { clusterIP: "None" }));
  await put("services", service("out", { type: "ExternalName", externalName: "www.example.com" }));
  await put("endpointSlices", slice("db", ["10.42.1.8@n1", "10.42.2.9@n2"]));
}, 360_000);

afterAll(async () => {
  for (const child of children) child.kill();
  await Promise.all(children.map((child) => child.exited));
  await site.close();
  rmSync(dir, { recursive: true, force: true });
}, 360_000);

test("pods and the node resolve names of the cluster, over UDP and TCP", async () => {
  for (const run of [pod.run, node.run]) {
    expect(await dig(run, "web.default.svc.cluster.local")).toEqual(["10.43.0.7"]);
    expect(await dig(run, "+tcp", "db.default.svc.cluster.local")).toEqual([
      "10.42.1.8",
      "10.42.2.9",
    ]);
  }
  expect(await dig(pod.run, "-x", "10.43.0.7")).toEqual(["web.default.svc.cluster.local."]);
});

test("a name is right at once after its endpoints' change", async () => {
  await put("endpointSlices", slice("db", ["10.42.2.9@n2"]));
  expect(await dig(pod.run, "db.default.svc.cluster.local")).toEqual(["10.42.2.9"]);
});

test("a Service with 100 pods comes whole: over TCP where a datagram is too small", async () => {
  const many = Array.from({ length: 100 }, (_, i) => `10.42.3.${i}@n1`);
  await put("endpointSlices", slice("db", many));
  const name = "db.default.svc.cluster.local";
  expect(await dig(pod.run, "+noedns", name)).toHaveLength(100);
  const cut = await must(pod.run, ["dig", "+ignore", "+noedns", "@10.43.0.10", name]);
  expect(cut).toContain(" tc ");
});

test("other names come from the second upstream, when the first does not answer", async () => {
  const argv = ["dig", "+short", "+tries=1", "+time=20", "@10.43.0.10", "www.example.com"];
  expect((await must(pod.run, argv)).trim()).toBe("198.51.100.7");
  expect(await dig(pod.run, "out.default.svc.cluster.local")).toEqual([
    "198.51.100.7",
    "www.example.com.",
  ]);
}, 360_000);

test("no such name is NXDOMAIN with authority", async () => {
  const argv = ["dig", "@10.43.0.10", "no.default.svc.cluster.local"];
  const text = await must(pod.run, argv);
  expect(text).toContain("status: NXDOMAIN");
  expect(text).toMatch(/flags: qr aa rd ra;/);
  expect(text).toContain("SOA\tns.dns.cluster.local.");
});

test("where another server has port 53 of all addresses, rules lead to ours", async () => {
  await spawn(second.netns, "upstream").line();
  const ours = spawn(second.netns, "cluster", join(dir, "resolv.conf"));
  await ours.line();
  await put("namespaces", { metadata: { name: "default" } }, ours);
  await put(
    "services",
    service("web", { clusterIP: "10.43.0.7", clusterIPs: ["10.43.0.7"] }),
    ours,
  );
  const other = await site.pod(second, "b");
  for (const run of [other.run, second.run]) {
    for (const transport of ["+notcp", "+tcp"]) {
      const found = await dig(run, transport, "web.default.svc.cluster.local");
      expect(found).toEqual(["10.43.0.7"]);
    }
  }
  const argv = ["dig", "+short", "+tries=1", "+time=20", `@${second.address}`, "www.example.com"];
  expect((await must(site.client.run, argv)).trim()).toBe("198.51.100.7");
}, 360_000);

test("an address that the machine cannot have holds up no other, and is tried again", async () => {
  const ipv6 = (on: string) =>
    must(third.run, ["tee", "/proc/sys/net/ipv6/conf/lo/disable_ipv6"], `${on}\n`);
  await ipv6("1");
  const ours = spawn(third.netns, "cluster", join(dir, "resolv.conf"), "10.43.0.10,fd00:43::a");
  const answers = async (server: string, type: string) => {
    const argv = ["dig", "+short", "+tries=1", "+time=2", `@${server}`, type];
    const deadline = performance.now() + 60_000;
    for (;;) {
      const { stdout } = await third.run([...argv, "ns.dns.cluster.local"]);
      if (/^[0-9a-f.:]+\n$/.test(stdout)) return stdout.trim();
      if (performance.now() > deadline) throw new Error(`${server} says ${stdout}`);
      await Bun.sleep(50);
    }
  };
  expect(await answers("10.43.0.10", "A")).toBe("10.43.0.10");
  await ipv6("0");
  expect(await answers("fd00:43::a", "AAAA")).toBe("fd00:43::a");
  await ours.line();
}, 360_000);
