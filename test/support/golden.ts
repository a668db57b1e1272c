/**
 * Golden files: blocks of `== name`, input, `----`, output. A new case is only text; with
 * UPDATE_GOLDEN=1 the outputs are written anew, to be read in the diff.
 */
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";

interface Case {
  name: string;
  input: string;
  output: string;
}

function parse(text: string): Case[] {
  return text
    .split(/^== /m)
    .slice(1)
    .map((block) => {
      const [head = "", output = ""] = block.split(/^----\n/m);
      const end = head.indexOf("\n");
      return { name: head.slice(0, end), input: head.slice(end + 1), output: output.trimEnd() };
    });
}

function update(file: URL, cases: readonly Case[], produce: (input: string) => string): void {
  const blocks = cases.map(
    ({ name, input }) => `== ${name}\n${input}----\n${produce(input).trimEnd()}\n`,
  );
  writeFileSync(file, blocks.join("\n"));
}

/** One test for each case of the file. */
export function golden(file: URL, produce: (input: string) => string): void {
  const read = () => parse(readFileSync(file, "utf8"));
  if (process.env["UPDATE_GOLDEN"] === "1") update(file, read(), produce);
  const cases = read();
  if (cases.length === 0) throw new Error(`no cases in ${file.pathname}`);
  for (const { name, input, output } of cases) {
    test(name, () => {
      expect(produce(input).trimEnd()).toBe(output);
    });
  }
}
