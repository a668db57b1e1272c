/** Which version may follow which, and what is said when it may not. */
import { expect, test } from "bun:test";
import { parseVersion, refusal, skewOf, skewRefusal } from "../../../../src/main/upgrade/plan.ts";

const v = (minor: number, patch = 0, major = 0) => ({ major, minor, patch });

test("versions are read from all places that have one", () => {
  expect(parseVersion("0.1.2")).toEqual(v(1, 2));
  expect(parseVersion("v0.1.2")).toEqual(v(1, 2));
  expect(parseVersion("v1.34.4+bramble-0.3.0")).toEqual(v(3));
  expect(parseVersion("source")).toBeUndefined();
});

test("one minor version at a time, and never back", () => {
  expect(refusal(v(1), v(1))).toBeUndefined();
  expect(refusal(v(1, 3), v(1, 1))).toBeUndefined();
  expect(refusal(v(1), v(2, 5))).toBeUndefined();
  expect(refusal(v(1), v(3))).toBe("0.1.0 to 0.3.0: one minor version at a time; first to 0.2");
  expect(refusal(v(2), v(1))).toContain("an older minor version");
  expect(refusal(v(2), v(0, 0, 1))).toContain("another major version");
});

test("a node is never ahead of its server, and at most one minor version behind", () => {
  expect(skewRefusal(v(2), v(2, 9))).toBeUndefined();
  expect(skewRefusal(v(2), v(1))).toBeUndefined();
  expect(skewRefusal(v(1), v(2))).toBe(
    "a node of 0.2.0 under a server of 0.1.0: upgrade the server first",
  );
  expect(skewRefusal(v(3), v(1))).toBe(
    "a node of 0.1.0 under a server of 0.3.0: a node may be one minor version behind, not 2",
  );
});

test("a version that nobody can read is no reason to refuse", () => {
  expect(skewOf("0.2.0", "0.1.7")).toBeUndefined();
  expect(skewOf("0.2.0", "0.4.0")).toContain("upgrade the server first");
  for (const text of ["nonsense", "0.0.0-source"]) {
    expect([skewOf(text, "0.4.0"), skewOf("0.4.0", text)]).toEqual([undefined, undefined]);
  }
});
