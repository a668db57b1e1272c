/**
 * The API server away for LONG_AWAY_S seconds (default 3600) from a node whose agent runs on:
 * running pods go on, dead ones are restarted with their back-off, pods that end meanwhile are told
 * of with their own times, and the status catches up once it is back.
 *
 *   LONG_AWAY_S=180 bun test --timeout 14400000 ./test/long/serveraway.test.ts
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Pod } from "#resources/types.gen.ts";
import { cpuSeconds, memory, processesWith } from "#test/bench/process.ts";
import { BUSYBOX, busyboxTar } from "#test/support/images.ts";
import { eventually, type Instance, mustRun, startInstance } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";

const AWAY_S = Number(process.env["LONG_AWAY_S"] ?? 3600);
const STARTED_MS_MAX = 90_000;
/** From the server's return until every status is true; its own start is not counted. */
const CAUGHT_UP_MS_MAX = 60_000;
const RESTARTED_MS_MAX = 15_000;
/** The log of a node must not fill its card while nobody answers. */
const LOG_BYTES_AN_HOUR_MAX = 2_000_000;
const CRASH_S = 3;
/** A number that no other process sleeps for. */
const MARK = 800_000 + (process.pid % 100_000);

let instance: Instance;
let agent: Bun.Subprocess;
const agentDir = () => join(instance.dir, "agent");
const runsDir = () => join(instance.dir, "runs");
const logPath = () => join(instance.dir, "agent.log");

function startAgent(token: string): Bun.Subprocess {
  const { containerd, url } = instance;
  const file = openSync(logPath(), "a");
  const child = Bun.spawn(
    [
      ...[BRAMBLE, "agent", "--data-dir", agentDir(), "--node-name", "away"],
      ...["--server", url, "--token", token, "--disable", "discovery,ingress,dns"],
      ...["--containerd-address", containerd.address, "--containerd-namespace", "away"],
    ],
    { stdin: "ignore", stdout: file, stderr: file },
  );
  closeSync(file);
  return child;
}

const count = (name: string): string => `echo run >> /runs/${name}`;

/** Name, script, and what else is in its pod. */
const PODS: ReadonlyArray<[name: string, script: string, spec?: object]> = [
  ["steady", `${count("steady")}; exec sleep ${MARK}`],
  ["killed", `${count("killed")}; exec sleep ${MARK + 1}`],
  ["crashing", `${count("crashing")}; sleep ${CRASH_S}; exit 3`],
  ["done", `sleep ${Math.ceil(AWAY_S / 3)}`, { restartPolicy: "Never" }],
  ["failed", `sleep ${Math.ceil(AWAY_S / 3)}; exit 7`, { restartPolicy: "Never" }],
  ["late", `exec sleep ${MARK + 2}`, { activeDeadlineSeconds: Math.ceil(AWAY_S / 2) }],
];

const manifest = ([name, script, spec = {}]: (typeof PODS)[number]): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: {
    terminationGracePeriodSeconds: 0,
    automountServiceAccountToken: false,
    volumes: [{ name: "runs", hostPath: { path: runsDir() } }],
    containers: [
      {
        name: "main",
        image: BUSYBOX,
        imagePullPolicy: "Never",
        command: ["sh", "-c", script],
        volumeMounts: [{ name: "runs", mountPath: "/runs" }],
      },
    ],
    ...spec,
  },
});

async function podsByName(): Promise<Map<string, Pod>> {
  const text = await instance.must("get", "pods", "-o", "json", "--request-timeout", "10s");
  const { items } = JSON.parse(text) as { items: Pod[] };
  return new Map(items.map((pod) => [pod.metadata?.name ?? "", pod]));
}

const mainOf = (pod: Pod | undefined) => pod?.status?.containerStatuses?.[0];
const endOf = (pod: Pod | undefined) => mainOf(pod)?.state?.terminated;

const runsOf = (name: string): number =>
  readFileSync(join(runsDir(), name), "utf8").split("\n").length - 1;

beforeAll(async () => {
  instance = await startInstance({ flags: ["--no-agent"], name: "away" });
  const { containerd } = instance;
  const at = ["nerdctl", "--address", containerd.address, "--namespace", "away"];
  await mustRun([
    ...at,
    "--data-root",
    `${instance.dir}/nerdctl`,
    "load",
    "-i",
    await busyboxTar(),
  ]);
  mkdirSync(runsDir());
  const token = await instance.bramble(["token", "create"]);
  agent = startAgent(token.stdout.trim());
  await eventually("the namespace's service account", STARTED_MS_MAX, () =>
    instance.must("get", "serviceaccount", "default"),
  );
  const items = PODS.map(manifest);
  await instance.apply(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  await eventually("all pods run", STARTED_MS_MAX, async () => {
    const pods = [...(await podsByName()).values()];
    return pods.length === PODS.length && pods.every((pod) => pod.status?.phase === "Running");
  });
}, 180_000);

afterAll(async () => {
  agent?.kill();
  await agent?.exited;
  if (instance !== undefined) {
    await mustRun([BRAMBLE, "delete", "--data-dir", agentDir()]).finally(() => instance.close());
  }
}, 120_000);

/** The container's program dies while nobody but the node can know. */
async function killWhileAway(): Promise<number> {
  const [pid] = processesWith(`sleep ${MARK + 1}`);
  process.kill(pid ?? 0, "SIGKILL");
  const began = performance.now();
  await eventually("the killed one runs again", RESTARTED_MS_MAX, async () => {
    const [now] = processesWith(`sleep ${MARK + 1}`);
    return now !== undefined && now !== pid && runsOf("killed") === 2;
  });
  return performance.now() - began;
}

/** What is not yet as it happened; empty: the status has caught up. */
async function untrue(steadyId: string | undefined): Promise<string[]> {
  const pods = await podsByName();
  const wrong: string[] = [];
  const claim = (what: string, holds: boolean) => void (holds || wrong.push(what));
  const steady = mainOf(pods.get("steady"));
  claim("steady", steady?.containerID === steadyId && steady?.restartCount === 0 && steady.ready);
  const killed = mainOf(pods.get("killed"));
  claim("killed", killed?.restartCount === 1 && killed.lastState?.terminated?.exitCode === 137);
  claim("crashing", mainOf(pods.get("crashing"))?.restartCount === runsOf("crashing") - 1);
  claim("done", pods.get("done")?.status?.phase === "Succeeded");
  claim("failed", endOf(pods.get("failed"))?.exitCode === 7);
  claim("late", pods.get("late")?.status?.reason === "DeadlineExceeded");
  const node = JSON.parse(await instance.must("get", "node", "away", "-o", "json")) as {
    spec: { taints?: object[] };
  };
  const { taints } = node.spec;
  claim(`node with taints ${JSON.stringify(taints)}`, (taints ?? []).length === 0);
  return wrong;
}

async function caughtUp(steadyId: string | undefined): Promise<number> {
  const began = performance.now();
  let wrong: string[] = [];
  await eventually("the status has caught up", CAUGHT_UP_MS_MAX, async () => {
    wrong = await untrue(steadyId).catch((error: unknown) => [String(error)]);
    return wrong.length === 0;
  }).catch((cause: unknown) => {
    throw new Error(`untrue: ${wrong.join(", ")}`, { cause });
  });
  return performance.now() - began;
}

test(`the node goes on while its server is away for ${AWAY_S} s`, async () => {
  const steadyId = mainOf((await podsByName()).get("steady"))?.containerID;
  const before = memory(agent.pid);
  const logBefore = statSync(logPath()).size;
  const runsBefore = runsOf("crashing");
  const wentMs = Date.now();
  await instance.stop("SIGKILL");
  const cpu = cpuSeconds(agent.pid);
  await Bun.sleep((AWAY_S * 1_000) / 2);
  const restartMs = await killWhileAway();
  await Bun.sleep(Math.max(0, wentMs + AWAY_S * 1_000 - Date.now()));
  const cpuPercent = ((cpuSeconds(agent.pid) - cpu) / AWAY_S) * 100;
  const after = memory(agent.pid);
  const logBytes = statSync(logPath()).size - logBefore;
  const crashes = runsOf("crashing") - runsBefore;
  const backMs = Date.now();
  await instance.start("--no-agent");
  const caughtUpMs = await caughtUp(steadyId);
  const figures = { restartMs, caughtUpMs, crashes, cpuPercent, logBytes };
  console.log(JSON.stringify({ awayS: AWAY_S, ...figures, before, after }));
  const pods = await podsByName();
  for (const name of ["done", "failed", "late"]) {
    // Told late, but as of when it happened.
    const endMs = Date.parse(endOf(pods.get(name))?.finishedAt ?? "");
    expect(endMs).toBeGreaterThan(wentMs - 1_000);
    expect(endMs).toBeLessThan(backMs + 1_000);
  }
  expect(runsOf("steady")).toBe(1);
  expect(crashes).toBeGreaterThan(0);
  expect(agent.exitCode).toBeNull();
  expect(logBytes).toBeLessThan(Math.max(100_000, (LOG_BYTES_AN_HOUR_MAX * AWAY_S) / 3600));
}, 14_000_000);
