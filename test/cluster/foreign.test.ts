/**
 * Rules of other programs on a node's machine, byte for byte: while Services, policies and host
 * ports come and go, and when `bramble delete` has taken the node away.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { BRAMBLE, until } from "#test/support/lab.ts";
import { webImage } from "#test/support/webimage.ts";

/** Of a firewall, a container engine, a VPN and an administrator, in all their tables. */
const FOREIGN = `
set -e
iptables-restore <<'RULES'
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A PREROUTING -p udp -m udp --dport 4789 -j NOTRACK
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A FORWARD -o wg0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
-A OUTPUT -m mark --mark 0x20/0xff -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:ENGINE - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j ENGINE
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j ENGINE
-A POSTROUTING -s 172.17.0.0/16 ! -o engine0 -j MASQUERADE
-A ENGINE ! -i engine0 -p tcp -m tcp --dport 8099 -j DNAT --to-destination 172.17.0.2:80
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:ENGINE-USER - [0:0]
:ADMIN - [0:0]
-A INPUT -j ADMIN
-A FORWARD -j ENGINE-USER
-A FORWARD -i engine0 -o engine0 -j ACCEPT
-A ADMIN -p tcp -m tcp --dport 23 -m comment --comment "no telnet: \\"never\\" again" -j DROP
-A ADMIN -m set --match-set blocked src -j DROP
-A ENGINE-USER -j RETURN
COMMIT
RULES
ip6tables-restore <<'RULES'
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p ipv6-icmp -j ACCEPT
COMMIT
RULES
nft -f - <<'RULES'
table inet others {
  set friends { type ipv4_addr; flags interval; elements = { 192.0.2.0/28, 198.51.100.7 } }
  chain input {
    type filter hook input priority 10; policy accept;
    ip saddr @friends counter accept
  }
}
RULES
ip rule add fwmark 0x20/0xff table 77 priority 1077
ip route add 203.0.113.0/24 dev lo table 77
ip route add 198.51.100.0/24 via 192.168.77.1
`;

/** Counters and the time of saving are the kernel's own. */
const SAVED = `
set -e
tidy() { sed -e '/^#/d' -e 's/\\[[0-9]*:[0-9]*\\]/[]/' | sed 's/packets [0-9]* bytes [0-9]*//'; }
for program in iptables-save ip6tables-save; do echo "== $program"; $program | tidy; done
echo "== nft"; nft list ruleset | tidy
echo "== ipset"; ipset save
ip rule; ip -6 rule; ip route show table 77; ip route show table main
`;

const WORKLOAD = `
apiVersion: v1
kind: Pod
metadata: {name: door, labels: {app: door}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: bramble.local/web:1
      imagePullPolicy: Never
      ports: [{containerPort: 8080, hostPort: 8088}]
---
apiVersion: v1
kind: Service
metadata: {name: door}
spec:
  type: LoadBalancer
  sessionAffinity: ClientIP
  selector: {app: door}
  ports: [{port: 8089, targetPort: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: some}
spec:
  podSelector: {matchLabels: {app: door}}
  ingress: [{ports: [{port: 8080}]}]
`;

let cluster: LabCluster;
let dir: string;
let image: string;
let before = "";

beforeAll(async () => {
  // A lab node sees the machine's /tmp, not its /var/lib or /run.
  dir = mkdtempSync(join(tmpdir(), "bramble-foreign-"));
  image = await webImage(dir);
  cluster = await startCluster({ nodes: 1, dir });
  await node("ipset", "create", "blocked", "hash:net");
  await node("ipset", "add", "blocked", "203.0.113.0/24");
  await node("sh", "-c", FOREIGN);
  before = await rules();
  await Bun.write(join(dir, "workload.yaml"), WORKLOAD);
}, 180_000);

afterAll(async () => {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
}, 180_000);

const node = (...argv: string[]) => cluster.lab.must("n1", ...argv);
const rules = () => node("sh", "-c", SAVED);

/** Chains and rules of iptables that are not ours, in their order. */
function others(text: string): string[] {
  const [saved = ""] = text.split("== nft", 1);
  return saved.split("\n").filter((line) => !line.includes("BRAMBLE-"));
}

for (const mode of ["iptables", "nftables"]) {
  test(`a node with --proxy-mode ${mode} leaves nothing and takes nothing`, async () => {
    // Where there is an etcd, it keeps the cluster whose node was deleted.
    await cluster.startServer({ flags: ["--proxy-mode", mode, "--etcd-prefix", `/${mode}/`] });
    await cluster.readyNodes(1, 60_000);
    await node(BRAMBLE, "image", "load", image);
    await cluster.kubectl("create", "-f", join(dir, "workload.yaml"));
    for (const port of ["8088", "8089"]) {
      const ask = ["curl", "-fsS", "--max-time", "1", `http://192.168.77.11:${port}/`];
      await until(`port ${port} answers`, 60_000, async () => {
        return (await cluster.lab.exec("lan", ...ask)).exitCode === 0;
      });
    }
    const during = await rules();
    expect(during).toContain("BRAMBLE-");
    expect(during.includes("table ip bramble ")).toBe(mode === "nftables");
    expect(others(during)).toEqual(others(before));
    await cluster.stop("n1");
    await node(BRAMBLE, "delete");
    expect(await rules()).toBe(before);
  }, 270_000);
}
