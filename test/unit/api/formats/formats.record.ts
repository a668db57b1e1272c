/**
 * Records which texts Kubernetes takes for which format:
 *
 *   ORACLE=/path/to/oracle bun test/unit/api/formats/formats.record.ts
 *
 * The program is `formats.oracle.go`, built in a module that requires k8s.io/kube-openapi (that of
 * `test/conformance` will do).
 */
import { join } from "node:path";
import { formats, texts } from "./cases.ts";

const asked = JSON.stringify({ formats, texts });
const done = Bun.spawnSync([process.env["ORACLE"] ?? "oracle"], { stdin: Buffer.from(asked) });
if (done.exitCode !== 0) throw new Error(done.stderr.toString());
const fitting: Record<string, string[]> = JSON.parse(done.stdout.toString());
const out = join(import.meta.dir, "formats.golden.json");
await Bun.write(out, `${JSON.stringify(fitting, undefined, 1)}\n`);
console.log(`${formats.length} formats, ${texts.length} texts`);
