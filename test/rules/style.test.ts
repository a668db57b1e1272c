/**
 * House rules 5 and 6 and the bans, counted: every message names the file, the line and the rule.
 */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root, type Source, sources } from "#test/support/sources.ts";

const FOLDERS = ["src", "agents", "tools", "test"];
const FILE_LINES_MAX = 400;
const TEST_FILE_LINES_MAX = 800;
const LINE_COLUMNS_MAX = 100;

const all = sources(FOLDERS);
const isTest = (path: string): boolean => path.startsWith("test/");

function violations(check: (source: Source) => string[]): string[] {
  return all.flatMap(check);
}

test("there are files to check", () => {
  expect(all.length).toBeGreaterThan(50);
});

test("files have at most 400 lines, tests 800", () => {
  const long = violations(({ path, lines }) => {
    const max = isTest(path) ? TEST_FILE_LINES_MAX : FILE_LINES_MAX;
    // A file ends with a line break, so the last piece is no line.
    const count = lines.length - 1;
    return count > max ? [`${path}:${count}: a file has at most ${max} lines`] : [];
  });
  expect(long).toEqual([]);
});

test("lines have at most 100 columns", () => {
  const wide = violations(({ path, lines }) =>
    lines.flatMap((line, i) => {
      const columns = [...line].length;
      // A pattern cannot be broken; nor, in tests, a text that a program prints.
      const pattern = /^\s*(\w.*[=(] )?\/.*\/[a-z]*[;,]?$/.test(line);
      const text = isTest(path) && /^\s*(\S+: )?(".*"|`.*`?|[^`]*`|'.*')[,;]*$/.test(line);
      const unbreakable = pattern || text;
      return columns > LINE_COLUMNS_MAX && !unbreakable
        ? [`${path}:${i + 1}: a line has at most ${LINE_COLUMNS_MAX} columns, not ${columns}`]
        : [];
    }),
  );
  expect(wide).toEqual([]);
});

test("no test is left out", () => {
  const bans = /\b(?:test|it|describe)\.(?:skip|only|todo|skipIf|todoIf|failing)\b|\b[xf]it\(/;
  const left = violations(({ path, lines }) =>
    isTest(path) && path !== "test/rules/style.test.ts"
      ? lines.flatMap((line, i) =>
          bans.test(line)
            ? [`${path}:${i + 1}: a test is never skipped, singled out or a todo`]
            : [],
        )
      : [],
  );
  expect(left).toEqual([]);
});

interface Diagnostic {
  readonly category: string;
  readonly message: string;
  readonly location: { readonly path: string; readonly start: { readonly line: number } };
}

function lint(): Diagnostic[] {
  const biome = join(root, "node_modules/.bin/biome");
  if (!existsSync(biome)) throw new Error("biome is missing: run `bun install`");
  const config = "--config-path=test/support/style.biome.json";
  const options = ["--reporter=json", "--max-diagnostics=none"];
  const run = Bun.spawnSync([biome, "lint", config, ...options, ...FOLDERS], { cwd: root });
  const report = JSON.parse(run.stdout.toString()) as { diagnostics: Diagnostic[] };
  return report.diagnostics;
}

/**
 * A `describe` holds tests as a folder holds files; each test in it has the limit of a function.
 */
function isDescribe({ location: { path, start } }: Diagnostic): boolean {
  const line = all.find((source) => source.path === path)?.lines[start.line - 1] ?? "";
  return isTest(path) && /\bdescribe(?:\.each)?\(/.test(line);
}

test("functions have at most 70 lines, and nothing has the type any", () => {
  const found = lint()
    .filter((diagnostic) => !isDescribe(diagnostic))
    // Of rules that only the whole lint knows.
    .filter(({ category }) => category !== "suppressions/unused")
    .map(({ category, message, location }) => {
      const rule = category.split("/").at(-1);
      return `${location.path}:${location.start.line}: ${message} (${rule})`;
    });
  expect(found).toEqual([]);
});
