/**
 * Compiles the one file that bramble ships: `bun tools/build.ts OUT [bun target]`. Tests of
 * upgrades name another version with $BRAMBLE_BUILD_VERSION.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import pkg from "../package.json";

const [out = "dist/bramble", target] = process.argv.slice(2);
mkdirSync(dirname(out), { recursive: true });
const commit =
  Bun.which("git") === null
    ? ""
    : Bun.spawnSync(["git", "rev-parse", "--short=12", "HEAD"]).stdout.toString().trim();
const result = await Bun.build({
  // The second one is the program of a thread, found by its path from the root.
  entrypoints: ["src/main.ts", "src/main/traffic/entry.ts"],
  root: "src",
  minify: { whitespace: true, syntax: true },
  // Parsed once here instead of at every start: a command answers in 40 ms instead of 250.
  bytecode: true,
  define: {
    BRAMBLE_VERSION: JSON.stringify(process.env["BRAMBLE_BUILD_VERSION"] ?? pkg.version),
    BRAMBLE_COMMIT: JSON.stringify(commit === "" ? "unknown" : commit),
  },
  compile: {
    outfile: out,
    // Nothing of the folder that it is started in may change what the binary does.
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
    ...(target !== undefined && { target: target as Bun.Build.CompileTarget }),
  },
});
if (!result.success) {
  for (const log of result.logs) console.error(String(log));
  process.exit(1);
}
console.log(out);
