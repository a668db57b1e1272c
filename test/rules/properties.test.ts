/** Every controller's plan has a property: from any state to rest, and no further. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { root, sources } from "#test/support/sources.ts";

test("each plan has a property test", () => {
  const plans = readdirSync(join(root, "src/controllers"), { withFileTypes: true })
    .filter((one) => one.isDirectory() && one.name !== "common")
    .map(({ name }) => name);
  expect(plans.length).toBeGreaterThan(30);
  const tests = sources(["test/unit/controllers"]);
  const without = plans.filter((name) => {
    const own = tests.filter(({ path }) => path.includes(`/controllers/${name}/`));
    return !own.some(({ lines }) => lines.some((line) => /fc\.assert\(|^converges\(/.test(line)));
  });
  expect(without).toEqual([]);
});

test("what is tried less often with the unit tests is found by its name", () => {
  const unnamed = sources(["test/unit"]).flatMap(({ path, lines }) => {
    let title = "";
    return lines.flatMap((line, i) => {
      if (/^\s*test(\.each)?\(/.test(line)) title = `${line}${lines[i + 1] ?? ""}`;
      const isTried = /\btries\(/.test(line) && !title.includes("property: ");
      return isTried ? [`${path}:${i + 1}: a test that uses tries() is named "property: …"`] : [];
    });
  });
  expect(unnamed).toEqual([]);
});
