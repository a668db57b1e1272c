/**
 * Ways into a cluster and what stands in them: tokens, pairing codes, taken names, wrong clocks.
 * Each refusal is one line that says what to do.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { mustRun } from "#test/support/instance.ts";
import { addressOf, BRAMBLE, type Result, until } from "#test/support/lab.ts";
import { FAKE_TIME } from "#test/support/setclock.ts";
import pkg from "../../package.json";

const ROOT = join(import.meta.dir, "../..");
const BEACON = join(import.meta.dir, "../host/network/beacon.ts");
const SERVER = `https://${addressOf("n1")}:6443`;
const REFUSED_MS_MAX = 90_000;
let cluster: LabCluster;
let dir: string;
const children: Subprocess[] = [];

beforeAll(async () => {
  expect(FAKE_TIME, "libfaketime is there").toBeDefined();
  dir = mkdtempSync(join(tmpdir(), "bramble-joining-"));
  cluster = await startCluster({ nodes: 4, dir });
  await cluster.startServer();
}, 180_000);

afterAll(async () => {
  for (const child of children) child.kill();
  await Promise.all(children.map((child) => child.exited));
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
});

const bramble = (node: string, ...argv: string[]): Promise<Result> =>
  cluster.lab.exec(node, BRAMBLE, ...argv);

async function token(...flags: string[]): Promise<string> {
  const made = await bramble("n1", "token", "create", ...flags);
  expect(made).toMatchObject({ exitCode: 0 });
  return made.stdout.trim();
}

const faked = (time: string): string[] => [
  "env",
  `LD_PRELOAD=${FAKE_TIME}`,
  "FAKETIME_DONT_FAKE_MONOTONIC=1",
  `FAKETIME=@${time}`,
];

let starts = 0;
/** n3's agent, once it has joined for good. */
let joined3: ReturnType<typeof agent> | undefined;
/** Starts an agent; answers the process and what its log says so far. */
function agent(
  node: string,
  argv: readonly string[],
  before: readonly string[] = [],
  program = BRAMBLE,
) {
  const path = join(dir, `agent-${starts++}.log`);
  const child = cluster.lab.spawn(node, path, ...before, program, "agent", ...argv);
  children.push(child);
  const log = (): string => (existsSync(path) ? readFileSync(path, "utf8") : "");
  const says = (what: string): Promise<unknown> =>
    until(
      () => `${node} says "${what}"; it said ${log()}`,
      REFUSED_MS_MAX,
      async () => log().includes(what),
    );
  const end = async (): Promise<void> => {
    child.kill();
    await child.exited;
    await until(`${node}'s agent has ended`, REFUSED_MS_MAX, async () => {
      const running = await cluster.lab.exec(node, "pgrep", "-f", `^${program} agent`);
      return running.exitCode === 1;
    });
  };
  return { child, log, says, end };
}

/** Ends by itself with status 1 and one line that has these words. */
async function refused(node: string, argv: readonly string[], words: string): Promise<void> {
  const { child, log } = agent(node, argv);
  expect(await child.exited).toBe(1);
  const errors = log()
    .split("\n")
    .filter((line) => line.startsWith("bramble: "));
  expect(errors).toEqual([expect.stringContaining(words)]);
}

async function ready(node: string, limitMs: number): Promise<void> {
  const path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
  await until(`${node} is Ready`, limitMs, async () => {
    const argv = ["get", "node", node, "--ignore-not-found", "-o", path];
    return (await cluster.kubectl(...argv).catch(() => "")) === "True";
  });
}

test("a server says on the LAN what it is, and of which cluster", async () => {
  const said = await cluster.lab.must("lan", process.execPath, BEACON, "browse", "2000");
  const [, caSha256 = ""] = (await token()).split(".");
  const uid = ["namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"];
  const id = await cluster.kubectl("get", ...uid);
  expect(id).toMatch(/^[0-9a-f-]{36}$/);
  expect(
    said
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toContainEqual({
    found: "n1",
    ...{ role: "server", port: 6443, version: pkg.version, cluster: id, caSha256 },
    addresses: expect.arrayContaining([addressOf("n1")]),
  });
});

test("tokens have an end, uses and a description, are listed and revoked", async () => {
  const made = await token("--ttl", "1h", "--uses", "2", "--description", "for the attic");
  const [, , id = ""] = made.split(".");
  const list = (await bramble("n1", "token", "list")).stdout;
  expect(list).toMatch(new RegExp(`^${id} +20\\S+Z +2 +for the attic$`, "m"));
  expect((await bramble("n1", "token", "delete", id)).exitCode).toBe(0);
  expect((await bramble("n1", "token", "list")).stdout).not.toContain(id);
  await refused("n3", ["--token", made], "does not know the token");
  await refused("n3", ["--token", "nonsense"], "not a bramble token");
}, 360_000);

test("a wrong, an expired or a used-up token and another CA are refused in one line", async () => {
  const good = await token();
  const [head = "", ca = "", id = "", secret = ""] = good.split(".");
  const twisted = `${secret.slice(1)}${secret[0] === "a" ? "b" : "a"}`;
  await refused("n3", ["--token", [head, ca, id, twisted].join(".")], "does not know the token");
  const foreign = [head, "0".repeat(64), id, secret].join(".");
  await refused("n3", ["--token", foreign, "--server", SERVER], "its CA differs");
  const short = await token("--ttl", "1s");
  await Bun.sleep(1_100);
  await refused("n3", ["--token", short], "expired");
}, 360_000);

test("a device that waits is seen, and taken in by its code alone", async () => {
  const labels = ["--node-labels", "place=attic", "--node-taints", "slow=yes:PreferNoSchedule"];
  const waiting = agent("n2", labels);
  await waiting.says("--code ");
  const code = /--code (\S+)/.exec(waiting.log())?.[1] ?? "";
  const seen = await bramble("n1", "discover", "--timeout", "4");
  expect(seen.stdout).toMatch(/^n1 +server +192\.168\.77\.11:6443/m);
  expect(seen.stdout).toMatch(/^n2 +device +192\.168\.77\.12:\d+/m);
  const wrong = await bramble("n1", "adopt", "n2", "--code", "bbb-bbb");
  expect(wrong).toMatchObject({ exitCode: 1, stdout: "" });
  expect(wrong.stderr).toStartWith("bramble: the device shows another code\n");
  expect(await bramble("n1", "adopt", "n2", "--code", code)).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("n2 joined\n"),
  });
  await ready("n2", 60_000);
  const node = JSON.parse(await cluster.kubectl("get", "node", "n2", "-o", "json")) as {
    metadata: { labels: Record<string, string> };
    spec: { taints?: Array<{ key: string }> };
  };
  expect(node.metadata.labels["place"]).toBe("attic");
  expect(node.spec.taints?.map(({ key }) => key)).toContain("slow");
  const again = await bramble("n1", "adopt", "n2", "--code", code);
  expect(again.stderr).toContain("belongs to a device that joined before");
}, 180_000);

test("where only IPv6 leads to a device it is seen, taken in and joins by it", async () => {
  const six = (node: string) => `fd00:b::${node.slice(1)}`;
  for (const node of ["n1", "n4"]) {
    await cluster.lab.must(node, "ip", "addr", "add", `${six(node)}/64`, "dev", "eth0", "nodad");
  }
  // Its IPv4 is of another network, without a way out.
  await cluster.lab.must("n4", "ip", "-4", "addr", "flush", "dev", "eth0");
  await cluster.lab.must("n4", "ip", "addr", "add", "192.0.2.4/24", "dev", "eth0");
  const waiting = agent("n4", []);
  await waiting.says("--code ");
  const code = /--code (\S+)/.exec(waiting.log())?.[1] ?? "";
  const adopted = await bramble("n1", "adopt", "n4", "--code", code);
  expect(adopted).toMatchObject({ exitCode: 0, stderr: "" });
  await waiting.says(`server=https://[${six("n1")}]:6443`);
  await until("n4 has shown itself", 60_000, () => renewedMs("n4").then(Boolean, () => false));
  await waiting.end();
  expect(await bramble("n1", "node", "remove", "n4")).toMatchObject({ exitCode: 0 });
  await cluster.lab.renumber("n4", addressOf("n4"));
  await cluster.lab.must("n4", "rm", "-r", "/var/lib/bramble/node");
}, 180_000);

/** Nodes on which multicast DNS is dropped. */
const deaf = new Set<string>();
// After a test that failed in between, later ones would find no server.
afterEach(async () => {
  if (deaf.size > 0) await multicast(true, ...deaf);
});

/** On these nodes multicast DNS is dropped, or not any more. */
async function multicast(passes: boolean, ...nodes: string[]): Promise<void> {
  const rules = ["iptables", "ip6tables"].flatMap((program) =>
    ["INPUT", "OUTPUT"].map((chain) => `${program} ${passes ? "-D" : "-I"} ${chain}`),
  );
  const script = rules.map((rule) => `${rule} -p udp --dport 5353 -j DROP`).join(" && ");
  for (const node of nodes) {
    await cluster.lab.must(node, "sh", "-c", script);
    if (passes) deaf.delete(node);
    else deaf.add(node);
  }
}

test("a device that mDNS does not reach is taken in by its address", async () => {
  await multicast(false, "n1", "n4");
  const waiting = agent("n4", ["--disable", "discovery"]);
  // Its last word of the two.
  await waiting.says("the device is at");
  const code = /--code (\S+)/.exec(waiting.log())?.[1] ?? "";
  const port = /the device is at .*port=(\d+)/.exec(waiting.log())?.[1] ?? "";
  const ip = addressOf("n4");
  const at = `${ip}:${port}`;
  // Each wrong input is one line that says what is wrong, then at most a hint.
  const wrong: Array<[argv: string[], exitCode: number, line: string]> = [
    [["n4"], 2, "--code: give the code that the device shows"],
    [["n4", "--code", "abc"], 2, '--code: "abc" must be six letters, as abc-def'],
    [["n4", "--code", code, "--address", ip], 2, `--address: "${ip}" must be IP:PORT`],
    [["n4", "--code", code, "--address", `${at}/x`], 2, `--address: "${at}/x" must be IP:PORT`],
    [["n4", "--code", code], 1, "no waiting device n4 is seen; waiting: none"],
    [["n4", "--code", code, "--address", `${ip}:1`], 1, "the device does not answer at http://"],
    [["n5", "--code", code, "--address", at], 1, `the device at http://${at} is called n4, not n5`],
    [["n4", "--code", "bbb-bbb", "--address", at], 1, "the device shows another code"],
  ];
  for (const [argv, exitCode, line] of wrong) {
    const said = await bramble("n1", "adopt", ...argv);
    expect(said).toMatchObject({ exitCode, stdout: "" });
    const [first = "", ...rest] = said.stderr.trimEnd().split("\n");
    expect(first).toStartWith(`bramble: ${line}`);
    expect(rest.length).toBeLessThan(2);
  }
  expect(await bramble("n1", "adopt", "n4", "--code", code, "--address", at)).toEqual({
    ...{ exitCode: 0, stderr: "" },
    stdout: "n4 has what it needs to join\nn4 joined\n",
  });
  await ready("n4", 60_000);
  await waiting.end();
  await multicast(true, "n1", "n4");
  expect(await bramble("n1", "node", "remove", "n4")).toMatchObject({ exitCode: 0 });
  await cluster.lab.must("n4", "rm", "-r", "/var/lib/bramble/node");
}, 180_000);

test("a node has a certificate of its own, asked for by CSR, for programs on it", async () => {
  const config = "/var/lib/bramble/node/kubeconfig";
  const asked = await until("n2's certificate is good", 60_000, async () => {
    const answer = await bramble("n2", "get", "node", "n2", "--kubeconfig", config, "-o", "name");
    return answer.exitCode === 0 && answer.stdout;
  });
  expect(asked).toBe("node/n2\n");
  const path = "/var/lib/bramble/node/node.crt";
  const subject = await cluster.lab.must(
    "n2",
    "openssl",
    "x509",
    "-noout",
    "-subject",
    "-in",
    path,
  );
  expect(subject).toContain("system:node:n2");
  // It speaks for this node only.
  const other = await bramble("n2", "get", "secrets", "-A", "--kubeconfig", config);
  expect(other.stderr).toContain("forbidden");
}, 360_000);

/** What the cluster sees of a node's clock: when it says that it last showed itself. */
async function renewedMs(node: string): Promise<number> {
  const path = "jsonpath={.spec.renewTime}";
  return Date.parse(
    await cluster.kubectl("get", "lease", "-n", "kube-node-lease", node, "-o", path),
  );
}

test("clocks of 1970, or of years ahead, are no hindrance to joining or coming back", async () => {
  const good = await token("--uses", "1");
  // The first joins, the others come back with what is on their disk.
  for (const time of ["2060-01-01 00:00:00", "1970-01-02 00:00:00", "2071-01-01 00:00:00"]) {
    const beforeMs = Date.now();
    const wrong = agent("n3", ["--token", good], faked(time));
    await until(
      () => `n3 shows itself with a clock of ${time}; it said ${wrong.log()}`,
      60_000,
      () =>
        renewedMs("n3").then(
          (ms) => ms > beforeMs,
          () => false,
        ),
    );
    await ready("n3", 60_000);
    expect(Math.abs((await renewedMs("n3")) - Date.now())).toBeLessThan(30_000);
    await wrong.end();
  }
  // Its use is spent, and it needs none to come back with its key.
  await cluster.lab.must("n3", "rm", "-r", "/var/lib/bramble/node");
  await refused("n3", ["--token", good, "--node-name", "n4"], "used up");
}, 180_000);

test("a device made anew with an old name waits until it is told that it may", async () => {
  // Where multicast is blocked, a list of servers does; the first of these is not there.
  const list = `https://192.168.77.200:6443,${SERVER}`;
  await multicast(false, "n3");
  const named = ["--server", list];
  const device = agent("n3", ["--token", await token(), ...named]);
  await device.says("the name n3 belongs to another device");
  expect(await bramble("n1", "node", "remove", "n3")).toMatchObject({ exitCode: 0 });
  await device.says("joined");
  await ready("n3", 60_000);
  expect(await bramble("n1", "node", "remove", "n3")).toMatchObject({ exitCode: 0 });
  await device.says("the cluster does not know the node n3");
  await device.end();
  await multicast(true, "n3");
  await cluster.lab.must("n3", "rm", "/var/lib/bramble/node/cluster.json");
  joined3 = agent("n3", ["--token", await token()]);
  await ready("n3", 60_000);
}, 180_000);

test("a version that does not go with that of the server is told, and tried again", async () => {
  const newer = join(dir, "newer");
  const build = ["bun", "tools/build.ts", newer];
  await mustRun(["env", "--chdir", ROOT, "BRAMBLE_BUILD_VERSION=0.3.0", ...build]);
  const pair = `a node of 0.3.0 under a server of ${pkg.version}: upgrade the server first`;
  await joined3?.end();
  // One that belongs to the cluster goes on.
  const node = agent("n3", [], [], newer);
  await node.says(`versions that do not go together: ${pair}`);
  await ready("n3", 60_000);
  await node.end();
  const argv = ["--token", await token(), "--node-name", "n4", "--data-dir", "/var/lib/other"];
  const device = agent("n3", argv, [], newer);
  await device.says(`n4 cannot join: ${pair}; trying again`);
  await device.end();
  expect(await cluster.kubectl("get", "nodes", "n4", "--ignore-not-found")).toBe("");
  agent("n3", []);
  await ready("n3", 60_000);
}, 270_000);

test("a server that boots in 1970 goes on from its last good moment", async () => {
  await cluster.kubectl("create", "configmap", "before");
  const early = await token();
  await cluster.stop("n1");
  // A box of boards that is switched on at once: this one is there before its server.
  const device = agent("n4", ["--token", early]);
  await device.says("no server of this token answers by mDNS; trying again");
  await cluster.startServer({ before: faked("1970-01-02 00:00:00") });
  await cluster.kubectl("create", "configmap", "after");
  const times = await cluster.kubectl(
    ...["get", "configmap", "before", "after"],
    ...["-o", "jsonpath={.items[*].metadata.creationTimestamp}"],
  );
  const [before = 0, after = 0] = times.split(" ").map((time) => Date.parse(time));
  expect(after).toBeGreaterThanOrEqual(before);
  expect(after - before).toBeLessThan(60_000);
  // Nodes take its time, and a join works.
  await device.says("joined");
  await cluster.readyNodes(4, 60_000);
  const [log = ""] = readdirSync(dir).filter((name) => name.startsWith("n1"));
  expect(readFileSync(join(dir, log), "utf8")).toContain("the machine's clock is behind");
}, 180_000);
