import { expect, test } from "bun:test";
import { type ProxyConfig, planService, planServices } from "#agents/proxy/plan.ts";
import type { EndpointSlice } from "#resources/types.gen.ts";
import { config, endpoint, service, slice } from "#test/unit/agents/proxy/build.ts";

test("terminating endpoints serve only where nothing is ready", () => {
  const web = service("web", { clusterIP: "10.43.0.7" });
  const ready = planService(web, [slice("web", ["~10.42.2.1@n2", "10.42.2.2@n2"])], config);
  expect(ready[0]?.everywhere.map(({ ip }) => ip)).toEqual(["10.42.2.2"]);
  const none = planService(web, [slice("web", ["~10.42.2.1@n2", "!10.42.2.2@n2"])], config);
  expect(none[0]?.everywhere.map(({ ip }) => ip)).toEqual(["10.42.2.1"]);
});

test("ports are matched by name, families apart, addresses once", () => {
  const spec = {
    clusterIP: "10.43.0.7",
    clusterIPs: ["10.43.0.7", "fd00:43::7"],
    ports: [
      { name: "http", port: 80 },
      { name: "dns", port: 53, protocol: "UDP" },
    ],
  };
  const slices = [
    slice(
      "web",
      ["10.42.2.1@n2"],
      [
        { name: "http", port: 8080 },
        { name: "dns", port: 5353, protocol: "UDP" },
      ],
    ),
    { ...slice("web", ["!10.42.2.1@n2", "10.42.2.3"], [{ name: "http", port: 8080 }]) },
    slice("web", ["fd00:42::1"], [{ name: "http", port: 8081 }]),
  ];
  const v4 = planService(service("web", spec), slices, config);
  expect(
    v4.map(({ id, everywhere }) => [id, everywhere.map(({ ip, port }) => `${ip}:${port}`)]),
  ).toEqual([
    ["default/web:http", ["10.42.2.1:8080", "10.42.2.3:8080"]],
    ["default/web:dns", ["10.42.2.1:5353"]],
  ]);
  const six = { ...config, family: "IPv6" as const, clusterCidr: "10.42.0.0/16,fd00:42::/56" };
  const v6 = planServices({ services: [service("web", spec)], endpointSlices: slices }, six);
  const rules = v6.chains.flatMap((chain) => chain.rules);
  expect(rules).toContain("-d fd00:43::/112 -j @NET-fd00:43::");
  expect(rules).toContain("-p tcp -j DNAT --to-destination [fd00:42::1]:8081");
});

test("headless and ExternalName Services have no rules", () => {
  expect(planService(service("a", { clusterIP: "None" }), [], config)).toEqual([]);
  expect(planService(service("b", { type: "ExternalName" }), [], config)).toEqual([]);
});

test("hints keep traffic near where all endpoints have them", () => {
  const web = service("web", { clusterIP: "10.43.0.7" });
  const base = slice("web", []);
  const hinted = (text: string, zone: string, node?: string) => ({
    ...endpoint(text),
    hints: { forZones: [{ name: zone }], ...(node && { forNodes: [{ name: node }] }) },
  });
  const zoned = { ...config, zone: "a" };
  const ips = (endpoints: EndpointSlice["endpoints"], at: ProxyConfig = zoned) =>
    planService(web, [{ ...base, endpoints }], at)[0]?.everywhere.map(({ ip }) => ip);
  const two = [hinted("10.42.2.1@n2", "a"), hinted("10.42.3.1@n3", "b")];
  expect(ips(two)).toEqual(["10.42.2.1"]);
  expect(ips(two, config)).toEqual(["10.42.2.1", "10.42.3.1"]);
  expect(ips([...two, endpoint("10.42.4.1@n4")])).toHaveLength(3);
  const nodes = [hinted("10.42.1.1@n1", "a", "n1"), hinted("10.42.2.1@n2", "a", "n2")];
  expect(ips(nodes)).toEqual(["10.42.1.1"]);
});
