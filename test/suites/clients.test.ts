/** Clients of other languages, unmodified, against the compiled binary with a node. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { webManifest } from "#test/e2e/web.ts";
import { BUILD, GO, goTests, INSTALL_MS_MAX, PYTHON, python } from "#test/suites/programs.ts";
import { type Instance, run, startInstance } from "#test/support/instance.ts";

const SUITE_MS_MAX = 400_000;

let cluster: Instance;
let env: Record<string, string>;

beforeAll(async () => {
  cluster = await startInstance({ name: "suites", images: ["1"] });
  await cluster.apply(webManifest({ replicas: 1 }));
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  const pod = await cluster.must("get", "pods", "-l", "app=web", "-o", "name");
  env = { KUBECONFIG: cluster.kubeconfig, SUITE_POD: pod.trim().replace("pod/", "") };
}, 270_000);

afterAll(() => cluster?.close(), 180_000);

/** Its words are the report of what failed. */
async function passes(argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await run(argv, { env, timeoutMs: SUITE_MS_MAX });
  if (exitCode !== 0) throw new Error(`status ${exitCode}: ${stdout}${stderr}`);
  return stdout;
}

test(
  "client-go: typed, dynamic, informers, leaders, apply, discovery, scale, pages, exec",
  async () => {
    const program = await goTests();
    const out = await passes(["env", "-C", GO, program, "-test.v", "-test.timeout=380s"]);
    await Bun.write(join(BUILD, "go.txt"), out);
    const ran = out.match(/^ *--- PASS: \S+/gm) ?? [];
    expect(ran.length).toBeGreaterThan(15);
  },
  SUITE_MS_MAX + INSTALL_MS_MAX,
);

test(
  "the Python client: objects, pages, watches, dynamic, YAML, access, exec",
  async () => {
    const argv = ["-m", "pytest", "-v", "-p", "no:cacheprovider", "test_client.py"];
    const out = await passes(["env", "-C", PYTHON, await python(), ...argv]);
    await Bun.write(join(BUILD, "python.txt"), out);
    expect(out).toMatch(/\d+ passed/);
  },
  SUITE_MS_MAX + INSTALL_MS_MAX,
);
