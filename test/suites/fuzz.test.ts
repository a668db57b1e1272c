/** Random requests, made from our own OpenAPI documents, against a server that has nothing to lose. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type BenchServer, startServer } from "#test/bench/server.ts";
import { BUILD, INSTALL_MS_MAX, PYTHON, python } from "#test/suites/programs.ts";
import { run } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";

/** Of the fuzzing itself; what installs it comes before. */
const SECONDS = Number(process.env["FUZZ_SECONDS"] ?? "25");
const MORE_MS = INSTALL_MS_MAX + 600_000;

let server: BenchServer;
beforeAll(async () => {
  server = await startServer({ binary: BRAMBLE });
}, 120_000);
afterAll(() => server?.end(), 120_000);

test(
  "schemathesis finds no request that breaks the server",
  async () => {
    const argv = ["-m", "pytest", "-s", "-v", "-p", "no:cacheprovider", "test_fuzz.py"];
    const env = {
      KUBECONFIG: join(server.dataDir, "kubeconfig"),
      FUZZ_SECONDS: String(SECONDS),
      PYTHONWARNINGS: "ignore",
    };
    const options = { env, timeoutMs: SECONDS * 1000 + 570_000 };
    const { exitCode, stdout } = await run(["env", "-C", PYTHON, await python(), ...argv], options);
    await Bun.write(join(BUILD, "fuzz.txt"), stdout);
    if (exitCode !== 0) throw new Error(stdout.slice(-6000));
    expect(stdout).toMatch(/seed \d+: \d+ operations/);
  },
  SECONDS * 1000 + MORE_MS,
);
