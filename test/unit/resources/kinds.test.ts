import { describe, expect, test } from "bun:test";
import { apiVersionOf, resourceOf } from "#resources/kind.ts";
import { kinds } from "#resources/kinds.ts";
import type { ApiObject } from "#resources/meta.ts";
import { checkKind } from "#test/support/suites/kind.ts";
import minimalText from "#test/support/suites/minimal.yaml" with { type: "text" };

const minimal = new Map(
  (Bun.YAML.parse(minimalText as unknown as string) as ApiObject[]).map((object) => [
    `${object.apiVersion} ${object.kind}`,
    object,
  ]),
);

const idOf = (kind: (typeof kinds)[number]): string => `${apiVersionOf(kind)} ${kind.kind}`;

for (const kind of kinds) checkKind(kind, minimal.get(idOf(kind)));

describe("all kinds together", () => {
  test("serve each resource of a version once", () => {
    const paths = kinds.map((kind) => `${apiVersionOf(kind)}/${kind.plural}`);
    expect(new Set(paths).size).toBe(paths.length);
  });

  test("share no short name within a group", () => {
    const stored = kinds.filter((kind) => kind.storedAs === undefined);
    const names = stored.flatMap((kind) => kind.shortNames.map((name) => `${kind.group}/${name}`));
    expect(names.toSorted()).toEqual([...new Set(names)].sort());
  });

  test("are stored as a kind that is here", () => {
    for (const { storedAs, kind } of kinds) {
      if (!storedAs) continue;
      const stored = kinds.find(
        (other) => other.kind === kind && apiVersionOf(other) === apiVersionOf(storedAs),
      );
      expect(stored?.storedAs).toBeUndefined();
      expect(stored).toBeDefined();
    }
  });

  test("have a smallest valid object where a client may create one of any content", () => {
    const without = kinds.filter((kind) => !minimal.has(idOf(kind))).map(resourceOf);
    expect(without.toSorted()).toEqual([
      "bindings",
      "componentstatuses",
      "localsubjectaccessreviews.authorization.k8s.io",
      "nodes.metrics.k8s.io",
      "pods.metrics.k8s.io",
      "selfsubjectaccessreviews.authorization.k8s.io",
      "selfsubjectreviews.authentication.k8s.io",
      "selfsubjectrulesreviews.authorization.k8s.io",
      "subjectaccessreviews.authorization.k8s.io",
      "tokenreviews.authentication.k8s.io",
    ]);
  });
});
