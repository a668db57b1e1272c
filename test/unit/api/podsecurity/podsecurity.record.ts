/**
 * Records what Kubernetes finds in pods, by level and version of the standards:
 *
 *   ORACLE=/path/to/oracle bun test/unit/api/podsecurity/podsecurity.record.ts
 *
 * The program is `podsecurity.oracle.go`, built in a module that requires
 * k8s.io/pod-security-admission (that of `test/conformance` will do).
 */
import { join } from "node:path";
import { cases } from "./cases.ts";

const input = cases.map((each) => `${JSON.stringify(each)}\n`).join("");
const program = process.env["ORACLE"] ?? "oracle";
const done = Bun.spawnSync([program], { stdin: Buffer.from(input), maxBuffer: 2 ** 28 });
const answers: string[] = done.stdout
  .toString()
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));
if (answers.length !== cases.length) throw new Error(done.stderr.toString());
/** Most words come again and again: they are kept once. */
const words = [...new Set(answers)].sort();
const places = answers.map((answer) => words.indexOf(answer));
await Bun.write(
  join(import.meta.dir, "podsecurity.golden.json"),
  `{\n"words": ${JSON.stringify(words, undefined, 1)},\n"places": ${JSON.stringify(places)}\n}\n`,
);
console.log(`${answers.length} cases, ${words.length} answers`);
