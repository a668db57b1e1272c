/**
 * The tests of the node agent on other versions of containerd than Debian 12's 1.6, built from
 * their Go modules: `bun run test:containerd` for all of them, or with a version, with the tests to
 * run, or with both: `bun run test:containerd 1.7 ./test/host/pull.test.ts`. A version's first
 * build takes one to three minutes.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "#test/support/instance.ts";

/** One folder a version, with what `go build` takes. */
const MODULES = join(import.meta.dir, "containerd");
const BUILDS = join(import.meta.dir, "build/containerd");
const PROGRAMS = ["containerd", "containerd-shim-runc-v2"];
/** What neither bramble nor these tests use. */
const WITHOUT = "no_btrfs no_zfs no_devmapper no_cri no_tracing";
const BUILD_MS_MAX = 1_500_000;

const HOST = ["pull", "runtime", "exec", "survival", "stats", "doctor", "owncontainerd"].map(
  (name) => `./test/host/${name}.test.ts`,
);

/** Answers the folder of the programs. */
async function build(version: string): Promise<string> {
  const module = join(MODULES, version);
  const out = join(BUILDS, version);
  mkdirSync(out, { recursive: true });
  // The module has another name from version 2 on.
  const name = version.startsWith("1.")
    ? "github.com/containerd/containerd"
    : `github.com/containerd/containerd/v${version.split(".")[0]}`;
  const exact = await mustRun(["go", "-C", module, "list", "-m", "-f", "{{.Version}}", name]);
  const linker = `-s -w -X ${name}/version.Version=${exact.trim()}`;
  const flags = ["-trimpath", "-tags", WITHOUT, "-ldflags", linker];
  const programs = PROGRAMS.map((program) => `${name}/cmd/${program}`);
  await mustRun(["go", "-C", module, "build", ...flags, "-o", `${out}/`, ...programs], {
    env: { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" },
    timeoutMs: BUILD_MS_MAX,
  });
  return out;
}

/** Answers the exit code. */
async function testOn(version: string, tests: readonly string[]): Promise<number> {
  const programs = await build(version);
  console.log((await mustRun([`${programs}/containerd`, "--version"])).trim());
  const child = Bun.spawn(["bun", "test", "--timeout", "120000", ...tests], {
    // Before Debian's; containerd takes the shim that lies beside it.
    env: { ...process.env, PATH: `${programs}:${process.env["PATH"]}` },
    stdio: ["inherit", "inherit", "inherit"],
  });
  return child.exited;
}

const known = readdirSync(MODULES).sort();
const asked = Bun.argv.slice(2);
const versions = asked.filter((word) => known.includes(word));
const tests = asked.filter((word) => !known.includes(word));
if (tests.length === 0) tests.push(...HOST, "./test/host/kubelet/");
const codes: number[] = [];
for (const version of versions.length > 0 ? versions : known) {
  codes.push(await testOn(version, tests));
}
process.exit(Math.max(...codes));
