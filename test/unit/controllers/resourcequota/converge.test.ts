import { expect } from "bun:test";
import fc from "fast-check";
import { resourceQuotaController } from "#controllers/resourcequota/controller.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { services } from "#resources/kinds/service.ts";
import { anyPod, putPod } from "#test/support/anypod.ts";
import { converges } from "#test/support/converge.ts";

const few = fc.integer({ min: 0, max: 6 });
const NAMES = ["pods", "services", "count/configmaps"] as const;

converges("what is used is counted right, whatever was believed before", {
  any: fc.record({
    pods: fc.array(anyPod, { maxLength: 8 }),
    services: few,
    maps: few,
    hard: fc.subarray([...NAMES]),
    believed: fc.subarray([...NAMES]),
    amount: few,
  }),
  build(world, value, clock) {
    for (const [i, one] of value.pods.entries()) putPod(world, `p${i}`, one);
    for (let i = 0; i < value.services; i++) {
      const spec = { ports: [{ port: 80 }] };
      world.put(services, { metadata: { namespace: "x", name: `s${i}` }, spec });
    }
    for (let i = 0; i < value.maps; i++)
      world.put(configMaps, { metadata: { namespace: "x", name: `m${i}` } });
    const all = (names: readonly string[], amount: number) =>
      Object.fromEntries(names.map((name) => [name, String(amount)]));
    world.put(resourceQuotas, {
      metadata: { namespace: "x", name: "q" },
      spec: { hard: all(value.hard, 5) },
      status: { used: all(value.believed, value.amount) },
    });
    return [resourceQuotaController(clock)];
  },
  rest(world, value) {
    // One that should be gone by now counts no more, whoever still has to finish it.
    const running = value.pods.filter(
      ({ phase, goes }) => phase !== "Failed" && phase !== "Succeeded" && !goes,
    );
    const counts: Record<string, number> = {
      pods: running.length,
      services: value.services,
      "count/configmaps": value.maps,
    };
    const wanted = value.hard.map((name) => [name, String(counts[name])] as const);
    expect(world.get(resourceQuotas, "x/q")?.status).toEqual({
      hard: Object.fromEntries(value.hard.map((name) => [name, "5"])),
      used: Object.fromEntries(wanted),
    });
  },
  roundsMax: 3,
  horizonMs: 10_000,
});
