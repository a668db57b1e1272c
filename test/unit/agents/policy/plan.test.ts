import { expect, test } from "bun:test";
import fc from "fast-check";
import { type PolicyPod, type PolicyState, planPolicies, policyPod } from "#agents/policy/plan.ts";
import type { NetworkPolicy, NetworkPolicySpec, Pod } from "#resources/types.gen.ts";
import { tries } from "#test/support/property.ts";
import { send, type World } from "#test/unit/agents/proxy/walk.ts";

const config = { family: "IPv4" as const, markBit: 0x10000 };
const NODE = "192.168.0.1";

function pod(name: string, ip: string, labels: Record<string, string>, more = {}): PolicyPod {
  const base = { namespace: "default", name, uid: `uid-${name}`, labels, ips: [ip], here: true };
  return { ...base, ports: new Map([["http/TCP", [8080]]]), ...more };
}

const web = pod("web", "10.42.1.1", { app: "web" });
const db = pod("db", "10.42.1.2", { app: "db" });
const far = pod("far", "10.42.2.1", { app: "web" }, { here: false });
const ops = pod("ops", "10.42.2.2", { app: "ops" }, { here: false, namespace: "ops" });
const pods = [web, db, far, ops];
const namespaces = new Map([
  ["default", { team: "a" }],
  ["ops", { team: "ops" }],
]);

function policy(spec: NetworkPolicySpec, name = "p"): NetworkPolicy {
  return { metadata: { namespace: "default", name }, spec: { podSelector: {}, ...spec } };
}

function reach(policies: NetworkPolicy[], src: string, dst: string, dport = 80): boolean {
  const state: PolicyState = { policies, pods, namespaces };
  const rules = planPolicies(state, config);
  const world: World = { rules, local: [NODE], random: () => 0, recent: new Map() };
  return send({ src, dst, dport, protocol: "tcp" }, world).fate === "delivered";
}

const [WEB, DB, FAR, OPS, LAN] = [
  "10.42.1.1",
  "10.42.1.2",
  "10.42.2.1",
  "10.42.2.2",
  "192.168.0.9",
];

test("without a policy there are no rules", () => {
  expect(planPolicies({ policies: [], pods, namespaces }, config)).toEqual({
    chains: [],
    hooks: [],
  });
  const other = { ...policy({}), metadata: { namespace: "ops", name: "p" } };
  expect(planPolicies({ policies: [other], pods, namespaces }, config).chains).toEqual([]);
});

test("default deny keeps everyone out but the node, and lets pods out", () => {
  const deny = [policy({ policyTypes: ["Ingress"] })];
  expect(reach(deny, FAR, WEB)).toBe(false);
  expect(reach(deny, WEB, DB)).toBe(false);
  expect(reach(deny, LAN, WEB)).toBe(false);
  expect(reach(deny, NODE, WEB)).toBe(true);
  expect(reach(deny, WEB, FAR)).toBe(true);
  expect(reach(deny, WEB, LAN)).toBe(true);
});

test("an empty rule lets everyone in", () => {
  expect(reach([policy({ ingress: [{}] })], LAN, WEB)).toBe(true);
});

test("peers: pods of the namespace, of other namespaces, and both together", () => {
  const fromWeb = [
    policy({ ingress: [{ from: [{ podSelector: { matchLabels: { app: "web" } } }] }] }),
  ];
  expect(reach(fromWeb, FAR, DB)).toBe(true);
  expect(reach(fromWeb, OPS, DB)).toBe(false);
  const namespaceSelector = { matchLabels: { team: "ops" } };
  const fromOps = [policy({ ingress: [{ from: [{ namespaceSelector }] }] })];
  expect(reach(fromOps, OPS, DB)).toBe(true);
  expect(reach(fromOps, FAR, DB)).toBe(false);
  const both = { namespaceSelector, podSelector: { matchLabels: { app: "web" } } };
  expect(reach([policy({ ingress: [{ from: [both] }] })], OPS, DB)).toBe(false);
  const all = [policy({ ingress: [{ from: [{ namespaceSelector: {} }] }] })];
  expect(reach(all, OPS, DB)).toBe(true);
  expect(reach(all, LAN, DB)).toBe(false);
});

test("ports: numbers, ranges and names", () => {
  const on = (ports: NonNullable<NetworkPolicySpec["ingress"]>[number]["ports"]) => [
    policy({ ingress: [{ ports: ports ?? [] }] }),
  ];
  expect(reach(on([{ port: 80 }]), LAN, WEB, 80)).toBe(true);
  expect(reach(on([{ port: 80 }]), LAN, WEB, 81)).toBe(false);
  expect(reach(on([{ port: 80, protocol: "UDP" }]), LAN, WEB, 80)).toBe(false);
  expect(reach(on([{ protocol: "TCP" }]), LAN, WEB, 81)).toBe(true);
  expect(reach(on([{ port: 80, endPort: 90 }]), LAN, WEB, 85)).toBe(true);
  expect(reach(on([{ port: 80, endPort: 90 }]), LAN, WEB, 91)).toBe(false);
  expect(reach(on([{ port: "http" }]), LAN, WEB, 8080)).toBe(true);
  expect(reach(on([{ port: "http" }]), LAN, WEB, 80)).toBe(false);
  expect(reach(on([{ port: "none" }]), LAN, WEB, 8080)).toBe(false);
});

test("blocks of addresses with exceptions", () => {
  const ipBlock = { cidr: "192.168.0.0/24", except: ["192.168.0.8/30"] };
  const block = [policy({ ingress: [{ from: [{ ipBlock }] }] })];
  expect(reach(block, "192.168.0.100", WEB)).toBe(true);
  expect(reach(block, LAN, WEB)).toBe(false);
  expect(reach(block, FAR, WEB)).toBe(false);
  const also = [
    ...block,
    policy({ ingress: [{ from: [{ ipBlock: { cidr: `${LAN}/32` } }] }] }, "q"),
  ];
  expect(reach(also, LAN, WEB)).toBe(true);
});

test("egress: denied, to pods with a named port, to the node", () => {
  const deny = [policy({ policyTypes: ["Egress"] })];
  expect(reach(deny, WEB, LAN)).toBe(false);
  expect(reach(deny, WEB, NODE)).toBe(false);
  expect(reach(deny, LAN, WEB)).toBe(true);
  expect(reach(deny, NODE, WEB)).toBe(true);
  const to = [{ podSelector: { matchLabels: { app: "web" } } }];
  const named = [policy({ policyTypes: ["Egress"], egress: [{ to, ports: [{ port: "http" }] }] })];
  expect(reach(named, DB, FAR, 8080)).toBe(true);
  expect(reach(named, DB, FAR, 80)).toBe(false);
  expect(reach(named, DB, OPS, 8080)).toBe(false);
});

test("between two pods of a node both sides must agree", () => {
  const out = policy({
    podSelector: { matchLabels: { app: "web" } },
    policyTypes: ["Egress"],
    egress: [{ to: [{ podSelector: { matchLabels: { app: "db" } } }] }],
  });
  const into = policy(
    { podSelector: { matchLabels: { app: "db" } }, policyTypes: ["Ingress"] },
    "q",
  );
  expect(reach([out], WEB, DB)).toBe(true);
  expect(reach([out, into], WEB, DB)).toBe(false);
});

test("rules of several policies add up", () => {
  const one = policy({ ingress: [{ ports: [{ port: 80 }] }] });
  const two = policy({ ingress: [{ ports: [{ port: 81 }] }] }, "q");
  for (const port of [80, 81]) expect(reach([one, two], LAN, WEB, port)).toBe(true);
  expect(reach([one, two], LAN, WEB, 82)).toBe(false);
});

test("pods that no policy concerns are left out", () => {
  const base: Pod = {
    metadata: { namespace: "default", name: "x", uid: "u" },
    spec: { nodeName: "n1", containers: [] },
    status: { phase: "Running", podIPs: [{ ip: "10.42.1.9" }] },
  };
  expect(policyPod(base, "n1", new Map())).toMatchObject({ ips: ["10.42.1.9"], here: true });
  expect(policyPod(base, "n1", new Map([["u", ["10.42.1.10"]]]))?.ips).toEqual(["10.42.1.10"]);
  expect(policyPod({ ...base, status: { phase: "Failed" } }, "n1", new Map())).toBeUndefined();
  expect(policyPod({ ...base, status: {} }, "n1", new Map())).toBeUndefined();
  const host = { ...base, spec: { ...base.spec, containers: [], hostNetwork: true } };
  expect(policyPod(host, "n1", new Map())).toBeUndefined();
});

/** The words of the API, evaluated directly. */
function allowed(policies: NetworkPolicy[], src: PolicyPod, dst: PolicyPod, port: number): boolean {
  const on = (side: "Ingress" | "Egress", subject: PolicyPod, peer: PolicyPod) => {
    if (!subject.here) return true;
    const mine = policies.filter(
      ({ spec }) =>
        spec?.policyTypes?.includes(side) &&
        Object.entries(spec.podSelector?.matchLabels ?? {}).every(
          ([k, v]) => subject.labels[k] === v,
        ),
    );
    if (mine.length === 0) return true;
    return mine.some(({ spec }) => {
      const rules = side === "Ingress" ? spec?.ingress : spec?.egress;
      return (rules ?? []).some((rule) => {
        const peers = ("from" in rule ? rule.from : "to" in rule ? rule.to : undefined) ?? [];
        const ports = rule.ports ?? [];
        const peerFits =
          peers.length === 0 ||
          peers.some(({ podSelector }) => podSelector?.matchLabels?.["app"] === peer.labels["app"]);
        return peerFits && (ports.length === 0 || ports.some((one) => one.port === port));
      });
    });
  };
  return on("Egress", src, dst) && on("Ingress", dst, src);
}

const app = fc.constantFrom("web", "db");
const rule = fc.record({
  peers: fc.array(app, { maxLength: 2 }),
  ports: fc.array(fc.constantFrom(80, 81), { maxLength: 2 }),
});
const arbitraryPolicy = fc.record({
  select: fc.option(app, { nil: undefined }),
  types: fc.subarray(["Ingress", "Egress"] as const, { minLength: 1 }),
  rules: fc.array(rule, { maxLength: 3 }),
});

test("property: the rules say what the policies say", () => {
  const local = [web, db, far];
  fc.assert(
    fc.property(fc.array(arbitraryPolicy, { maxLength: 4 }), (specs) => {
      const policies = specs.map(({ select, types, rules }, i) => {
        const peers = (list: string[]) =>
          list.map((name) => ({ podSelector: { matchLabels: { app: name } } }));
        const ports = (list: number[]) => list.map((port) => ({ port }));
        return policy(
          {
            podSelector: select === undefined ? {} : { matchLabels: { app: select } },
            policyTypes: [...types],
            ingress: rules.map((one) => ({ from: peers(one.peers), ports: ports(one.ports) })),
            egress: rules.map((one) => ({ to: peers(one.peers), ports: ports(one.ports) })),
          },
          `p${i}`,
        );
      });
      for (const src of local) {
        for (const dst of local) {
          if (src === dst || !(src.here || dst.here)) continue;
          for (const port of [80, 81, 82]) {
            const fate = reach(policies, src.ips[0] ?? "", dst.ips[0] ?? "", port);
            expect({ src: src.name, dst: dst.name, port, fate }).toEqual({
              src: src.name,
              dst: dst.name,
              port,
              fate: allowed(policies, src, dst, port),
            });
          }
        }
      }
    }),
    tries(300),
  );
});
