/** mDNS with real sockets between machines made of namespaces. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { must, openSite, type Site, type SiteNode } from "#test/host/network/site.ts";

const BEACON = join(import.meta.dir, "beacon.ts");
let site: Site;
let n1: SiteNode;
let n2: SiteNode;
type Child = Bun.Subprocess<"ignore", "pipe", "inherit">;
const children: Child[] = [];

function beacon(node: SiteNode, ...args: string[]): Child {
  const argv = ["nsenter", `--net=/run/netns/${node.netns}`, process.execPath, BEACON, ...args];
  const child = Bun.spawn(argv, { stdout: "pipe" });
  children.push(child);
  return child;
}

/** Lines of a browse as they come; `until` throws where its time is over without one that fits. */
function heard(child: Child) {
  const lines: Array<Record<string, unknown>> = [];
  const reading = (async () => {
    let rest = "";
    for await (const chunk of child.stdout) {
      rest += new TextDecoder().decode(chunk);
      const parts = rest.split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts.map((line) => JSON.parse(line) as Record<string, unknown>));
    }
  })();
  return {
    lines,
    reading,
    async until(fits: (line: Record<string, unknown>) => boolean): Promise<number> {
      const started = performance.now();
      while (!lines.some(fits)) {
        if (performance.now() - started > 60_000) throw new Error(`heard ${JSON.stringify(lines)}`);
        await Bun.sleep(10);
      }
      return performance.now() - started;
    },
  };
}

beforeAll(async () => {
  site = await openSite(2);
  [n1, n2] = site.nodes as [SiteNode, SiteNode];
});

afterAll(async () => {
  for (const child of children) child.kill();
  await Promise.all(children.map((child) => child.exited));
  await site.close();
});

test("a device finds the server, follows its new address, and hears it go", async () => {
  const server = beacon(n1, "announce", "pi.one");
  const device = heard(beacon(n2, "browse", "120000"));
  await device.until((line) => line["found"] === "pi.one");
  expect(device.lines.find((line) => "found" in line)).toEqual({
    found: "pi.one",
    ...{ role: "server", port: 6443, version: "1", cluster: "def" },
    addresses: [n1.address],
    caSha256: "abc",
  });
  await must(n1.run, ["ip", "address", "flush", "dev", "eth0"]);
  await must(n1.run, ["ip", "address", "add", "192.168.50.77/24", "dev", "eth0"]);
  await device.until((line) => JSON.stringify(line).includes("192.168.50.77"));
  server.kill("SIGTERM");
  await server.exited;
  await device.until((line) => "lost" in line);
}, 180_000);

test("a late device finds the server at once", async () => {
  const server = beacon(n1, "announce", "pi.two");
  await Bun.sleep(2_500);
  // It asks at once, and again after a second: on a loaded machine the quickest of some tells.
  let quickest = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 8 && quickest >= 900; tries++) {
    const child = beacon(n2, "browse", "120000");
    const device = heard(child);
    await device.until((line) => "browses" in line);
    quickest = Math.min(quickest, await device.until((line) => line["found"] === "pi.two"));
    child.kill();
    await child.exited;
  }
  expect(quickest).toBeLessThan(900);
  server.kill("SIGTERM");
  await server.exited;
}, 360_000);

test("it is told on every interface, and has the addresses of all", async () => {
  const link = ["ip", "link", "add", "eth1", "type", "veth"];
  await must(n1.run, [...link, "peer", "name", "eth1", "netns", n2.netns]);
  for (const [i, { run }] of [n1, n2].entries()) {
    await must(run, ["ip", "address", "add", `192.168.60.${i + 1}/24`, "dev", "eth1"]);
    await must(run, ["ip", "link", "set", "eth1", "up"]);
  }
  const server = beacon(n1, "announce", "pi.both");
  const device = heard(beacon(n2, "browse", "20000"));
  await device.until(({ addresses }) => {
    const text = String(addresses);
    return text.includes("192.168.50.") && text.includes("192.168.60.1");
  });
  server.kill("SIGTERM");
  await server.exited;
  await must(n1.run, ["ip", "link", "del", "eth1"]);
}, 120_000);

test("a plain resolver gets an answer", async () => {
  const server = beacon(n1, "announce", "pi.three");
  const device = heard(beacon(n2, "browse", "120000"));
  await device.until((line) => line["found"] === "pi.three");
  await must(n2.run, ["ip", "route", "add", "224.0.0.0/4", "dev", "eth0"]);
  const answer = await new Response(beacon(n2, "ask", "_bramble._tcp.local").stdout).text();
  expect(JSON.parse(answer)).toMatchObject({
    id: 77,
    answers: [{ type: "PTR", data: "pi-three._bramble._tcp.local", ttl: 10 }],
  });
  server.kill("SIGTERM");
  await server.exited;
}, 360_000);
