import { expect } from "bun:test";
import fc from "fast-check";
import { ingressController } from "#controllers/ingress/controller.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import { ingressClasses } from "#resources/kinds/ingressclass.ts";
import { nodes } from "#resources/kinds/node.ts";
import {
  DEFAULT_INGRESS_CLASS,
  INGRESS_CLASS,
  INGRESS_CONTROLLER,
  INGRESS_PORTS,
} from "#resources/ownedingress.ts";
import { converges } from "#test/support/converge.ts";

const ip = (n: number) => `192.0.2.${n}`;

converges("an Ingress of ours shows the nodes that serve it, another one stays as it is", {
  any: fc.record({
    nodes: fc.array(fc.record({ ready: fc.boolean(), serves: fc.boolean() }), { maxLength: 20 }),
    shown: fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 5 }),
    ours: fc.boolean(),
  }),
  build(world, value) {
    for (const [i, { ready, serves }] of value.nodes.entries()) {
      world.put(nodes, {
        metadata: {
          name: `n${i}`,
          ...(serves && { annotations: { [INGRESS_PORTS]: "80,443" } }),
        },
        status: {
          addresses: [{ type: "InternalIP", address: ip(i) }],
          conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
        },
      });
    }
    world.put(ingressClasses, {
      metadata: { name: INGRESS_CLASS, annotations: { [DEFAULT_INGRESS_CLASS]: "true" } },
      spec: { controller: INGRESS_CONTROLLER },
    });
    world.put(ingresses, {
      metadata: { namespace: "x", name: "web" },
      spec: { ingressClassName: value.ours ? INGRESS_CLASS : "other" },
      status: { loadBalancer: { ingress: value.shown.map((n) => ({ ip: ip(n) })) } },
    });
    return [ingressController];
  },
  rest(world, { nodes: all, shown, ours }) {
    const found = world.get(ingresses, "x/web")?.status?.loadBalancer?.ingress ?? [];
    const got = found.map((one) => one.ip ?? "");
    const before = shown.map(ip);
    if (!ours) return expect(got).toEqual(before);
    const well = all.flatMap(({ ready, serves }, i) => (ready && serves ? [ip(i)] : []));
    expect(got).toHaveLength(Math.min(16, well.length));
    expect(new Set(got).size).toBe(got.length);
    expect(well).toEqual(expect.arrayContaining(got));
    const kept = before.filter((one) => well.includes(one));
    expect(got.slice(0, kept.length)).toEqual(kept);
  },
  roundsMax: 1,
});
