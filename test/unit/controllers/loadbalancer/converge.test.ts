import { expect } from "bun:test";
import fc from "fast-check";
import { loadBalancerController } from "#controllers/loadbalancer/controller.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import { converges } from "#test/support/converge.ts";

const ip = (n: number) => `192.0.2.${n}`;

converges("a balanced Service shows the addresses of nodes that are well, and keeps them", {
  any: fc.record({
    nodes: fc.array(fc.boolean(), { maxLength: 20 }),
    shown: fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 5 }),
    type: fc.constantFrom("LoadBalancer", "ClusterIP"),
    others: fc.boolean(),
  }),
  build(world, value) {
    for (const [i, ready] of value.nodes.entries()) {
      world.put(nodes, {
        metadata: { name: `n${i}` },
        status: {
          addresses: [{ type: "InternalIP", address: ip(i) }],
          conditions: [{ type: "Ready", status: ready ? "True" : "Unknown" }],
        },
      });
    }
    world.put(services, {
      metadata: { namespace: "x", name: "web" },
      spec: {
        type: value.type,
        ports: [{ port: 80 }],
        ...(value.others && { loadBalancerClass: "x.io/other" }),
      },
      status: { loadBalancer: { ingress: value.shown.map((n) => ({ ip: ip(n) })) } },
    });
    return [loadBalancerController];
  },
  rest(world, { nodes: all, shown, type, others }) {
    const found = world.get(services, "x/web")?.status?.loadBalancer?.ingress ?? [];
    const got = found.map((one) => one.ip ?? "");
    const before = shown.map(ip);
    if (type === "LoadBalancer" && others) return expect(got).toEqual(before);
    const well = type === "LoadBalancer" ? all.flatMap((ready, i) => (ready ? [ip(i)] : [])) : [];
    expect(got).toHaveLength(Math.min(16, well.length));
    expect(new Set(got).size).toBe(got.length);
    expect(well).toEqual(expect.arrayContaining(got));
    const kept = before.filter((one) => well.includes(one));
    expect(got.slice(0, kept.length)).toEqual(kept);
  },
  roundsMax: 1,
});
