import { expect, test } from "bun:test";
import { changedUdpPorts, leftTcpBackends, staleFlows } from "#agents/proxy/conntrack.ts";
import { planService } from "#agents/proxy/plan.ts";
import { config, service, slice } from "#test/unit/agents/proxy/build.ts";

const spec = {
  type: "NodePort",
  clusterIP: "10.43.0.7",
  ports: [
    { name: "udp", port: 53, nodePort: 30053, protocol: "UDP" },
    { name: "tcp", port: 53, protocol: "TCP" },
  ],
};
const ports = [
  { name: "udp", port: 5353 },
  { name: "tcp", port: 5353 },
];
const plan = (...ips: string[]) =>
  planService(service("dns", spec), [slice("dns", ips, ports)], config);

test("only UDP ports whose backends changed are looked at", () => {
  const before = plan("10.42.1.1", "10.42.1.2");
  expect(changedUdpPorts(before, plan("10.42.1.2", "10.42.1.1"))).toEqual([]);
  expect(changedUdpPorts(before, plan("10.42.1.2")).map(({ id }) => id)).toEqual([
    "default/dns:udp",
  ]);
  expect(changedUdpPorts([], before)).toHaveLength(1);
  expect(changedUdpPorts(before, [])).toMatchObject([{ everywhere: [], here: [] }]);
});

test("TCP backends that have left are told, wherever on the Service they were", () => {
  const before = plan("10.42.1.1@n1", "10.42.1.2");
  const one = { ip: "10.42.1.1", port: 5353 };
  const two = { ip: "10.42.1.2", port: 5353 };
  const left = (after: ReturnType<typeof plan>) =>
    leftTcpBackends(before, after).map(({ ip, port }) => ({ ip, port }));
  expect(left(plan("10.42.1.2", "10.42.1.1@n1"))).toEqual([]);
  expect(left(plan("10.42.1.2", "~10.42.1.1@n1"))).toEqual([one]);
  expect(left([])).toEqual([one, two]);
  // A node's own one is led to up to its end where nothing else may be.
  const local = { ...spec, externalTrafficPolicy: "Local" };
  const going = [slice("dns", ["10.42.1.2", "~10.42.1.1@n1"], ports)];
  expect(left(planService(service("dns", local), going, config))).toEqual([]);
  expect(leftTcpBackends([], before)).toEqual([]);
  // The same pod by another port.
  const moved = [{ name: "tcp", port: 5454 }];
  const after = planService(service("dns", spec), [slice("dns", ["10.42.1.2"], moved)], config);
  expect(left(after)).toEqual([one, two]);
});

const flow = (dst: string, dport: number, answeredBy: string) =>
  `udp      17 29 src=10.42.1.9 dst=${dst} sport=5555 dport=${dport} [UNREPLIED] ` +
  `src=${answeredBy} dst=10.42.1.9 sport=5353 dport=5555 mark=0 use=1`;

test("flows to what is no backend are stale, on each of the Service's addresses", () => {
  const listing = [
    flow("10.43.0.7", 53, "10.42.1.1"),
    flow("10.43.0.7", 53, "10.42.1.2"),
    flow("10.43.0.7", 53, "10.43.0.7"),
    flow("10.43.0.8", 53, "10.42.1.1"),
    flow("192.168.0.1", 30053, "10.42.1.1"),
    flow("8.8.8.8", 30053, "8.8.8.8"),
    flow("10.43.0.7", 54, "10.42.1.1"),
  ].join("\n");
  expect(staleFlows(listing, plan("10.42.1.2"))).toEqual([
    { dst: "10.43.0.7", port: 53, answeredBy: "10.42.1.1" },
    { dst: "10.43.0.7", port: 53, answeredBy: "10.43.0.7" },
    { dst: undefined, port: 30053, answeredBy: "10.42.1.1" },
  ]);
});
