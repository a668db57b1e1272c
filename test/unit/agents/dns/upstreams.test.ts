import { expect, test } from "bun:test";
import { parseResolvConf, planForwarding, upstreamsFor } from "#agents/dns/upstreams.ts";

test("resolv.conf: the first three name servers, without ourselves", () => {
  const text = [
    "# by DHCP",
    "search lan",
    "nameserver 10.43.0.10",
    "  nameserver 192.168.1.1  ",
    "nameserver fe80::1%eth0",
    "nameserver 1.1.1.1",
    "nameserver 8.8.8.8",
  ].join("\n");
  expect(parseResolvConf(text, ["10.43.0.10"]).map(({ address }) => address)).toEqual([
    "192.168.1.1",
    "fe80::1%eth0",
    "1.1.1.1",
  ]);
});

const machine = [{ address: "192.168.1.1", port: 53 }];

test("the ConfigMap kube-dns says where to ask", () => {
  const forwarding = planForwarding(machine, {
    data: {
      upstreamNameservers: '["9.9.9.9", "9.9.9.10:5353"]',
      stubDomains:
        '{"corp.Example.": ["10.0.0.1", "[fd00::1]:54"], "a.corp.example": ["10.0.0.2"]}',
      hosts: "10.0.0.9 NAS.lan nas # the box\nfd00::9 nas.lan\nnonsense",
    },
  });
  expect(forwarding.upstreams).toEqual([
    { address: "9.9.9.9", port: 53 },
    { address: "9.9.9.10", port: 5353 },
  ]);
  const first = (name: string) => upstreamsFor(name, forwarding)[0]?.address;
  expect(first("x.corp.example")).toBe("10.0.0.1");
  expect(upstreamsFor("corp.example", forwarding)[1]).toEqual({ address: "fd00::1", port: 54 });
  expect(first("b.a.corp.example")).toBe("10.0.0.2");
  expect(first("notcorp.example")).toBe("9.9.9.9");
  expect(forwarding.hosts.get("nas.lan")).toEqual(["10.0.0.9", "fd00::9"]);
  expect(forwarding.hosts.get("nas")).toEqual(["10.0.0.9"]);
});

test("broken parts of the ConfigMap are left out", () => {
  const data = { upstreamNameservers: "[", stubDomains: '{"x": "10.0.0.1", "y": ["name"]}' };
  const forwarding = planForwarding(machine, { data });
  expect(forwarding.upstreams).toEqual(machine);
  expect(forwarding.stubs.size).toBe(0);
  expect(planForwarding(machine, undefined).upstreams).toEqual(machine);
});
