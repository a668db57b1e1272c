/** Which servers a node dials. */
import { expect, test } from "bun:test";
import { tunnelTargets } from "#agents/tunnel/plan.ts";

const [A, B, C] = ["https://192.0.2.1:6443", "https://192.0.2.2:6443", "https://192.0.2.3:6443"];

test("all servers, the one that the node works with first and once", () => {
  expect(tunnelTargets(B, [A, B, C])).toEqual([B, A, C]);
  expect(tunnelTargets("https://10.0.0.9:6443", [A, B])).toEqual(["https://10.0.0.9:6443", A, B]);
});

test("a lone server has one tunnel, whatever address it publishes", () => {
  expect(tunnelTargets("https://10.0.0.9:6443", [A])).toEqual(["https://10.0.0.9:6443"]);
  expect(tunnelTargets(A, [])).toEqual([A]);
});
