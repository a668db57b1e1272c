import { expect } from "bun:test";
import fc from "fast-check";
import { mirroringController } from "#controllers/mirroring/controller.ts";
import { MANAGED_BY } from "#controllers/mirroring/plan.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { services } from "#resources/kinds/service.ts";
import { converges } from "#test/support/converge.ts";

const meta = { namespace: "x", name: "web" };
const some = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 6 });
const ip = (n: number) => `10.0.0.${n}`;

converges("slices show what the Endpoints say, whatever slices were there", {
  any: fc.record({
    ready: some,
    notReady: some,
    selector: fc.boolean(),
    service: fc.boolean(),
    slices: fc.array(some, { maxLength: 3 }),
  }),
  build(world, value) {
    if (value.service) {
      const selector = value.selector ? { selector: { app: "web" } } : {};
      world.put(services, { metadata: meta, spec: { ...selector, ports: [{ port: 80 }] } });
    }
    const ports = [{ port: 80, protocol: "TCP" }];
    const notReady = value.notReady.filter((n) => !value.ready.includes(n));
    world.put(endpoints, {
      metadata: meta,
      subsets: [
        {
          addresses: value.ready.map((n) => ({ ip: ip(n) })),
          notReadyAddresses: notReady.map((n) => ({ ip: ip(n) })),
          ports,
        },
      ],
    });
    for (const [i, all] of value.slices.entries()) {
      world.put(endpointSlices, {
        metadata: {
          namespace: "x",
          name: `web-${i}`,
          labels: {
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
          },
        },
        addressType: "IPv4",
        ports: [{ name: "", port: 80, protocol: "TCP" }],
        endpoints: all.map((n) => ({ addresses: [ip(n)], conditions: { ready: true } })),
      });
    }
    return [mirroringController];
  },
  rest(world, { ready, notReady, selector, service }) {
    const shown = world
      .list(endpointSlices)
      .flatMap((slice) =>
        slice.endpoints.map((one) => `${one.addresses[0]} ${one.conditions?.ready}`),
      );
    const mirrored = service && !selector;
    const wanted = [
      ...ready.map((n) => `${ip(n)} true`),
      ...notReady.filter((n) => !ready.includes(n)).map((n) => `${ip(n)} false`),
    ];
    expect(shown.sort()).toEqual(mirrored ? wanted.sort() : []);
  },
  roundsMax: 2,
});
