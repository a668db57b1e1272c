/**
 * Runs upstream's conformance tests, unmodified, on a fresh two-node cluster in the lab, and writes
 * `results.json` and a table by group.
 *
 *   bun run conformance [--focus RE] [--procs N] [--smoke] [--keep] [--datastore etcd]
 *
 * --focus: only tests whose name matches; --smoke: those of smoke.txt; --keep: leaves the cluster
 * up; --datastore etcd: not on SQLite, whose results alone are kept in `results.json`.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Datastore, startCluster } from "#test/support/cluster.ts";
import { LAB_ENV } from "#test/support/lab.ts";
import { complaints, leftovers } from "./aftermath.ts";
import { sampleMemory } from "./memory.ts";
import { type Outcome, readReport, summarize, writeResults } from "./report.ts";

const NODES = ["n1", "n2"];
const HERE = import.meta.dir;
const BUILD = join(HERE, "build");
const literal = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

const { values } = parseArgs({
  options: {
    focus: { type: "string" },
    procs: { type: "string", default: "4" },
    smoke: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
    datastore: { type: "string", default: "sqlite" },
  },
});

function datastore(): Datastore {
  const { datastore: chosen } = values;
  if (chosen === "sqlite" || chosen === "etcd") return chosen;
  throw new Error(`--datastore is sqlite or etcd, not ${chosen}`);
}

function listed(): string[] {
  const file = values.smoke ? "smoke.txt" : "conformance-1.34.txt";
  return readFileSync(join(HERE, file), "utf8")
    .split("\n")
    .filter((line) => line !== "");
}

function focus(): string {
  if (values.focus !== undefined) return values.focus;
  if (!values.smoke) return "\\[Conformance\\]";
  return listed().map(literal).join("|");
}

async function build(): Promise<void> {
  const child = Bun.spawn([join(HERE, "build.sh")], { stdout: "inherit", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error("build.sh failed");
}

async function suite(kubeconfig: string, out: string): Promise<number> {
  const argv = [
    join(HERE, "../lab/lab"),
    "exec",
    "lan",
    "--",
    join(BUILD, "ginkgo"),
    `-procs=${values.procs}`,
    "-no-color",
    "-timeout=4h",
    `-focus=${focus()}`,
    join(BUILD, "e2e.test"),
    "--",
    `-kubeconfig=${kubeconfig}`,
    "-provider=local",
    `-kubectl-path=${join(BUILD, "bin/kubectl")}`,
    `-report-dir=${out}`,
    "--num-nodes=2",
    "-disable-log-dump=true",
    "-clean-start=false",
    "-delete-namespace-on-failure=true",
  ];
  const env = { ...LAB_ENV, KUBE_TEST_REPO_LIST: join(BUILD, "repositories.yaml") };
  const child = Bun.spawn(argv, {
    env,
    stdout: Bun.file(join(out, "suite.log")),
    stderr: "inherit",
  });
  return child.exited;
}

await build();
const out = join(BUILD, "out");
// A file that is written to keeps what an earlier, longer run left at its end.
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const images = readdirSync(join(BUILD, "images")).map((name) => join(BUILD, "images", name));
const cluster = await startCluster({
  nodes: 2,
  dir: out,
  images,
  datastore: datastore(),
  kubectl: join(BUILD, "bin/kubectl"),
});
const started = Date.now();
let seconds = 0;
let outcomes: Outcome[] = [];
let memory: ReturnType<typeof sampleMemory> | undefined;
let trouble: string[] = [];
try {
  await cluster.startServer();
  await cluster.startAgent("n2");
  await cluster.readyNodes(2, 90_000);
  memory = sampleMemory(cluster, NODES);
  await suite(cluster.kubeconfig, out);
  outcomes = existsSync(join(out, "junit_01.xml")) ? readReport(out) : [];
  memory.stop();
  seconds = (Date.now() - started) / 1000;
  const logs = Object.fromEntries(
    NODES.map((node) => [node, readFileSync(join(out, `${node}.log`), "utf8")]),
  );
  trouble = [...complaints(cluster, logs), ...(await leftovers(cluster, NODES))];
} finally {
  memory?.stop();
  if (!values.keep) await cluster.down();
}
const whole = values.focus === undefined && !values.smoke && datastore() === "sqlite";
const results = summarize({ names: listed(), outcomes, seconds, trouble });
if (whole) {
  await writeResults(join(HERE, "results.json"), { ...results, memory: memory?.taken() ?? {} });
}
console.log(results.table);
process.exit(results.failed + trouble.length === 0 && results.passed > 0 ? 0 : 1);
