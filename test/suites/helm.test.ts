/** helm, unmodified, with a chart of local files against the compiled binary with a node. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { CHART, helmProgram, INSTALL_MS_MAX } from "#test/suites/programs.ts";
import { eventually, type Instance, run, startInstance } from "#test/support/instance.ts";
import type { Result } from "#test/support/lab.ts";

const STEP_MS_MAX = 400_000;

let cluster: Instance;
let program: string;

beforeAll(async () => {
  program = await helmProgram();
  cluster = await startInstance({ name: "helm", images: ["1"] });
}, INSTALL_MS_MAX + 270_000);

afterAll(() => cluster?.close(), 180_000);

/** With folders of its own, so that nothing of this machine's user counts. */
function helm(...argv: string[]): Promise<Result> {
  const of = (name: string): string => join(cluster.dir, "helm", name);
  const env = {
    KUBECONFIG: cluster.kubeconfig,
    HELM_NAMESPACE: "shop",
    HELM_CACHE_HOME: of("cache"),
    HELM_CONFIG_HOME: of("config"),
    HELM_DATA_HOME: of("data"),
  };
  return run([program, ...argv], { env, timeoutMs: STEP_MS_MAX });
}

async function must(...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await helm(...argv);
  if (exitCode !== 0) throw new Error(`helm ${argv.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

const shop = (...argv: string[]): Promise<string> => cluster.must("-n", "shop", ...argv);
const waits = ["--wait", "--timeout", "180s"];

interface Revision {
  readonly revision: number;
  readonly status: string;
  readonly description: string;
}
const history = async (): Promise<Revision[]> =>
  JSON.parse(await must("history", "shop", "-o", "json"));
const states = async (): Promise<string[]> => (await history()).map(({ status }) => status);

interface Running {
  readonly ready: number;
  readonly greeting: string;
}
async function running(): Promise<Running> {
  const ready = await shop("get", "deployment", "shop", "-o", "jsonpath={.status.readyReplicas}");
  const greeting = await shop("get", "configmap", "shop", "-o", "jsonpath={.data.greeting}");
  return { ready: Number(ready), greeting };
}

/** Pods that are no longer wanted may be there when helm comes back. */
const runs = (wanted: Running): Promise<boolean> =>
  eventually(`${JSON.stringify(wanted)} runs`, 120_000, async () =>
    Bun.deepEquals(await running(), wanted),
  );

/** What others take away may be there when helm comes back. */
const noneOf = (kinds: string): Promise<boolean> =>
  eventually(`no ${kinds}`, 120_000, async () => (await shop("get", kinds, "-o", "name")) === "");

test("a dry run on the server shows what would be, and makes nothing", async () => {
  const shown = await must("install", "shop", CHART, "--dry-run=server", "--create-namespace");
  expect(shown).toContain('greeting: "hello"');
  expect(await cluster.must("get", "namespaces", "-o", "name")).not.toContain("shop");
  const { exitCode, stderr } = await helm("install", "shop", CHART, "--set", "replicas=-1");
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining("replicas")]);
});

test(
  "install --wait makes all of it, and comes back when it is ready",
  async () => {
    const out = await must("install", "shop", CHART, "--create-namespace", ...waits);
    expect(out).toContain("STATUS: deployed");
    await runs({ ready: 2, greeting: "hello" });
    // `lookup` read the live cluster; the definition came before its object.
    const uid = await cluster.must("get", "ns", "kube-system", "-o", "jsonpath={.metadata.uid}");
    const seen = await shop("get", "configmap", "shop", "-o", "jsonpath={.data.cluster}");
    expect(seen).toBe(uid);
    const greeting = await shop("get", "greetings", "shop", "-o", "jsonpath={.spec}");
    expect(JSON.parse(greeting)).toEqual({ text: "hello", loud: false });
    // Its hooks ran: the Job is gone with its success, what comes after is there.
    await noneOf("jobs");
    const after = await shop("get", "configmap", "shop-after", "-o", "jsonpath={.data}");
    expect(JSON.parse(after)).toEqual({ revision: "1" });
    const again = await helm("install", "shop", CHART);
    expect([again.exitCode, again.stderr]).toEqual([1, expect.stringContaining("still in use")]);
  },
  STEP_MS_MAX,
);

test(
  "helm test runs the chart's own test through the Service, and tells when it fails",
  async () => {
    const out = await must("test", "shop", "--timeout", "180s", "--logs");
    expect(out).toMatch(/Phase:\s+Succeeded/);
    expect(out).toContain("hello from shop-");
    const closed = '{"spec":{"ports":[{"port":80,"targetPort":1}]}}';
    await shop("patch", "service", "shop", "-p", closed);
    const failed = await helm("test", "shop", "--timeout", "180s");
    expect([failed.exitCode, failed.stdout]).toEqual([1, expect.stringMatching(/Phase:\s+Failed/)]);
  },
  STEP_MS_MAX,
);

test(
  "upgrade changes what changed, and what others changed of it",
  async () => {
    await shop("annotate", "deployment", "shop", "note=kept");
    const service = () => shop("get", "service", "shop", "-o", "jsonpath={.spec}");
    const { clusterIP } = JSON.parse(await service());
    await must("upgrade", "shop", CHART, "--set", "greeting=moin,replicas=1", ...waits);
    await runs({ ready: 1, greeting: "moin" });
    const note = "jsonpath={.metadata.annotations.note}";
    expect(await shop("get", "deployment", "shop", "-o", note)).toBe("kept");
    expect(JSON.parse(await service())).toMatchObject({
      clusterIP,
      ports: [{ port: 80, targetPort: "http" }],
    });
    expect(await states()).toEqual(["superseded", "deployed"]);
    expect(JSON.parse(await must("get", "values", "shop", "-o", "json"))).toEqual({
      greeting: "moin",
      replicas: 1,
    });
  },
  STEP_MS_MAX,
);

test(
  "a hook that fails keeps the upgrade from being done",
  async () => {
    const values = ["--reuse-values", "--set", "greeting=ciao,hookStatus=3"];
    const { exitCode, stderr } = await helm("upgrade", "shop", CHART, ...values, ...waits);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("pre-upgrade hooks failed")]);
    await runs({ ready: 1, greeting: "moin" });
    expect(await states()).toEqual(["superseded", "deployed", "failed"]);
  },
  STEP_MS_MAX,
);

test(
  "upgrade --atomic of what never gets ready goes back to what was",
  async () => {
    const values = ["--set", "greeting=nope,image.tag=none", "--atomic", "--timeout", "25s"];
    const { exitCode, stderr } = await helm("upgrade", "shop", CHART, ...values);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining("rolled back due to atomic")]);
    await runs({ ready: 1, greeting: "moin" });
    const [failed, back] = (await history()).slice(-2);
    expect(failed).toMatchObject({
      status: "failed",
      description: expect.stringContaining("context deadline exceeded"),
    });
    expect(back).toMatchObject({ status: "deployed", description: "Rollback to 2" });
  },
  STEP_MS_MAX,
);

test(
  "rollback brings a revision back as a new one",
  async () => {
    await must("rollback", "shop", "1", ...waits);
    await runs({ ready: 2, greeting: "hello" });
    const last = { revision: 6, status: "deployed", description: "Rollback to 1" };
    expect((await history()).at(-1)).toMatchObject(last);
    // The hook of then ran again, after that of the upgrade.
    const after = await shop("get", "configmap", "shop-after", "-o", "jsonpath={.data.revision}");
    expect(after).toBe("1");
    const listed = JSON.parse(await must("list", "-o", "json"));
    expect(listed).toMatchObject([{ name: "shop", status: "deployed", chart: "web-0.1.0" }]);
  },
  STEP_MS_MAX,
);

test(
  "uninstall --wait leaves nothing but what a chart never takes back",
  async () => {
    await must("uninstall", "shop", ...waits);
    await noneOf("deployments,replicasets,services,secrets,roles,rolebindings,greetings");
    // Hooks are not part of a release.
    await eventually("the pods are gone", 120_000, async () => {
      return (await shop("get", "pods", "-o", "name")) === "pod/shop-answers\n";
    });
    expect(await must("list", "-o", "json")).toBe("[]\n");
    // Definitions stay: with them would go everybody's objects.
    await cluster.must("get", "customresourcedefinition", "greetings.helm.example.com");
    const gone = await helm("status", "shop");
    expect([gone.exitCode, gone.stderr]).toEqual([1, expect.stringContaining("not found")]);
  },
  STEP_MS_MAX,
);
