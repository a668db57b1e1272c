import { expect, test } from "bun:test";
import { violations } from "#api/admission/podsecurity.ts";
import { cases, pods } from "./cases.ts";
import golden from "./podsecurity.golden.json";

/**
 * What Kubernetes' own checks of v1.34.4 find, run by `podsecurity.oracle.go`, recorded by
 * `podsecurity.record.ts`.
 */
const wanted = golden.places.map((place) => golden.words[place] ?? "");

test("each case was recorded", () => {
  expect(wanted).toHaveLength(cases.length);
});

test.each([...Map.groupBy(cases.keys(), (at) => cases[at]?.version ?? "")])(
  "%s: every level finds in a pod what Kubernetes finds, in its words",
  (_, places) => {
    const found = (at: number): string[] => {
      const { level = "", version = "", pod = {} } = cases[at] ?? {};
      return [level, JSON.stringify(pod), violations({ level, version }, pod) ?? ""];
    };
    expect(places).toHaveLength(3 * pods.length);
    for (const at of places) {
      const [level = "", pod = ""] = found(at);
      expect(found(at)).toEqual([level, pod, wanted[at] ?? ""]);
    }
  },
);
