/** What the doctor says of machines that lack something, with the exact repair. */
import { expect, test } from "bun:test";
import { diagnose } from "../../../src/main/doctor/checks.ts";
import type { Facts, Finding } from "../../../src/main/doctor/facts.ts";
import { shellText } from "../../../src/main/doctor/fix.ts";

const GIB = 1024 ** 3;

/** A Raspberry Pi 5 where everything is as it should be. */
const healthy: Facts = {
  role: "server",
  isRoot: true,
  hasSystemd: true,
  hasApt: true,
  controllers: ["cpuset", "cpu", "io", "memory", "pids"],
  bootCommandLine: { path: "/boot/firmware/cmdline.txt", text: "console=tty1 root=PARTUUID=1-02" },
  kernelCommandLine: "console=tty1 root=PARTUUID=1-02",
  modules: ["overlay", "br_netfilter", "nf_conntrack", "vxlan"],
  iptables: "iptables v1.8.9 (nf_tables)",
  iptablesFailure: undefined,
  strayRules: 0,
  swaps: [{ name: "/dev/zram0", bytes: GIB }],
  memoryBytes: 4 * GIB,
  pageBytes: 16_384,
  disk: {
    path: "/var/lib/bramble",
    fileSystem: "ext4",
    device: "/dev/mmcblk0p2",
    freeBytes: 20 * GIB,
    totalBytes: 29 * GIB,
  },
  nowMs: Date.UTC(2026, 10, 24, 12),
  clockIsSynchronized: true,
  canSynchronize: true,
  listeners: [{ protocol: "tcp", port: 6443, program: "bramble" }],
  ports: [{ protocol: "tcp", port: 6443, setting: "--https-port" }],
  containerd: { address: "/run/c.sock", installed: true, version: "1.6.20~ds1" },
  runc: true,
  nerdctl: { program: "nerdctl", version: "2.0.4" },
  cni: { folder: "/usr/lib/cni", missing: [] },
  conntrack: true,
  network: "host-gw",
  links: [{ name: "eth0", mtu: 1500, multicast: true, isDefault: true }],
  firewall: { ufw: undefined, firewalld: undefined },
  clusterCidr: "10.42.0.0/16",
  serviceCidr: "10.43.0.0/16",
};

/** As the command prints it, without what is well. */
function said(change: Partial<Facts>): string[] {
  const text = ({ level, check, text, repair = [], needsReboot }: Finding): string[] => [
    `${level} ${check}: ${text}`,
    ...repair.map((command) => `  ${shellText(command)}`),
    ...(needsReboot === true ? ["  restart"] : []),
  ];
  const findings = diagnose({ ...healthy, ...change });
  return findings.filter(({ level }) => level !== "ok").flatMap(text);
}

test("a healthy machine has nothing to mend, with pages of 16 KB too", () => {
  expect(said({})).toEqual([]);
  const texts = diagnose(healthy).map(({ check, text }) => `${check}: ${text}`);
  expect(texts).toContain("page size: 16 KB");
  expect(texts).toContain("disk: /var/lib/bramble: 20.0 GB free of 29.0, ext4, SD card or eMMC");
});

test("a Pi's kernel is told to have the memory controller", () => {
  const controllers = ["cpu", "pids"];
  expect(said({ controllers })).toEqual([
    "fail memory control group: the kernel was started without it: no pod's memory can be limited or measured",
    "  sed -i '1s/ *$/ cgroup_enable=memory cgroup_memory=1/' /boot/firmware/cmdline.txt",
    "  restart",
  ]);
  const path = "/boot/firmware/cmdline.txt";
  const off = { path, text: "root=/dev/sda1 cgroup_disable=memory cgroup_memory=1" };
  expect(said({ controllers, bootCommandLine: off }).slice(1)).toEqual([
    "  sed -i 's/ *cgroup_disable=memory//' /boot/firmware/cmdline.txt",
    "  sed -i '1s/ *$/ cgroup_enable=memory/' /boot/firmware/cmdline.txt",
    "  restart",
  ]);
  const asked = { path, text: "root=/dev/sda1 cgroup_enable=memory cgroup_memory=1" };
  expect(said({ controllers, bootCommandLine: asked })).toEqual([
    "fail memory control group: the kernel was started without it, and /boot/firmware/cmdline.txt asks for it: restart the machine",
  ]);
});

test("what is missing is installed, loaded or started", () => {
  expect(
    said({
      modules: ["overlay"],
      iptables: undefined,
      conntrack: false,
      cni: { folder: "/usr/lib/cni", missing: ["bridge"] },
      containerd: { address: "/run/c.sock", installed: false, version: undefined },
    }),
  ).toEqual([
    "fail kernel modules: not loaded: br_netfilter, nf_conntrack",
    "  modprobe br_netfilter",
    "  modprobe nf_conntrack",
    "fail containerd: missing",
    "  apt-get update",
    "  apt-get install -y containerd runc",
    "fail CNI plugins: /usr/lib/cni has no bridge",
    "  apt-get install -y containernetworking-plugins",
    "fail iptables: missing",
    "  apt-get install -y iptables",
    "warn conntrack: missing: UDP clients of a Service may go on talking to a pod that is gone",
    "  apt-get install -y conntrack",
  ]);
  const stopped = { address: "/run/c.sock", installed: true, version: undefined };
  expect(said({ containerd: stopped })).toEqual([
    "fail containerd: does not answer on /run/c.sock",
    "  systemctl enable --now containerd",
  ]);
});

test("a disk of which nothing says what it is has no kind", () => {
  const disk = { ...healthy.disk, fileSystem: "", device: "" };
  const found = diagnose({ ...healthy, disk }).find(({ check }) => check === "disk");
  expect(found?.text).toBe("/var/lib/bramble: 20.0 GB free of 29.0");
});

test("an iptables that fails is not taken for a missing one", () => {
  expect(said({ iptables: undefined, iptablesFailure: "no nf_tables" })).toEqual([
    "fail iptables: there, but fails: no nf_tables",
  ]);
});

test("versions that are too old are told with the least one", () => {
  const old = { address: "/run/c.sock", installed: true, version: "1.5.9" };
  expect(said({ containerd: old, nerdctl: { program: "nerdctl", version: "1.4.0" } })).toEqual([
    "fail containerd: 1.5.9 is too old: 1.6 or newer",
    "  apt-get update",
    "  apt-get install -y containerd",
    "fail nerdctl: 1.4.0 is too old: 1.7 or newer; install.sh brings it",
  ]);
});

test("a clock without a battery", () => {
  expect(said({ nowMs: 0, clockIsSynchronized: false })).toEqual([
    "fail clock: it says 1970-01-01T00:00",
    "  timedatectl set-ntp true",
  ]);
  const now = "2026-11-24T12:00, not synchronized";
  const text = `warn clock: ${now}: without a battery it is wrong after each start`;
  expect(said({ clockIsSynchronized: false, hasSystemd: false })).toEqual([text]);
  expect(said({ clockIsSynchronized: false, canSynchronize: false })).toEqual([
    text,
    "  apt-get update",
    "  apt-get install -y systemd-timesyncd",
    "  timedatectl set-ntp true",
  ]);
});

test("a firewall is told only what it does not let through yet", () => {
  const made = [
    "(None)",
    ...["6443/tcp", "5353/udp", "from 10.42.0.0/16"].map((what) => `ufw allow ${what}`),
    ...["from 10.42.0.0/16", "to 10.42.0.0/16"].map((what) => `ufw route allow ${what}`),
    ...["from 10.43.0.0/16", "to 10.43.0.0/16"].map((what) => `ufw route allow ${what}`),
  ];
  expect(said({ firewall: { ufw: made, firewalld: undefined } })).toEqual([
    "warn firewall: ufw is on: it must let the cluster through",
    "  ufw allow from 10.43.0.0/16",
  ]);
  const all = [...made, "ufw allow from 10.43.0.0/16"];
  expect(said({ firewall: { ufw: all, firewalld: undefined } })).toEqual([]);
  const known = { ports: ["6443/tcp"], trusted: ["10.42.0.0/16"] };
  expect(said({ firewall: { ufw: undefined, firewalld: known } })).toEqual([
    "warn firewall: firewalld is on: it must let the cluster through",
    "  firewall-cmd --permanent --add-port=5353/udp",
    "  firewall-cmd --permanent --zone=trusted --add-source=10.43.0.0/16",
    "  firewall-cmd --reload",
  ]);
  const whole = { ports: ["5353/udp", "6443/tcp"], trusted: ["10.43.0.0/16", "10.42.0.0/16"] };
  expect(said({ firewall: { ufw: undefined, firewalld: whole } })).toEqual([]);
});

test("disks that cannot hold the state or the images", () => {
  const disk = healthy.disk;
  expect(said({ disk: { ...disk, fileSystem: "nfs4" } })).toEqual([
    "fail disk: /var/lib/bramble: nfs4 cannot hold the state: name a local disk with --data-dir",
  ]);
  expect(said({ disk: { ...disk, freeBytes: GIB / 2 } })).toEqual([
    "fail disk: /var/lib/bramble: 0.5 GB free of 29.0: images need more",
  ]);
  expect(said({ disk: { ...disk, freeBytes: 2 * GIB } })).toEqual([
    "warn disk: /var/lib/bramble: 2.0 GB free of 29.0: unused images are removed at 15 %",
  ]);
});

test("swap on a card", () => {
  expect(said({ swaps: [{ name: "/var/swap", bytes: 100 * 1024 ** 2 }] })).toEqual([
    "warn swap: 100 MB on /var/swap: a pod over its memory gets slow instead of ended, and a card wears",
    "  systemctl disable --now dphys-swapfile",
  ]);
});

test("the network: a taken port, no multicast, a small MTU, two back ends, a firewall", () => {
  expect(
    said({
      listeners: [{ protocol: "tcp", port: 6443, program: "k3s-server" }],
      links: [{ name: "wg0", mtu: 1420, multicast: false, isDefault: true }],
      strayRules: 12,
      firewall: { ufw: [], firewalld: undefined },
      role: "agent",
      network: "vxlan",
    }),
  ).toEqual([
    "warn iptables: 12 rules of the legacy back end beside nft: each packet meets both",
    "  update-alternatives --set iptables /usr/sbin/iptables-legacy",
    "  update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy",
    "fail ports: 6443/tcp is taken by k3s-server: stop it, or choose another with --https-port",
    "warn multicast: no link can: devices must be told their server with --server",
    "warn MTU: wg0: 1420, VXLAN expects 1500",
    "  ip link set dev wg0 mtu 1500",
    "warn firewall: ufw is on: it must let the cluster through",
    "  ufw allow 5353/udp",
    "  ufw allow 8472/udp",
    "  ufw allow from 10.42.0.0/16",
    "  ufw route allow from 10.42.0.0/16",
    "  ufw route allow to 10.42.0.0/16",
    "  ufw allow from 10.43.0.0/16",
    "  ufw route allow from 10.43.0.0/16",
    "  ufw route allow to 10.43.0.0/16",
  ]);
});
