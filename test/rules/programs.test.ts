/** One module starts programs, so that each has its arguments and its environment checked. */
import { expect, test } from "bun:test";
import { sources } from "#test/support/sources.ts";

const STARTER = "src/base/process.ts";
const STARTS =
  /\bBun\s*\.\s*(?:spawn|spawnSync|\$)|\bchild_process\b|\bBun\s*\[|[{,]\s*(?:spawn|spawnSync|\$)\b[^}]*}\s*(?:=\s*Bun\b|from "bun")/;
const SHELLS = /\[\s*"(?:\/bin\/)?(?:sh|bash|dash|ash)"/;

function violations(pattern: RegExp, exempt: readonly string[]): string[] {
  return sources(["src", "agents"]).flatMap(({ path, lines }) =>
    exempt.includes(path)
      ? []
      : lines.flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}`] : [])),
  );
}

test("programs are started by one module", () => {
  expect(violations(STARTS, [])).not.toEqual([]);
  expect(violations(STARTS, [STARTER])).toEqual([]);
});

test("no shell is started", () => {
  expect(violations(SHELLS, [])).toEqual([]);
});
