/** `bramble start`, `stop`, `status` and `delete`: a local cluster in one word. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, mustRun, run } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";
import { tracesOf } from "#test/support/traces.ts";
import { rangesOf } from "../../src/main/local/profile.ts";

const ROOT = join(import.meta.dir, "../..");
const TEST_MS_MAX = 360_000;
const OTHER = `apiVersion: v1
kind: Config
clusters: [{name: other, cluster: {server: "https://other:6443"}}]
users: [{name: other, user: {token: t}}]
contexts: [{name: other, context: {cluster: other, user: other}}]
current-context: other
`;

let home: string;
let name: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "bramble-local-"));
  name = `local${process.pid}`;
});

const bramble = (...argv: string[]) =>
  run([BRAMBLE, ...argv], { env: { HOME: home, KUBECONFIG: join(home, "config") } });
const cluster = (verb: string, ...more: string[]) => bramble(verb, "--profile", name, ...more);

async function must(...argv: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await bramble(...argv);
  if (exitCode !== 0) throw new Error(`bramble ${argv.join(" ")}: ${stderr}${stdout}`);
  return stdout;
}

afterEach(async () => {
  if (existsSync(`/var/lib/bramble-local/${name}`)) await cluster("delete");
  rmSync(home, { recursive: true, force: true });
}, TEST_MS_MAX);

/** Three replicas behind a Service; answers the Service's address. */
async function deployWeb(nodes: number): Promise<string> {
  const image = join(home, "web.tar");
  await mustRun([join(ROOT, "install/web-image.sh"), image]);
  for (let i = 1; i <= nodes; i++) {
    await must("image", "load", image, "--data-dir", `/var/lib/bramble-local/${name}/node${i}`);
  }
  const manifest = readFileSync(join(ROOT, "install/demo.yaml"), "utf8");
  writeFileSync(join(home, "web.yaml"), manifest.replace(/ {6}nodePort: NODE_PORT\n/, ""));
  await must("apply", "-f", join(home, "web.yaml"));
  await must("rollout", "status", "deployment/web", "--timeout", "120s");
  return must("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
}

function profileOf(profile: string): { number: number; httpsPort: number } {
  const text = readFileSync(`/var/lib/bramble-local/${profile}/profile.json`, "utf8");
  return JSON.parse(text) as { number: number; httpsPort: number };
}

/** What every trace of a profile has in its name or address. */
function marksOf(profile: string): string[] {
  const { number } = profileOf(profile);
  const ranges = Object.values(rangesOf(number)).map((range) => range.replace(/0(\.0)?\/.*/, ""));
  return [profile, ...ranges, `brlocal${number}`];
}

async function answersOf(address: string): Promise<Set<string>> {
  const answers = new Set<string>();
  await eventually("each of three pods answers", 60_000, async () => {
    answers.add(await (await fetch(`http://${address}/`)).text());
    return answers.size === 3;
  });
  return answers;
}

test(
  "three nodes on one machine, stopped and started again, and nothing is left of them",
  async () => {
    writeFileSync(join(home, "config"), OTHER);
    const up = await cluster("start", "--nodes", "3");
    expect({ exitCode: up.exitCode, stderr: up.stderr }).toEqual({ exitCode: 0, stderr: "" });
    const { httpsPort, number } = profileOf(name);
    // 3: set by somebody, so that it stays when links come and go.
    const assigned = readFileSync(`/sys/class/net/brlocal${number}/addr_assign_type`, "utf8");
    expect(assigned.trim()).toBe("3");
    expect(up.stdout.split("\n")).toEqual([
      `* Creating the cluster "${name}"`,
      ...(existsSync("/run/containerd/containerd.sock")
        ? []
        : [expect.stringContaining("containerd")]),
      `* Starting the control plane on port ${httpsPort}`,
      `* Starting the node ${name}-m02`,
      `* Starting the node ${name}-m03`,
      "* Done: 3 nodes are ready",
      `* kubectl and bramble use it from now on (context "${name}" in ${join(home, "config")})`,
      "",
    ]);
    const address = await deployWeb(3);
    await answersOf(address);
    const pods = await must("get", "pods", "-o", "wide", "--no-headers");
    for (const node of [name, `${name}-m02`, `${name}-m03`]) expect(pods).toContain(` ${node} `);
    expect((await cluster("status")).stdout.match(/ Ready/g)).toHaveLength(3);

    expect((await cluster("stop")).exitCode).toBe(0);
    const stopped = await cluster("status");
    expect([stopped.exitCode, stopped.stdout.match(/ Stopped/g)?.length]).toEqual([1, 3]);
    const left = (await tracesOf([`/bramble-local/${name}/`]))["processes"];
    expect(left).toBeUndefined();

    const again = await cluster("start");
    expect({ exitCode: again.exitCode, stderr: again.stderr }).toEqual({ exitCode: 0, stderr: "" });
    await answersOf(address);

    const marks = marksOf(name);
    expect((await cluster("delete")).exitCode).toBe(0);
    expect(await tracesOf(marks)).toEqual({});
    const config = readFileSync(join(home, "config"), "utf8");
    expect(config).toContain("current-context: other");
    expect(config).not.toContain(name);
  },
  TEST_MS_MAX,
);

test(
  "two clusters beside each other: one is deleted, the other serves on",
  async () => {
    const other = `other${process.pid}`;
    expect((await cluster("start")).exitCode).toBe(0);
    const address = await deployWeb(1);
    try {
      const started = await bramble("start", "--profile", other);
      expect({ exitCode: started.exitCode, stderr: started.stderr }).toEqual({
        exitCode: 0,
        stderr: "",
      });
      expect(started.stdout).toContain("* Done: the node is ready\n");
      // The one that was started last is used, and has nothing of the first.
      expect(await must("get", "nodes", "-o", "name")).toBe(`node/${other}\n`);
      expect(await must("get", "deployments", "-o", "name")).toBe("");
      expect(profileOf(other).httpsPort).not.toBe(profileOf(name).httpsPort);
      const pods = await must("get", "pods", "--context", name, "-o", "name");
      const marks = marksOf(other);
      expect((await bramble("delete", "--profile", other)).exitCode).toBe(0);
      expect(await tracesOf(marks)).toEqual({});
      expect((await cluster("status")).exitCode).toBe(0);
      expect(await must("get", "pods", "--context", name, "-o", "name")).toBe(pods);
      await answersOf(address);
    } finally {
      if (existsSync(`/var/lib/bramble-local/${other}`)) await bramble("delete", "-p", other);
    }
  },
  TEST_MS_MAX,
);

test("what is wrong is said in one line", async () => {
  const missing = await bramble("stop", "--profile", "no-such");
  expect(missing.exitCode).toBe(1);
  expect(missing.stderr).toContain('bramble: there is no local cluster "no-such"\n');
  const many = await cluster("start", "--nodes", "21");
  expect([many.exitCode, many.stderr]).toEqual([
    2,
    'bramble: --nodes: "21" must be a number from 1 to 20\n',
  ]);
});
