/** What happens on a LAN of nodes: packets in VXLAN, both families, a cut cable, a policy. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { quickest, until } from "#test/support/lab.ts";
import { webImage } from "#test/support/webimage.ts";

/** Beside the lab's own addresses. */
const IPV6 = { n1: "fd00:77::11", n2: "fd00:77::12", lan: "fd00:77::1" };
const DNS = ["10.43.0.10", "fd00:43::a"];
const BOTH_FAMILIES = [
  ...["--cluster-cidr", "10.42.0.0/16,fd00:42::/56"],
  ...["--service-cidr", "10.43.0.0/16,fd00:43::/112", "--cluster-dns", DNS.join()],
];
const DUAL = `
apiVersion: v1
kind: Service
metadata: {name: dual}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30081}]
`;
const DENIED_MS_MAX = 1_000;
const DENY = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}, policyTypes: [Ingress]}
`;

/** Sends a datagram that no one may cut up; a closed port says by its refusal that it came. */
const SEND_WHOLE = [
  "socket(my $s, PF_INET, SOCK_DGRAM, 17) or die; setsockopt($s, 0, 10, pack('i', 2)) or die;",
  "connect($s, sockaddr_in(9, inet_aton($ARGV[0]))) or die;",
  "send($s, 'x' x $ARGV[1], 0) or do { print $!{EMSGSIZE} ? 'too long' : $!; exit };",
  "select(undef, undef, undef, 0.5);",
  "print send($s, 'x', 0) ? 'lost' : $!{ECONNREFUSED} ? 'arrived' : $!;",
].join(" ");

let cluster: LabCluster;
let dir: string;

interface Placed {
  node: string;
  ip: string;
}
let pods: Placed[];

const on = (node: string): Placed => {
  const found = pods.find((pod) => pod.node === node);
  if (found === undefined) throw new Error(`no pod on ${node}`);
  return found;
};

/** Whether a node gets an answer of a pod within the time. */
async function answers(from: string, { ip }: Placed, seconds: string): Promise<boolean> {
  const curl = ["curl", "-fsS", "-o", "/dev/null", "--max-time", seconds, `http://${ip}:8080/`];
  return (await cluster.lab.exec(from, ...curl)).exitCode === 0;
}

/** From pod to pod, with the exit status of the client. */
async function fromPod(from: Placed, to: Placed, seconds = "20"): Promise<number> {
  const list = await cluster.lab.must(from.node, "ip", "netns", "list");
  for (const name of list.split("\n").map((line) => line.split(" ", 1)[0] ?? "")) {
    if (name === "") continue;
    const inside = ["ip", "netns", "exec", name];
    const own = await cluster.lab.must(from.node, ...inside, "ip", "-4", "addr", "show", "eth0");
    if (!own.includes(`inet ${from.ip}/`)) continue;
    const curl = ["curl", "-s", "-o", "/dev/null", "--max-time", seconds, `http://${to.ip}:8080/`];
    return (await cluster.lab.exec(from.node, ...inside, ...curl)).exitCode;
  }
  throw new Error(`no namespace with ${from.ip}`);
}

beforeAll(async () => {
  // A lab node sees the machine's /tmp, not its /var/lib or /run.
  dir = mkdtempSync(join(tmpdir(), "bramble-network-"));
  const image = await webImage(dir);
  cluster = await startCluster({ nodes: 2, dir, images: [image] });
  for (const [place, address] of Object.entries(IPV6)) {
    const dev = place === "lan" ? "br0" : "eth0";
    await cluster.lab.must(place, "ip", "address", "add", `${address}/64`, "dev", dev, "nodad");
  }
  await cluster.startServer({ flags: ["--network", "vxlan", ...BOTH_FAMILIES] });
  await cluster.startAgent("n2", "--network", "vxlan");
  await cluster.readyNodes(2, 60_000);
  await cluster.kubectl("create", "-f", join(import.meta.dir, "web.yaml"));
  await cluster.kubectl("rollout", "status", "deployment/web", "--timeout=120s");
  const path = "jsonpath={range .items[*]}{.spec.nodeName} {.status.podIP}{'\\n'}{end}";
  const lines = (await cluster.kubectl("get", "pods", "-l", "app=web", "-o", path)).trim();
  pods = lines.split("\n").map((line) => {
    const [node = "", ip = ""] = line.split(" ");
    return { node, ip };
  });
}, 270_000);

afterAll(async () => {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
}, 180_000);

test("pods reach each other in VXLAN, and packets of their full size fit", async () => {
  expect(await fromPod(on("n1"), on("n2"))).toBe(0);
  const link = await cluster.lab.must("n1", "ip", "-d", "link", "show", "dev", "bramble-vx");
  expect(link).toContain("mtu 1450");
  // 1450 bytes with the headers of IP and UDP; one more is not cut up but refused.
  const send = async (bytes: number) => {
    const argv = ["perl", "-MSocket", "-e", SEND_WHOLE, on("n2").ip, String(bytes)];
    return (await cluster.lab.exec("n1", ...argv)).stdout;
  };
  expect(await send(1_422)).toBe("arrived");
  expect(await send(1_423)).toBe("too long");
});

test("pods, Services and names have both families, on every node and from the LAN", async () => {
  const file = join(dir, "dual.yaml");
  await Bun.write(file, DUAL);
  await cluster.kubectl("create", "-f", file);
  const path = "jsonpath={.items[*].status.podIPs[*].ip}";
  const ips = (await cluster.kubectl("get", "pods", "-l", "app=web", "-o", path)).split(" ");
  expect(ips.filter((ip) => ip.startsWith("10.42."))).toHaveLength(4);
  expect(ips.filter((ip) => ip.startsWith("fd00:42:"))).toHaveLength(4);
  const get = ["get", "service", "dual", "-o", "jsonpath={.spec.clusterIPs[*]}"];
  const [v4 = "", v6 = ""] = (await cluster.kubectl(...get)).split(" ");
  const urls = { n1: `http://[${v6}]/`, n2: `http://[${v6}]/`, lan: `http://[${IPV6.n2}]:30081/` };
  for (const [from, url] of Object.entries(urls)) {
    const loop = `for i in $(seq 40); do curl -gfsS --max-time 20 "${url}"; done`;
    const seen = await until(`four pods answer ${from}`, 60_000, async () => {
      const answers = new Set((await cluster.lab.must(from, "sh", "-c", loop)).split("\n"));
      answers.delete("");
      return answers.size >= 4 && answers;
    });
    expect(seen.size).toBe(4);
  }
  for (const server of DNS) {
    const dig = (type: string) =>
      cluster.lab.must("n2", "dig", "+short", `@${server}`, type, "dual.default.svc.cluster.local");
    expect(await dig("A")).toBe(`${v4}\n`);
    expect(await dig("AAAA")).toBe(`${v6}\n`);
  }
  await cluster.kubectl("delete", "-f", file);
}, 270_000);

test("a stranger on the LAN sends nothing into the overlay", async () => {
  const rules = await cluster.lab.must("n1", "iptables", "-S", "BRAMBLE-OPENED");
  expect(rules).toContain("-p udp -m udp --dport 8472 -j DROP");
  expect(rules).toContain("-s 192.168.77.12/32 -p udp -m udp --dport 8472 -j ACCEPT");
});

test("default deny holds within a second of its creation", async () => {
  const file = join(dir, "deny.yaml");
  await Bun.write(file, DENY);
  const reaches = async (seconds: string) => (await fromPod(on("n2"), on("n1"), seconds)) === 0;
  const tookMs = await quickest(DENIED_MS_MAX, async () => {
    await until("a pod reaches another", 60_000, () => reaches("5"));
    await cluster.kubectl("create", "-f", file);
    const made = performance.now();
    let asked = made;
    await until("the policy holds", 60_000, async () => {
      asked = performance.now();
      return !(await reaches("0.4"));
    });
    console.log(`in force ${Math.round(asked - made)} ms after kubectl's end`);
    // The node still reaches its own pods.
    expect(await answers("n1", on("n1"), "20")).toBe(true);
    await cluster.kubectl("delete", "-f", file);
    return asked - made;
  });
  expect(tookMs).toBeLessThan(DENIED_MS_MAX);
  await until("it is gone", 60_000, () => reaches("5"));
});

test("a node that is cut off still resolves what it knows", async () => {
  await cluster.lab.partition("n2");
  const name = "web.default.svc.cluster.local";
  const dig = ["dig", "+short", "+time=20", "+tries=1", "@10.43.0.10", name];
  expect((await cluster.lab.must("n2", ...dig)).trim()).toMatch(/^10\.43\.\d+\.\d+$/);
  await cluster.lab.heal("n2");
});
