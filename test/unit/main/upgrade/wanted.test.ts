/** What a node does about an annotation that asks it to take another version. */
import { expect, test } from "bun:test";
import { stepOf, WANTED, wantedOf } from "../../../../src/main/upgrade/wanted.ts";

const sha256 = "a".repeat(64);
const wanted = { version: "0.2.0", sha256 };

test("only what can be understood is wanted", () => {
  expect(wantedOf(undefined)).toBeUndefined();
  expect(wantedOf({ [WANTED]: "{" })).toBeUndefined();
  expect(wantedOf({ [WANTED]: JSON.stringify({ version: "0.2.0", sha256: "x" }) })).toBeUndefined();
  expect(wantedOf({ [WANTED]: JSON.stringify(wanted) })).toEqual(wanted);
});

test("each program is tried once, and why it failed is told once", () => {
  const own = { version: "0.1.0", outcome: undefined, told: undefined };
  expect(stepOf(undefined, own)).toBe("nothing");
  expect(stepOf(wanted, { ...own, version: "0.2.0" })).toBe("nothing");
  expect(stepOf(wanted, own)).toBe("upgrade");
  expect(stepOf(wanted, { ...own, outcome: { sha256: "b".repeat(64), error: "x" } })).toBe(
    "upgrade",
  );
  const outcome = { sha256, error: "it did not come up" };
  expect(stepOf(wanted, { ...own, outcome })).toEqual({ tell: outcome.error });
  expect(stepOf(wanted, { ...own, outcome, told: outcome.error })).toBe("nothing");
  expect(stepOf(wanted, { ...own, outcome: { sha256 } })).toEqual({
    tell: "it ended before it was done",
  });
});
