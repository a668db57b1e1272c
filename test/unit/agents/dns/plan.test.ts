import { expect, test } from "bun:test";
import { canonicalAddress, reverseAddress, Zone } from "#agents/dns/plan.ts";
import { RCODE, TYPE } from "#agents/dns/wire.ts";
import { view } from "#test/unit/agents/dns/view.ts";

const zone = new Zone({ domain: "cluster.local", addresses: ["10.43.0.10"] }, view);

/** `NXDOMAIN`, or the answers in short; undefined where the zone has no say. */
function ask(name: string, type: keyof typeof TYPE): string | string[] | undefined {
  const meaning = zone.lookup(name, TYPE[type]);
  if (meaning === undefined) return undefined;
  if (meaning.rcode === RCODE.NXDOMAIN) return "NXDOMAIN";
  return meaning.answers.map(({ type: kind, data }) => {
    if (typeof data === "string") return `${kind} ${data}`;
    if ("target" in data) return `${kind} ${data.port} ${data.target}`;
    return kind;
  });
}

/** name, type, what comes back; [] is: the name is there, but not of this type. */
const CASES: Array<[string, keyof typeof TYPE, string | string[] | undefined]> = [
  ["kubernetes.default.svc.cluster.local", "A", ["A 10.43.0.1"]],
  ["kubernetes.default.svc.cluster.local", "AAAA", ["AAAA fd00:43::1"]],
  ["kubernetes.default.svc.cluster.local", "TXT", []],
  [
    "_https._tcp.kubernetes.default.svc.cluster.local",
    "SRV",
    ["SRV 443 kubernetes.default.svc.cluster.local"],
  ],
  ["_https._tcp.kubernetes.default.svc.cluster.local", "A", []],
  ["_tcp.kubernetes.default.svc.cluster.local", "A", []],
  ["_https._udp.kubernetes.default.svc.cluster.local", "SRV", "NXDOMAIN"],
  ["_http._tcp.kubernetes.default.svc.cluster.local", "SRV", "NXDOMAIN"],
  ["1.0.43.10.in-addr.arpa", "PTR", ["PTR kubernetes.default.svc.cluster.local"]],
  ["1.0.43.10.in-addr.arpa", "A", []],
  ["db.default.svc.cluster.local", "A", ["A 10.42.0.5", "A 10.42.1.6"]],
  ["db.default.svc.cluster.local", "AAAA", []],
  ["db-0.db.default.svc.cluster.local", "A", ["A 10.42.0.5"]],
  ["10-42-1-6.db.default.svc.cluster.local", "A", ["A 10.42.1.6"]],
  ["db-2.db.default.svc.cluster.local", "A", "NXDOMAIN"],
  ["x.db-0.db.default.svc.cluster.local", "A", "NXDOMAIN"],
  [
    "_sql._tcp.db.default.svc.cluster.local",
    "SRV",
    [
      "SRV 15432 db-0.db.default.svc.cluster.local",
      "SRV 15432 10-42-1-6.db.default.svc.cluster.local",
    ],
  ],
  ["5.0.42.10.in-addr.arpa", "PTR", ["PTR db-0.db.default.svc.cluster.local"]],
  ["7.1.42.10.in-addr.arpa", "PTR", undefined],
  ["empty.default.svc.cluster.local", "A", "NXDOMAIN"],
  ["mirror.shop.svc.cluster.local", "A", ["CNAME www.example.com"]],
  ["mirror.shop.svc.cluster.local", "CNAME", ["CNAME www.example.com"]],
  ["a.mirror.shop.svc.cluster.local", "A", "NXDOMAIN"],
  ["10-42-0-9.shop.pod.cluster.local", "A", ["A 10.42.0.9"]],
  ["fd00--9.shop.pod.cluster.local", "AAAA", ["AAAA fd00::9"]],
  ["10-42-0-9.nowhere.pod.cluster.local", "A", "NXDOMAIN"],
  ["10-42-0-999.shop.pod.cluster.local", "A", "NXDOMAIN"],
  ["nothing.default.svc.cluster.local", "A", "NXDOMAIN"],
  ["www.google.com.default.svc.cluster.local", "A", "NXDOMAIN"],
  ["default.svc.cluster.local", "A", []],
  ["nowhere.svc.cluster.local", "A", "NXDOMAIN"],
  ["svc.cluster.local", "A", []],
  ["pod.cluster.local", "A", []],
  ["cluster.local", "SOA", ["SOA"]],
  ["cluster.local", "NS", ["NS ns.dns.cluster.local"]],
  ["cluster.local", "A", []],
  ["ns.dns.cluster.local", "A", ["A 10.43.0.10"]],
  ["dns-version.cluster.local", "TXT", ["TXT 1.1.0"]],
  ["other.cluster.local", "A", "NXDOMAIN"],
  ["notcluster.local", "A", undefined],
  ["www.example.com", "A", undefined],
  ["9.9.9.9.in-addr.arpa", "PTR", undefined],
];

for (const [name, type, wanted] of CASES) {
  test(`${name} ${type}`, () => expect(ask(name, type)).toEqual(wanted));
}

test("SRV answers bring the addresses of their targets", () => {
  const name = "_sql._tcp.db.default.svc.cluster.local";
  expect(zone.lookup(name, TYPE.SRV)?.additionals).toMatchObject([
    { name: "db-0.db.default.svc.cluster.local", type: "A", data: "10.42.0.5" },
    { name: "10-42-1-6.db.default.svc.cluster.local", type: "A", data: "10.42.1.6" },
  ]);
});

test("IPv6 addresses have one form, also backwards", () => {
  expect(canonicalAddress("FD00:0043:0:0:0:0:0:1")).toBe("fd00:43::1");
  expect(canonicalAddress("::1")).toBe("::1");
  expect(canonicalAddress("1:0:0:2:0:0:0:3")).toBe("1:0:0:2::3");
  const nibbles = "1000000000000000000000003400" + "00df";
  expect(reverseAddress(`${[...nibbles].join(".")}.ip6.arpa`)).toBe("fd00:43::1");
  expect(reverseAddress("1.2.3.in-addr.arpa")).toBeUndefined();
  expect(reverseAddress("a.b.ip6.arpa")).toBeUndefined();
});
