/**
 * Records what Kubernetes warns of when these objects are made:
 *
 *   ORACLE=/path/to/oracle bun test/unit/resources/warnings/warnings.record.ts
 *
 * The program is `warnings.oracle.go`, built in a module that requires k8s.io/kubernetes (that of
 * `test/conformance` will do).
 */
import { join } from "node:path";
import { cases } from "./cases.ts";

const input = cases.map((each) => `${JSON.stringify(each)}\n`).join("");
const done = Bun.spawnSync([process.env["ORACLE"] ?? "oracle"], { stdin: Buffer.from(input) });
const answers = done.stdout.toString().trimEnd().split("\n");
if (answers.length !== cases.length) throw new Error(done.stderr.toString());
const lines = answers.map((answer) => JSON.parse(answer) as string[]);
const out = join(import.meta.dir, "warnings.golden.json");
await Bun.write(out, `${JSON.stringify(lines, undefined, 1)}\n`);
console.log(`${answers.length} objects, ${lines.flat().length} warnings`);
