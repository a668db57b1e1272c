/**
 * Breaks comment lines of more than 100 columns, which the formatter leaves alone:
 * `bun tools/wrap.ts FILE...` changes the files.
 */
import { readFileSync, writeFileSync } from "node:fs";

const COLUMNS_MAX = 100;

/** Words in lines that begin with `prefix` and fit; a longer word stands alone. */
function fill(text: string, prefix: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/).filter((part) => part !== "")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && prefix.length + longer.length > COLUMNS_MAX) {
      lines.push(prefix + line);
      line = word;
    } else {
      line = longer;
    }
  }
  return line === "" ? lines : [...lines, prefix + line];
}

/** The following lines of the same comment that read on from this one. */
function readsOn(lines: readonly string[], at: number, prefix: string): number {
  let end = at + 1;
  for (; end < lines.length; end++) {
    const line = lines[end] ?? "";
    if (!line.startsWith(prefix)) break;
    const text = line.slice(prefix.length);
    if (text === "" || /^(\s|[-*@|#]|\d+\.)/.test(text)) break;
  }
  return end;
}

export function wrapComments(source: string): string {
  const lines = source.split("\n");
  const out: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const single = /^(\s*)\/\*\* (.*) \*\/$/.exec(line);
    const part = /^(\s*(?:\/\/|\*) )(?=\S)/.exec(line);
    if ([...line].length <= COLUMNS_MAX || (single === null && part === null)) {
      out.push(line);
    } else if (single !== null) {
      const [, indent = "", text = ""] = single;
      out.push(`${indent}/**`, ...fill(text, `${indent} * `), `${indent} */`);
    } else {
      const prefix = part?.[1] ?? "";
      const end = readsOn(lines, at, prefix);
      const texts = lines.slice(at, end).map((item) => item.slice(prefix.length));
      out.push(...fill(texts.join(" "), prefix));
      at = end - 1;
    }
  }
  return out.join("\n");
}

if (import.meta.main) {
  for (const path of process.argv.slice(2)) {
    const before = readFileSync(path, "utf8");
    const after = wrapComments(before);
    if (after !== before) writeFileSync(path, after);
  }
}
