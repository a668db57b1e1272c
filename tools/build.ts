/**
 * Compiles the one file that bramble ships: `bun tools/build.ts OUT [bun target]`.
 * $BRAMBLE_BUILD_VERSION replaces the version, for tests of upgrades. $BRAMBLE_RELEASE_KEYS holds
 * the public keys that the program accepts releases of, separated by commas.
 * The build is reproducible: the same commit, file name and variables give the same bytes.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import pkg from "../package.json";
import { isReleaseKey } from "../src/main/release/signature.ts";

const [out = "dist/bramble", target] = process.argv.slice(2);
mkdirSync(dirname(out), { recursive: true });
const releaseKeys = process.env["BRAMBLE_RELEASE_KEYS"] ?? "";
if (releaseKeys !== "" && !releaseKeys.split(",").every(isReleaseKey)) {
  console.error("$BRAMBLE_RELEASE_KEYS: must be Ed25519 public keys in base64, comma-separated");
  process.exit(1);
}
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
    BRAMBLE_RELEASE_KEYS: JSON.stringify(releaseKeys),
    // It is known here. Otherwise the bundler writes the path of the source tree into the program.
    "Bun.isStandaloneExecutable": "true",
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
