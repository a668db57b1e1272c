/**
 * DHCP gives nodes other addresses: within 15 s the cluster knows them and the other nodes' routes
 * and rules lead there, no pod is touched, and no client of the API meets a shut port.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { addressOf, quickest, until } from "#test/support/lab.ts";
import { webImage } from "#test/support/webimage.ts";

const FOLLOWED_MS_MAX = 15_000;
/** Until the agent speaks to the server at its new address. */
const NOTICED_MS_MAX = 12_000;
/** Well over the two seconds between looks at the machine's addresses. */
const CONNECTING_SECONDS = "8";
/** A new one for each try. */
const NEW = {
  n1: ["192.168.77.71", "192.168.77.73", "192.168.77.75"],
  n2: ["192.168.77.72", "192.168.77.74", "192.168.77.76"],
};
const WAITED_MS_MAX = 90_000;

/** Connects every 2 ms until its time is over; says how many were refused of all. */
const CLIENT = `
use strict; use Socket; use Time::HiRes qw(time usleep);
my ($seconds, $port) = @ARGV;
my $to = sockaddr_in($port, inet_aton("127.0.0.1"));
my ($all, $refused, $end) = (0, 0, time + $seconds);
while (time < $end) {
  socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
  connect($s, $to) or $refused++;
  close $s;
  $all++;
  usleep 2000;
}
print "$refused $all";
`;

let cluster: LabCluster;
let dir: string;
let serviceIp = "";

beforeAll(async () => {
  // A lab node sees the machine's /tmp, not its /var/lib or /run.
  dir = mkdtempSync(join(tmpdir(), "bramble-renumber-"));
  const image = await webImage(dir);
  cluster = await startCluster({ nodes: 2, dir, images: [image] });
  await cluster.startServer();
  await cluster.startAgent("n2");
  await cluster.readyNodes(2, 60_000);
  await cluster.kubectl("create", "-f", join(import.meta.dir, "web.yaml"));
  await cluster.kubectl("rollout", "status", "deployment/web", "--timeout=120s");
  serviceIp = await cluster.kubectl("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}");
}, 270_000);

afterAll(async () => {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
}, 180_000);

interface Placed {
  node: string;
  ip: string;
}

async function pods(): Promise<Placed[]> {
  const path = "jsonpath={range .items[*]}{.spec.nodeName} {.status.podIP}{'\\n'}{end}";
  const text = await cluster.kubectl("get", "pods", "-l", "app=web", "-o", path);
  const lines = text.trim().split("\n");
  return lines.map((line) => {
    const [node = "", ip = ""] = line.split(" ");
    return { node, ip };
  });
}

/** What must stay: each pod's containers as the node runs them, and their interfaces. */
async function untouched(node: string): Promise<string> {
  const containers = ["nerdctl", "-n", "bramble", "ps", "-q", "--no-trunc"];
  const ids = (await cluster.lab.must(node, ...containers)).trim().split("\n").sort();
  const links = await cluster.lab.must(node, "ip", "-o", "link", "show", "master", "bramble0");
  const veths = links
    .trim()
    .split("\n")
    .map((line) => line.split(": ", 2)[1]);
  expect(ids.length).toBe(veths.length);
  return JSON.stringify([ids, veths.sort()]);
}

const get = (from: string, ip: string, port: number) =>
  cluster.lab.exec(from, "curl", "-fsS", "--max-time", "3", `http://${ip}:${port}/`);

/** Every pod and the Service answer on both nodes. */
async function allAnswer(places: readonly Placed[]): Promise<boolean> {
  for (const from of ["n1", "n2"]) {
    for (const { ip } of places) if ((await get(from, ip, 8080)).exitCode !== 0) return false;
    if ((await get(from, serviceIp, 80)).exitCode !== 0) return false;
  }
  return true;
}

async function addressIs(node: string, address: string): Promise<boolean> {
  const path = "jsonpath={.status.addresses[?(@.type=='InternalIP')].address}";
  return (await cluster.kubectl("get", "node", node, "-o", path).catch(() => "")) === address;
}

/** Gives the node its next address; answers what it took until all is well with it. */
async function followed(node: "n1" | "n2", at: number): Promise<number> {
  const other = node === "n1" ? "n2" : "n1";
  const places = await pods();
  const before = at === 0 ? addressOf(node) : (NEW[node][at - 1] ?? "");
  const address = NEW[node][at] ?? "";
  await cluster.lab.renumber(node, address);
  if (node === "n1") cluster.serverAt(address);
  const started = performance.now();
  await until(`the cluster follows ${node}`, WAITED_MS_MAX, async () => {
    if (!(await addressIs(node, address))) return false;
    const routes = await cluster.lab.must(other, "ip", "route", "show", "proto", "171");
    if (!routes.includes(`via ${address} `)) return false;
    expect(routes).not.toContain(`via ${before} `);
    return allAnswer(places);
  });
  const tookMs = performance.now() - started;
  console.log(`${node} followed after ${Math.round(tookMs)} ms`);
  return tookMs;
}

/** When n2's agent found the server at this address. */
function noticedMs(address: string): number {
  const log = readFileSync(join(dir, "n2.log"), "utf8");
  const line = log.split("\n").find((each) => each.includes(` to=https://${address}:6443`)) ?? "";
  return Date.parse(line.slice(0, line.indexOf(" ")));
}

test("an agent's node has another address: pods and Services go on, containers stay", async () => {
  expect(new Set((await pods()).map(({ node }) => node))).toEqual(new Set(["n1", "n2"]));
  const before = [await untouched("n1"), await untouched("n2")];
  expect(await quickest(FOLLOWED_MS_MAX, (at) => followed("n2", at))).toBeLessThan(FOLLOWED_MS_MAX);
  expect([await untouched("n1"), await untouched("n2")]).toEqual(before);
}, 360_000);

test("the server's has one, and no client on it meets a shut port", async () => {
  const before = [await untouched("n1"), await untouched("n2")];
  const client = ["perl", "-e", CLIENT, CONNECTING_SECONDS, "6443"];
  const connecting = cluster.lab.must("n1", ...client);
  let address = "";
  let soonestMs = Number.POSITIVE_INFINITY;
  const tookMs = await quickest(FOLLOWED_MS_MAX, async (at) => {
    address = NEW.n1[at] ?? "";
    const startedMs = Date.now();
    const eachMs = await followed("n1", at);
    soonestMs = Math.min(soonestMs, noticedMs(address) - startedMs);
    return eachMs;
  });
  console.log(`n2 found the server after ${soonestMs} ms`);
  expect(tookMs).toBeLessThan(FOLLOWED_MS_MAX);
  expect(soonestMs).toBeLessThan(NOTICED_MS_MAX);
  const [refused, all] = (await connecting).split(" ").map(Number);
  expect(refused).toBe(0);
  expect(all).toBeGreaterThan(100);
  expect([await untouched("n1"), await untouched("n2")]).toEqual(before);
  // The certificate that clients are shown is good for the new address.
  const ca = ["--cacert", "/var/lib/bramble/pki/ca.crt"];
  const url = `https://${address}:6443/readyz`;
  expect(await cluster.lab.must("n1", "curl", "-sS", ...ca, "--max-time", "20", url)).toBe("ok");
}, 360_000);
