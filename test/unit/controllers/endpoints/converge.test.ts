import { expect } from "bun:test";
import fc from "fast-check";
import { endpointsController } from "#controllers/endpoints/controller.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { pods } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import { anyPod, putPod } from "#test/support/anypod.ts";
import { converges } from "#test/support/converge.ts";

const meta = { namespace: "x", name: "web" };

converges("Endpoints show just the pods that can be reached, whatever stood there", {
  any: fc.record({
    pods: fc.array(anyPod, { maxLength: 8 }),
    early: fc.boolean(),
    headless: fc.boolean(),
    before: fc.option(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 })),
    label: fc.boolean(),
  }),
  build(world, value) {
    for (const [i, one] of value.pods.entries()) putPod(world, `p${i}`, one);
    world.put(services, {
      metadata: meta,
      spec: {
        selector: { app: "web" },
        clusterIP: value.headless ? "None" : "10.43.0.9",
        publishNotReadyAddresses: value.early,
        ports: [{ port: 80 }],
      },
    });
    if (value.before !== null) {
      const addresses = value.before.map((n) => ({ ip: `10.0.0.${n}` }));
      world.put(endpoints, {
        metadata: { ...meta, ...(value.label && { labels: { old: "yes" } }) },
        subsets: [{ addresses, ports: [{ port: 1, protocol: "TCP" }] }],
      });
    }
    return [endpointsController];
  },
  rest(world, { early }) {
    const shown = (world.get(endpoints, "x/web")?.subsets ?? []).flatMap(
      ({ addresses = [], notReadyAddresses = [] }) => [
        ...addresses.map(({ ip }) => `${ip} ready`),
        ...notReadyAddresses.map(({ ip }) => `${ip} not`),
      ],
    );
    const wanted = world.list(pods).flatMap(({ metadata, status }) => {
      const over = status?.phase === "Failed" || status?.phase === "Succeeded";
      if (over || (metadata.deletionTimestamp && !early)) return [];
      const ready = early || status?.conditions?.[0]?.status === "True";
      return [`${status?.podIP} ${ready ? "ready" : "not"}`];
    });
    expect(shown.sort()).toEqual(wanted.sort());
  },
  roundsMax: 1,
});
