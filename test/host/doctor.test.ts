/**
 * What `bramble doctor` reads of a machine: each bad state is made for real, in mounts and a
 * network of their own, and must be named with the command that mends it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PrivateContainerd, startContainerd } from "#test/support/containerd.ts";
import { mustRun, run } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";

let dir: string;
let containerd: PrivateContainerd;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-doctor-"));
  containerd = await startContainerd();
});

afterAll(async () => {
  await containerd?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Loop devices are the machine's, not the namespace's. */
const PRELUDE = `
loops=()
end() {
  set +e
  cd / && umount -R $own/* 2>/dev/null
  for l in "\${loops[@]}"; do /sbin/swapoff $l 2>/dev/null; losetup -d $l; done
}
trap end EXIT
loop_of() { truncate -s "$2" "$1"; loop=$(losetup --find --show "$1"); loops+=($loop); }
program() {
  mkdir -p bin && printf '#!/bin/sh\\n%s\\n' "$2" >bin/$1 && chmod +x bin/$1
  PATH=$PWD/bin:$PATH
}
link() {
  ip link add "$1" type veth peer name "veth-$1"
  ip link set "veth-$1" up && ip link set "$1" up
}
doctor() { "$BRAMBLE" doctor "$@" || true; }
`;

/** What a script prints in namespaces of its own, in an empty folder; it knows `doctor`. */
async function apart(script: string): Promise<string> {
  const own = mkdtempSync(join(dir, "case-"));
  const text = `own=${own}; cd $own\n${PRELUDE}\n${script}`;
  return mustRun(["unshare", "--mount", "--net", "bash", "-ec", text], { env: { BRAMBLE } });
}

/** The findings of one check with the commands below them. */
function of(check: string, said: string): string[] {
  const blocks = said.trimEnd().split(/\n(?! {8})/);
  return blocks.filter(
    (block) => block.startsWith(`${check}: `) || block.slice(6).startsWith(`${check}: `),
  );
}

test("control groups without the memory controller, of both versions", async () => {
  const one = await apart(`
    [ ! -e /sys/fs/cgroup/cgroup.controllers ] || mount -t tmpfs tmpfs /sys/fs/cgroup
    sed '/^memory/s/1$/0/; /^pids/s/1$/0/' /proc/cgroups >groups
    mount --bind groups /proc/cgroups && doctor`);
  expect(of("memory control group", one)[0]).toStartWith("FAIL  memory control group: the kernel");
  expect(of("other control groups", one)).toEqual([
    "warn  other control groups: no pids: such limits have no effect",
  ]);
  const two = await apart(`
    mount -t tmpfs tmpfs /sys/fs/cgroup
    echo 'cpuset cpu io pids' >/sys/fs/cgroup/cgroup.controllers && doctor
    echo 'cpuset cpu io memory pids' >/sys/fs/cgroup/cgroup.controllers && doctor`);
  expect(of("memory control group", two).map((text) => text.slice(0, 4))).toEqual(["FAIL", "ok  "]);
});

test("kernel modules that are not loaded, and modprobe for each", async () => {
  const said = await apart(`
    mkdir upper work
    mount -t overlay -o lowerdir=/usr/lib,upperdir=upper,workdir=work overlay /usr/lib
    release=/usr/lib/modules/$(uname -r) && mkdir -p $release
    mount -t tmpfs tmpfs /sys/module && mkdir /sys/module/overlay
    mount -t tmpfs tmpfs /proc/sys/net
    program modprobe 'mkdir "/sys/module/$1"'
    doctor --network vxlan
    echo kernel/drivers/net/vxlan/vxlan.ko >$release/modules.builtin
    doctor --network vxlan && doctor --network vxlan --fix`);
  expect(of("kernel modules", said)).toEqual([
    [
      "FAIL  kernel modules: not loaded: br_netfilter, nf_conntrack, vxlan",
      "        modprobe br_netfilter",
      "        modprobe nf_conntrack",
      "        modprobe vxlan",
    ].join("\n"),
    [
      "FAIL  kernel modules: not loaded: br_netfilter, nf_conntrack",
      "        modprobe br_netfilter",
      "        modprobe nf_conntrack",
    ].join("\n"),
    "kernel modules: mended",
    "ok    kernel modules: overlay, br_netfilter, nf_conntrack, vxlan",
  ]);
});

test("rules of the back end that iptables is not, and the way to one of both", async () => {
  const said = await apart(`
    for d in /etc/alternatives /var/lib/dpkg/alternatives; do
      mkdir -p .$d && cp -a $d/. .$d && mount --bind .$d $d
    done
    touch log && mount --bind log /var/log/alternatives.log
    update-alternatives --quiet --set iptables /usr/sbin/iptables-nft
    update-alternatives --quiet --set ip6tables /usr/sbin/ip6tables-nft
    iptables-nft -A INPUT -s 10.9.9.9 -j ACCEPT
    doctor
    iptables-nft -F && iptables-legacy -A INPUT -s 10.9.9.9 -j ACCEPT
    iptables-legacy -A INPUT -s 10.9.9.8 -j ACCEPT
    doctor && doctor --fix
    iptables --version && ip6tables --version`);
  const repair = [
    "warn  iptables: 2 rules of the legacy back end beside nft: each packet meets both",
    "        update-alternatives --set iptables /usr/sbin/iptables-legacy",
    "        update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy",
  ];
  const version = /iptables v[\d.]+/.exec(said)?.[0];
  expect(of("iptables", said)).toEqual([
    `ok    iptables: ${version} (nf_tables)`,
    repair.join("\n"),
    "iptables: mended",
    `ok    iptables: ${version} (legacy)`,
  ]);
  expect(said).toMatch(/\nip6tables v\S+ \(legacy\)\n$/);
});

test("swap on a disk, and that it is turned off", async () => {
  const said = await apart(`
    loop_of card 8M && mkswap $loop >/dev/null && swapon $loop
    # Only this one: another may be the machine's.
    program swapoff "[ \\"\\$*\\" = -a ] && exec /sbin/swapoff $loop"
    doctor && doctor --fix`);
  expect(of("swap", said)[0]).toMatch(/^warn {2}swap: 8 MB on \S*\/loop\d+: .*\n {8}swapoff -a$/);
  expect(of("swap", said).slice(1)).toEqual(["swap: mended", "ok    swap: none"]);
});

test("the disk: a card, one that fills, one in memory, one of layers", async () => {
  const said = await apart(`
    mkdir card memory lower upper work layers
    loop_of file 2G && mkfs.ext4 -q -m 0 -E lazy_itable_init=1 $loop
    mknod mmcblk0p2 b $((0x$(stat -c %t $loop))) $((0x$(stat -c %T $loop)))
    mount mmcblk0p2 card && doctor --data-dir $PWD/card/not/there/yet
    fallocate -l 700M card/some && doctor --data-dir $PWD/card
    fallocate -l 500M card/more && doctor --data-dir $PWD/card
    rm card/* -r; umount card; umount mmcblk0p2 2>/dev/null || true
    mount -t tmpfs -o size=8g tmpfs memory && doctor --data-dir $PWD/memory/b
    mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay layers
    doctor --data-dir $PWD/layers`);
  const found = of("disk", said).map((text) => text.replaceAll(/(?<=disk: )\/\S*case-[^/]*/g, "."));
  expect(found).toEqual([
    "ok    disk: ./card/not/there/yet: 1.9 GB free of 1.9, ext4, SD card or eMMC",
    "ok    disk: ./card: 1.2 GB free of 1.9, ext4, SD card or eMMC",
    "FAIL  disk: ./card: 0.7 GB free of 1.9: images need more",
    "warn  disk: ./memory/b: in memory: all is lost at a restart",
    "warn  disk: ./layers: overlayfs: containers cannot use it for theirs",
  ]);
});

test("a clock of 1970", async () => {
  const said = await apart("faketime '1970-01-01 12:00:00' \"$BRAMBLE\" doctor || true");
  expect(of("clock", said)[0]).toStartWith("FAIL  clock: it says 1970-01-01T12:00");
});

test("a port that another program has", async () => {
  const said = await apart(`
    ip link set lo up
    nc.openbsd -l 127.0.0.1 7443 & nc.openbsd -u -l 127.0.0.1 7444 & servers=$(jobs -p)
    for i in $(seq 100); do [ "$(ss -lntuH | wc -l)" = 2 ] && break; sleep 0.05; done
    doctor --https-port 7443; doctor --https-port 7444; doctor --role agent --https-port 7443
    kill $servers`);
  expect(of("ports", said)).toEqual([
    "FAIL  ports: 7443/tcp is taken by nc.openbsd: stop it, or choose another with --https-port",
    "ok    ports: 7444/tcp free or bramble's",
    "ok    ports: none needed",
  ]);
});

test("containerd: away, there, and too old", async () => {
  const said = await apart(`
    doctor --containerd-address $PWD/no.sock
    doctor --containerd-address ${containerd.address}
    program ctr 'printf "Client:\\n  Version:  1.7.1\\n\\nServer:\\n  Version:  1.5.9~ds1\\n"'
    doctor --containerd-address ${containerd.address}`);
  const [away = "", there, old = ""] = of("containerd", said);
  expect(away).toMatch(/^FAIL {2}containerd: does not answer on \/\S+\/no\.sock/);
  const version = await mustRun(["containerd", "--version"]);
  expect(version).toContain(` ${there?.replace("ok    containerd: ", "")} `);
  expect(old).toStartWith("FAIL  containerd: 1.5.9~ds1 is too old: 1.6 or newer\n        apt-get");
  expect(old).toEndWith("apt-get install -y containerd");
});

test("programs that are missing or too old, and CNI plugins", async () => {
  const said = await apart(`
    mkdir cni few && touch cni/bridge
    for p in ip ss ctr containerd apt-get; do ln -s "$(command -v $p)" few/$p; done
    program nerdctl 'echo nerdctl version 1.4.0'
    mount -t tmpfs tmpfs /usr/sbin
    PATH=$PWD/few doctor --cni-bin-dir $PWD/cni --nerdctl $PWD/bin/nerdctl \\
      --containerd-address ${containerd.address}`);
  const apt = "        apt-get install -y";
  expect(of("containerd", said)).toEqual([
    `FAIL  containerd: no runc\n        apt-get update\n${apt} runc`,
  ]);
  expect(of("nerdctl", said)).toEqual([
    "FAIL  nerdctl: 1.4.0 is too old: 1.7 or newer; install.sh brings it",
  ]);
  expect(of("CNI plugins", said)[0]).toMatch(/\/cni has no host-local, loopback\n/);
  expect(of("CNI plugins", said)[0]).toEndWith(`${apt} containernetworking-plugins`);
  expect(of("iptables", said)).toEqual([`FAIL  iptables: missing\n${apt} iptables`]);
  expect(of("conntrack", said)[0]).toEndWith(`\n${apt} conntrack`);
});

test("programs are found where PATH lacks the administrator's folders, and may fail", async () => {
  const said = await apart(`
    PATH=/usr/bin:/bin doctor --containerd-address ${containerd.address}
    program iptables 'echo "iptables/1.8.9 no nf_tables here" >&2; exit 1' && doctor`);
  expect(of("containerd", said)[0]).toStartWith("ok    containerd: ");
  expect(of("conntrack", said)[0]).toStartWith("ok    conntrack: ");
  expect(of("iptables", said)).toEqual([
    `ok    iptables: ${(await mustRun(["iptables", "--version"])).trim()}`,
    "FAIL  iptables: there, but fails: iptables/1.8.9 no nf_tables here",
  ]);
});

test("multicast and the MTU, of links that are no cluster's", async () => {
  const said = await apart(`
    doctor
    link cni0 && link brm-1x && link eth0
    ip link set eth0 mtu 1400 multicast off && ip link set cni0 mtu 1280
    ip address add 10.9.9.2/24 dev eth0 && ip route add default via 10.9.9.1
    doctor --network vxlan
    ip link set eth0 mtu 1200 multicast on
    doctor --fix
    ip -o link show eth0`);
  const none = "warn  multicast: no link can: devices must be told their server with --server";
  expect(of("multicast", said)).toEqual([none, none, "ok    multicast: eth0"]);
  const repair = "\n        ip link set dev eth0 mtu 1500";
  expect(of("MTU", said)).toEqual([
    "warn  MTU: no default route: name this node's address, --node-ip",
    `warn  MTU: eth0: 1400, VXLAN expects 1500${repair}`,
    "MTU: mended",
    "ok    MTU: eth0: 1500",
  ]);
  expect(said).toContain(" mtu 1500 ");
});

test("without root it says so, and goes on", async () => {
  const argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BRAMBLE, "doctor"];
  const { exitCode, stdout } = await run(argv, { env: { HOME: "/nonexistent" } });
  expect(exitCode).toBe(1);
  expect(of("user", stdout)[0]).toStartWith("FAIL  user: not root");
  expect(of("memory", stdout)[0]).toMatch(/^(?:ok {4}|warn {2})memory: \d+ MB/);
});
