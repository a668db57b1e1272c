import { expect, test } from "bun:test";
import { plan } from "#controllers/tokencleaner/plan.ts";
import { secrets } from "#resources/kinds/secret.ts";
import type { Secret } from "#resources/types.gen.ts";
import { World } from "#test/support/world.ts";

const world = new World();
const token = (expiration: string | undefined, type = "bootstrap.kubernetes.io/token") => {
  const data = expiration === undefined ? {} : { expiration: btoa(expiration) };
  const secret: Secret = { metadata: { namespace: "kube-system", name: "t" }, type, data };
  return world.put(secrets, secret);
};

test("a token goes when it is over, and not before", () => {
  const secret = token("2026-01-01T00:01:00Z");
  expect(plan(secret, world.now)).toEqual({ actions: [], againMs: 60_000 });
  expect(plan(secret, world.now + 60_000).actions).toMatchObject([{ do: "delete" }]);
});

test("a token without an end stays, one with nonsense for an end does not", () => {
  expect(plan(token(undefined), world.now + 1e12).actions).toEqual([]);
  expect(plan(token("soon"), world.now).actions).toHaveLength(1);
});

test("other secrets are none of its business", () => {
  expect(plan(token("2020-01-01T00:00:00Z", "Opaque"), world.now).actions).toEqual([]);
});
