import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { definitions } from "#resources/schema.ts";
import { listedTypes, podFields, podFieldsPage } from "#test/support/podfields.ts";
import { root, sources } from "#test/support/sources.ts";

const types = Object.keys(listedTypes) as Array<keyof typeof listedTypes>;

test("every field of a pod is in the table", () => {
  for (const type of types) {
    const fields = Object.keys(definitions()[`io.k8s.api.core.v1.${type}`]?.properties ?? {});
    expect(Object.keys(podFields[type]).sort()).toEqual(fields.sort());
  }
});

test("the tests that the table names are there", () => {
  const text = sources(["test"])
    .filter(({ path }) => path.endsWith(".test.ts") || path.startsWith("test/host/"))
    .map(({ lines }) => lines.join("\n"))
    .join("\n");
  const named = types.flatMap((type) =>
    Object.values(podFields[type]).flatMap((proof) => ("test" in proof ? [proof.test] : [])),
  );
  const missing = [...new Set(named)].filter((title) => !text.includes(`"${title}"`));
  expect(missing).toEqual([]);
});

test("the page is made from the table", () => {
  expect(readFileSync(join(root, "docs/pod-fields.md"), "utf8")).toBe(podFieldsPage());
});
