/**
 * The tests of the node agent on containerd 2, built from its Go module, instead of Debian's 1.6:
 * `bun run test:containerd2`, or with the tests to run. The first build takes three minutes.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "#test/support/instance.ts";

const MODULE = join(import.meta.dir, "containerd2");
const BUILD = join(import.meta.dir, "build/containerd2");
const PACKAGE = "github.com/containerd/containerd/v2";
const PROGRAMS = ["containerd", "containerd-shim-runc-v2"];
/** What neither bramble nor these tests use. */
const WITHOUT = "no_btrfs no_zfs no_devmapper no_cri no_tracing";
const BUILD_MS_MAX = 1_500_000;

async function build(): Promise<void> {
  mkdirSync(BUILD, { recursive: true });
  const list = ["list", "-m", "-f", "{{.Version}}", PACKAGE];
  const version = (await mustRun(["go", "-C", MODULE, ...list])).trim();
  const flags = ["-trimpath", "-tags", WITHOUT, "-ldflags"];
  const linker = `-s -w -X ${PACKAGE}/version.Version=${version}`;
  const programs = PROGRAMS.map((name) => `${PACKAGE}/cmd/${name}`);
  const argv = ["go", "-C", MODULE, "build", ...flags, linker, "-o", `${BUILD}/`, ...programs];
  const env = { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" };
  await mustRun(argv, { env, timeoutMs: BUILD_MS_MAX });
}

const HOST = ["pull", "runtime", "exec", "survival", "stats"].map(
  (name) => `./test/host/${name}.test.ts`,
);

const asked = Bun.argv.slice(2);
const tests = asked.length > 0 ? asked : [...HOST, "./test/host/kubelet/"];
await build();
// Before Debian's; containerd takes the shim that lies beside it.
const path = `${BUILD}:${process.env["PATH"]}`;
console.log((await mustRun([`${BUILD}/containerd`, "--version"])).trim());
const child = Bun.spawn(["bun", "test", "--timeout", "120000", ...tests], {
  env: { ...process.env, PATH: path },
  stdio: ["inherit", "inherit", "inherit"],
});
process.exit(await child.exited);
