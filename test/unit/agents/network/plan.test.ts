import { expect, test } from "bun:test";
import type { PodAttachment } from "#agents/network/cni.ts";
import { planFirewall } from "#agents/network/firewall.ts";
import {
  bridgeName,
  instanceTag,
  netnsName,
  overlayName,
  parseNetnsName,
} from "#agents/network/instance.ts";
import { planOverlay } from "#agents/network/overlay.ts";
import * as plan from "#agents/network/plan.ts";
import type { Family } from "#base/cidr.ts";
import type { Node } from "#resources/types.gen.ts";

function node(name: string, address: string, ...podCIDRs: string[]): Node {
  return {
    metadata: { name },
    spec: { ...(podCIDRs[0] && { podCIDR: podCIDRs[0] }), podCIDRs },
    status: {
      addresses: [
        { type: "Hostname", address: name },
        ...address.split(",").map((one) => ({ type: "InternalIP", address: one })),
      ],
    },
  };
}

const attachment = (more: Partial<PodAttachment>): PodAttachment => ({
  podUid: "u",
  sandboxId: "s",
  ip: "10.42.1.7",
  ips: ["10.42.1.7"],
  netnsPath: "/run/netns/x",
  portMappings: [],
  ...more,
});

const state: plan.NetworkState = {
  nodeName: "n1",
  clusterCidr: "10.42.0.0/16,fd00:42::/56",
  nodes: [
    node("n1", "192.168.0.1", "10.42.1.0/24", "fd00:42:0:1::/64"),
    node("n3", "192.168.0.3", "10.42.3.0/24"),
    node("n2", "192.168.0.2,fd00::2", "10.42.2.0/24", "fd00:42:0:2::/64"),
    node("same-machine", "192.168.0.1", "10.42.9.0/24"),
    node("no-cidr-yet", "192.168.0.5"),
  ],
  attachments: [],
  localhostPorts: true,
};

test("a route to each other node that has pods, by family", () => {
  expect(plan.planRoutes(plan.planPeers(state, "IPv4"))).toEqual([
    { dst: "10.42.2.0/24", via: "192.168.0.2" },
    { dst: "10.42.3.0/24", via: "192.168.0.3" },
  ]);
  expect(plan.planRoutes(plan.planPeers(state, "IPv6"))).toEqual([
    { dst: "fd00:42:0:2::/64", via: "fd00::2" },
  ]);
});

const rulesOf = (name: string, of: plan.NetworkState = state, family: Family = "IPv4") =>
  plan.planNetworkRules(of, family).chains.find((chain) => chain.name === name)?.rules;

test("only what leaves the cluster is masqueraded", () => {
  expect(rulesOf("POST")).toEqual([
    "-s 10.42.0.0/16 -d 10.42.0.0/16 -j RETURN",
    "-s 10.42.1.0/24 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully",
  ]);
  expect(rulesOf("POST", state, "IPv6")).toEqual([
    "-s fd00:42::/56 -d fd00:42::/56 -j RETURN",
    "-s fd00:42:0:1::/64 ! -d ff00::/8 -j MASQUERADE --random-fully",
  ]);
  expect(rulesOf("PODS")).toEqual(["-s 10.42.0.0/16 -j ACCEPT", "-d 10.42.0.0/16 -j ACCEPT"]);
});

test("127.0.0.1 is guarded where it answers host ports", () => {
  expect(rulesOf("LOCALNET")).toHaveLength(1);
  expect(rulesOf("LOCALNET", { ...state, localhostPorts: false })).toBeUndefined();
});

test("host ports lead to their pod, on the address that was asked for", () => {
  const portMappings: PodAttachment["portMappings"] = [
    { hostPort: 80, containerPort: 8080, protocol: "TCP" },
    { hostPort: 53, containerPort: 5353, protocol: "UDP", hostIP: "192.168.0.1" },
    { hostPort: 81, containerPort: 8081, protocol: "TCP", hostIP: "0.0.0.0" },
    { hostPort: 82, containerPort: 8082, protocol: "TCP", hostIP: "fd00::1" },
  ];
  const ips = ["10.42.1.7", "fd00:42:0:1::7"];
  const of = { ...state, attachments: [attachment({}), attachment({ portMappings, ips })] };
  expect(rulesOf("HOSTPORTS", of)).toEqual([
    "-p tcp --dport 80 -j DNAT --to-destination 10.42.1.7:8080",
    "-d 192.168.0.1/32 -p udp --dport 53 -j DNAT --to-destination 10.42.1.7:5353",
    "-p tcp --dport 81 -j DNAT --to-destination 10.42.1.7:8081",
  ]);
  expect(rulesOf("HOSTPORTS", of, "IPv6")).toContain(
    "-d fd00::1/128 -p tcp --dport 82 -j DNAT --to-destination [fd00:42:0:1::7]:8082",
  );
  expect(rulesOf("POST", of)?.[0]).toBe(
    "-s 10.42.1.7/32 -d 10.42.1.7/32 -m conntrack --ctstate DNAT -j MASQUERADE",
  );
});

test("every node works out the same overlay", () => {
  const options = { instance: "", mtu: 1450 };
  const peers = plan.planPeers(state, "IPv4");
  const here = planOverlay(state, peers, options);
  const there = { ...state, nodeName: "n2" };
  const back = planOverlay(there, plan.planPeers(there, "IPv4"), options);
  const mac = here?.members.find(({ name }) => name === "n2")?.mac;
  expect(mac).toMatch(/^02:b7(:[0-9a-f]{2}){4}$/);
  expect(back?.link.mac).toBe(mac ?? "");
  expect(back?.link.vni).toBe(here?.link.vni ?? 0);
  expect(here?.link).toMatchObject({ local: "192.168.0.1", address: "10.42.1.0" });
  expect(here?.routes[0]).toEqual({ dst: "10.42.2.0/24", via: "10.42.2.0" });
  expect(planOverlay({ ...state, nodeName: "no-cidr-yet" }, [], options)).toBeUndefined();
});

test("names in the kernel carry the instance and fit", () => {
  expect([bridgeName(""), bridgeName("default"), overlayName("")]).toEqual([
    "bramble0",
    "bramble0",
    "bramble-vx",
  ]);
  for (const instance of ["a", "a-very-long-instance-name", "UPPER", "e2e.42"]) {
    expect(bridgeName(instance).length).toBeLessThanOrEqual(15);
    expect(overlayName(instance).length).toBeLessThanOrEqual(15);
    expect(instanceTag(instance)).toMatch(/^[a-z0-9]{1,7}$/);
  }
  const name = netnsName("two", "u-1", "s.1");
  expect(parseNetnsName("two", name)).toEqual({ podUid: "u-1", sandboxId: "s.1" });
  expect(parseNetnsName("", name)).toBeUndefined();
  expect(parseNetnsName("two", "bramble_two_x")).toBeUndefined();
  expect(() => netnsName("", "../etc", "s")).toThrow("pod uid");
  expect(() => netnsName("", "u", "a_b")).toThrow("sandbox id");
});

const firewallOf = (name: string, more: Partial<plan.NetworkState>, family: Family = "IPv4") =>
  planFirewall({ ...state, ...more }, family).chains.find((chain) => chain.name === name)?.rules;

test("pods get nowhere near the machine's metadata", () => {
  expect(firewallOf("SHUT", {})).toEqual(["-s 10.42.0.0/16 -d 169.254.0.0/16 -j REJECT"]);
  expect(firewallOf("SHUT", {}, "IPv6")).toEqual([
    "-s fd00:42::/56 -d fd00:ec2::254/128 -j REJECT",
  ]);
});

test("pods get nowhere near the datastore, whichever of the machine's addresses it has", () => {
  const datastore = [
    { address: "127.0.0.1", port: 2379 },
    { address: "192.168.0.9", port: 2380 },
  ];
  expect(firewallOf("SHUT", { datastore })?.slice(1)).toEqual([
    "-s 10.42.0.0/16 -p tcp --dport 2379 -m addrtype --dst-type LOCAL -j REJECT",
    "-s 10.42.0.0/16 -d 127.0.0.1 -p tcp --dport 2379 -j REJECT",
    "-s 10.42.0.0/16 -p tcp --dport 2380 -m addrtype --dst-type LOCAL -j REJECT",
    "-s 10.42.0.0/16 -d 192.168.0.9 -p tcp --dport 2380 -j REJECT",
  ]);
});

test("the cluster's members get to DNS, API and overlay, strangers not into the overlay", () => {
  expect(firewallOf("OPENED", {})).toEqual([]);
  const dnsAddresses = ["10.43.0.10", "fd00:43::a"];
  expect(firewallOf("OPENED", { dnsAddresses, apiPort: 6443, overlay: true })).toEqual([
    "-s 10.42.0.0/16 -d 10.43.0.10 -p udp --dport 53 -j ACCEPT",
    "-s 10.42.0.0/16 -d 10.43.0.10 -p tcp --dport 53 -j ACCEPT",
    "-s 10.42.0.0/16 -p tcp --dport 6443 -j ACCEPT",
    "-s 192.168.0.2 -p tcp --dport 6443 -j ACCEPT",
    "-s 192.168.0.3 -p tcp --dport 6443 -j ACCEPT",
    "-s 192.168.0.2 -p udp --dport 8472 -j ACCEPT",
    "-s 192.168.0.3 -p udp --dport 8472 -j ACCEPT",
    "-p udp --dport 8472 -j DROP",
  ]);
});
