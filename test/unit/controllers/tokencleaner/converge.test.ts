import { expect } from "bun:test";
import fc from "fast-check";
import { tokenCleanerController } from "#controllers/tokencleaner/controller.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { converges } from "#test/support/converge.ts";

const START = Date.UTC(2026, 0, 1);
const HORIZON_MS = 3_600_000;
const anyToken = fc.record({
  type: fc.constantFrom("bootstrap.kubernetes.io/token", "Opaque"),
  /** Seconds from now; a text that is no time; none. */
  ends: fc.constantFrom(-100, 0, 1, 3000, 100_000, "never", undefined),
});

converges("tokens go when they end, not before, and nothing else goes", {
  any: fc.array(anyToken, { maxLength: 6 }),
  build(world, tokens) {
    for (const [i, { type, ends }] of tokens.entries()) {
      const text = typeof ends === "number" ? new Date(START + ends * 1000).toISOString() : ends;
      world.put(secrets, {
        metadata: { namespace: "kube-system", name: `t${i}` },
        type,
        ...(text !== undefined && { data: { expiration: btoa(text) } }),
      });
    }
    return [tokenCleanerController];
  },
  always(world, tokens, action) {
    if (action.do !== "delete") return;
    const { type, ends } = tokens[Number(action.ref.name.slice(1))] ?? {};
    expect(type).toBe("bootstrap.kubernetes.io/token");
    if (typeof ends === "number") expect(START + ends * 1000).toBeLessThanOrEqual(world.now);
  },
  rest(world, tokens) {
    for (const [i, { type, ends }] of tokens.entries()) {
      const over = ends === "never" || (typeof ends === "number" && ends * 1000 <= HORIZON_MS);
      const gone = type !== "Opaque" && over;
      expect([i, world.get(secrets, `kube-system/t${i}`) === undefined]).toEqual([i, gone]);
    }
  },
  roundsMax: 4,
  horizonMs: HORIZON_MS,
});
