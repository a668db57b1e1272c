/** The project's own source files, for the tests of the house rules. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

export const root = join(import.meta.dir, "../..");

export interface Source {
  /** Relative to the project: `src/api/write.ts`. */
  readonly path: string;
  readonly lines: readonly string[];
}

const isGenerated = (path: string): boolean => path.includes(".gen.");

/** All TypeScript files of these folders but generated ones. */
export function sources(folders: readonly string[]): Source[] {
  return folders
    .flatMap((folder) => [...new Glob(`${folder}/**/*.ts`).scanSync(root)])
    .filter((path) => !isGenerated(path) && !path.includes("node_modules/"))
    .sort()
    .map((path) => ({ path, lines: readFileSync(join(root, path), "utf8").split("\n") }));
}

/** Import and export-from specifiers with their lines, `import type` and `import()` included. */
export function importsOf(source: Source): Array<{ line: number; from: string; type: boolean }> {
  const text = source.lines.join("\n");
  const pattern =
    /^(?:import|export)\s+(type\s)?(?:[\w*{}\s,$]*?\sfrom\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm;
  return [...text.matchAll(pattern)].map((match) => ({
    line: text.slice(0, match.index).split("\n").length,
    from: match[2] ?? match[3] ?? "",
    type: match[1] !== undefined,
  }));
}

/** The lines without their comments, so that a word in one is no use of it. */
export function codeOf(source: Source): string[] {
  let inside = false;
  return source.lines.map((line) => {
    const open = inside;
    if (inside || /^\s*\/\*/.test(line)) inside = !line.includes("*/");
    if (open || /^\s*\/[/*]/.test(line)) return "";
    return line.replace(/\s\/\/ .*$/, "");
  });
}
