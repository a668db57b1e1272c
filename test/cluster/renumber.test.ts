/**
 * DHCP gives nodes other addresses: within 15 s the cluster knows them and the other nodes' routes
 * and rules lead there, no pod is touched, and no client of the API meets a shut port.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { addressOf, until } from "#test/support/lab.ts";
import { webImage } from "#test/support/webimage.ts";

const FOLLOWED_MS_MAX = 15_000;
/** Well over the two seconds between looks at the machine's addresses. */
const CONNECTING_SECONDS = "8";
const NEW = { n1: "192.168.77.71", n2: "192.168.77.72" };

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
  await cluster.readyNodes(2, 20_000);
  await cluster.kubectl("create", "-f", join(import.meta.dir, "web.yaml"));
  await cluster.kubectl("rollout", "status", "deployment/web", "--timeout=40s");
  serviceIp = await cluster.kubectl("get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}");
}, 90_000);

afterAll(async () => {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

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
  cluster.lab.exec(from, "curl", "-fsS", "--max-time", "1", `http://${ip}:${port}/`);

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

async function followed(node: "n1" | "n2", places: readonly Placed[]): Promise<void> {
  const other = node === "n1" ? "n2" : "n1";
  const started = performance.now();
  await until(`the cluster follows ${node}`, FOLLOWED_MS_MAX, async () => {
    if (!(await addressIs(node, NEW[node]))) return false;
    const routes = await cluster.lab.must(other, "ip", "route", "show", "proto", "171");
    if (!routes.includes(`via ${NEW[node]} `)) return false;
    expect(routes).not.toContain(`via ${addressOf(node)} `);
    return allAnswer(places);
  });
  console.log(`${node} followed after ${Math.round(performance.now() - started)} ms`);
}

test("an agent's node has another address: pods and Services go on, containers stay", async () => {
  const places = await pods();
  expect(new Set(places.map(({ node }) => node))).toEqual(new Set(["n1", "n2"]));
  const before = [await untouched("n1"), await untouched("n2")];
  await cluster.lab.renumber("n2", NEW.n2);
  await followed("n2", places);
  expect([await untouched("n1"), await untouched("n2")]).toEqual(before);
}, 40_000);

test("the server's has one, and no client on it meets a shut port", async () => {
  const places = await pods();
  const before = [await untouched("n1"), await untouched("n2")];
  const client = ["perl", "-e", CLIENT, CONNECTING_SECONDS, "6443"];
  const connecting = cluster.lab.must("n1", ...client);
  await cluster.lab.renumber("n1", NEW.n1);
  cluster.serverAt(NEW.n1);
  await followed("n1", places);
  const [refused, all] = (await connecting).split(" ").map(Number);
  expect(refused).toBe(0);
  expect(all).toBeGreaterThan(100);
  expect([await untouched("n1"), await untouched("n2")]).toEqual(before);
  // The certificate that clients are shown is good for the new address.
  const ca = ["--cacert", "/var/lib/bramble/pki/ca.crt"];
  const url = `https://${NEW.n1}:6443/readyz`;
  expect(await cluster.lab.must("n1", "curl", "-sS", ...ca, "--max-time", "2", url)).toBe("ok");
}, 40_000);
