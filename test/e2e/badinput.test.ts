/**
 * Wrong use, wrong machine, wrong requests: one clear line or a Status, the right status, nothing
 * half done.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { eventually, type Instance, run, startInstance } from "#test/support/instance.ts";
import { BRAMBLE, type Result } from "#test/support/lab.ts";

let cluster: Instance;
let token: string;

beforeAll(async () => {
  cluster = await startInstance({ name: "badinput" });
  const config = parse(await readFile(cluster.kubeconfig, "utf8"));
  token = config.users[0].user.token;
}, 180_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

const STARTED_MS = 60_000;

/** Starts a server that must refuse to; its data directory is a new one unless given. */
async function refused(flags: string[], before: string[] = [], env = {}): Promise<Result> {
  const dataDir = join(cluster.dir, "other");
  const own = ["--data-dir", dataDir, "--containerd-address", cluster.containerd.address];
  const argv = [...before, BRAMBLE, "server", ...own, "--https-port", "1", ...flags];
  const result = await run(argv, { timeoutMs: STARTED_MS, env });
  expect(result.stdout).toBe("");
  expect(result.stderr).not.toMatch(/^\s+at |Error:|node:internal|\$bunfs/m);
  // The message, and at most one line of what to do about it.
  expect(result.stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
  return result;
}

const file = async (name: string, text: string): Promise<string> => {
  const path = join(cluster.dir, name);
  await writeFile(path, text);
  return path;
};

test("wrong use ends with 2, and nothing was made", async () => {
  const cases: Array<[string[], RegExp]> = [
    [["--bogus"], /^error: unknown option '--bogus'/],
    [["--https-port", "abc"], /^bramble: --https-port: must be a port from 1 to 65535/],
    [["--https-port", "70000"], /^bramble: --https-port: must be a port from 1 to 65535/],
    [["--cluster-cidr", "10.42"], /^bramble: --cluster-cidr: must be an IPv4 range/],
    [["--service-cidr", "10.42.1.0/24"], /^bramble: --cluster-cidr .* overlap/],
    [["--cluster-dns", "10.99.0.10"], /^bramble: --cluster-dns 10.99.0.10 is not in/],
    [["--service-node-port-range", "9-1"], /^bramble: --service-node-port-range: must be ports/],
    [["--node-name", "Not A Name"], /^bramble: --node-name: must be a DNS name/],
    [["--disable", "everything"], /^bramble: --disable: Invalid option/],
    [["--network", "token-ring"], /^bramble: --network: Invalid option/],
    [["--config", "/nowhere.yaml"], /^bramble: --config: cannot read \/nowhere.yaml/],
    [["--config", await file("key.yaml", "https-prot: 1\n")], /key.yaml: unknown key "https-prot"/],
    [["--config", await file("bad.yaml", "a: [1\n")], /bad.yaml: not YAML: /],
    [["--config", await file("port.yaml", "node-ip: x\n")], /port.yaml: node-ip: must be an IPv4/],
  ];
  for (const [flags, message] of cases) {
    const { exitCode, stderr } = await refused(flags);
    expect(stderr).toMatch(message);
    expect(`${flags.join(" ")}: ${exitCode}`).toBe(`${flags.join(" ")}: 2`);
  }
  const fromEnv = await refused([], [], { BRAMBLE_NODE_IP: "x" });
  expect(fromEnv.stderr).toMatch(/^bramble: BRAMBLE_NODE_IP: must be an IPv4 address/);
  expect(existsSync(join(cluster.dir, "other"))).toBe(false);
}, 180_000);

test("a machine that lacks something ends with 1 and says what", async () => {
  const cases: Array<[string[], RegExp]> = [
    [
      ["--containerd-address", "/nowhere.sock"],
      /^bramble: containerd does not answer on \/nowhere/,
    ],
    [["--nerdctl", "/nowhere/nerdctl"], /^bramble: nerdctl is missing: \/nowhere/],
    [["--cni-bin-dir", "/nowhere"], /^bramble: CNI plugin bridge is missing in \/nowhere/],
  ];
  for (const [flags, message] of cases) {
    const { exitCode, stderr } = await refused(flags);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
  }
  // Programs are also looked for where PATH does not lead to.
  const hide = `mount --bind "$0" "$(readlink -f "$(command -v iptables-restore)")" && exec "$@"`;
  const hidden = ["unshare", "--mount", "sh", "-c", hide, await file("no-program", "")];
  const noIptables = await refused([], hidden);
  expect(noIptables.stderr).toMatch(/^bramble: iptables-restore is missing/);
  expect(noIptables.exitCode).toBe(1);
  // In a user namespace without a mapping, root is nobody.
  const noRoot = await refused([], ["unshare", "--user"]);
  expect(noRoot.stderr).toMatch(/^bramble: a node must run as root/);
  expect(noRoot.exitCode).toBe(1);
  expect(existsSync(join(cluster.dir, "other"))).toBe(false);
}, 180_000);

test("a busy port and a locked data directory are refused", async () => {
  const busy = await refused(["--https-port", String(cluster.port)]);
  expect(busy.stderr).toMatch(/cannot listen on (?:0\.0\.0\.0|\[::\]):\d+/);
  expect(busy.exitCode).toBe(1);
  expect(existsSync(join(cluster.dir, "other"))).toBe(false);
  const locked = await refused(["--data-dir", cluster.dataDir]);
  expect(locked.stderr).toMatch(/^bramble: another server \(process \d+\) uses the data directory/);
  expect(locked.exitCode).toBe(1);
  const file = await refused(["--data-dir", join(cluster.kubeconfig, "below")]);
  expect(file.stderr).toMatch(/^bramble: cannot make the data directory/);
  expect(file.exitCode).toBe(1);
  expect(await cluster.must("get", "--raw", "/readyz")).toBe("ok");
}, 180_000);

interface Answer {
  code: number;
  body: { kind?: string; status?: string; reason?: string; code?: number; message?: string };
}

async function ask(path: string, init: RequestInit & { as?: string } = {}): Promise<Answer> {
  const { as = token, headers, ...rest } = init;
  const answer = await fetch(`${cluster.url}${path}`, {
    ...rest,
    headers: { authorization: `Bearer ${as}`, ...headers },
    tls: { rejectUnauthorized: false },
  });
  return { code: answer.status, body: (await answer.json()) as Answer["body"] };
}

/** A Status that says the same code as the answer. */
function expectStatus({ code, body }: Answer, wanted: number, reason: string): void {
  const { kind, status, reason: found, code: inBody } = body;
  const whole = { kind: "Status", status: "Failure", reason, code: wanted };
  expect({ kind, status, reason: found, code: inBody }).toEqual(whole);
  expect(code).toBe(wanted);
  expect(body.message).not.toMatch(/\n\s+at /);
}

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const json = { "content-type": "application/json" };

test("requests that are wrong get a Status", async () => {
  expectStatus(await ask(CONFIG_MAPS, { as: "wrong" }), 401, "Unauthorized");
  expectStatus(await ask("/apis/apps/v1/gadgets"), 404, "NotFound");
  expectStatus(await ask(`${CONFIG_MAPS}/none`), 404, "NotFound");
  const post = (body: string, headers: Record<string, string> = json, path = CONFIG_MAPS) =>
    ask(path, { method: "POST", body, headers });
  expectStatus(await post("{"), 400, "BadRequest");
  expectStatus(await post("a: [", { "content-type": "application/yaml" }), 400, "BadRequest");
  expectStatus(await post("[1]"), 400, "BadRequest");
  const big = JSON.stringify({
    metadata: { name: "big" },
    data: { x: "y".repeat(3 * 1024 * 1024) },
  });
  expectStatus(await post(big), 413, "RequestEntityTooLarge");
  const strict = `${CONFIG_MAPS}?fieldValidation=Strict`;
  const stray = '{"metadata":{"name":"stray"},"dataa":{}}';
  expectStatus(await post(stray, json, strict), 400, "BadRequest");
  expectStatus(await post('{"metadata":{"name":"Not_A_Name"}}'), 422, "Invalid");
  expectStatus(await post("x", { "content-type": "text/csv" }), 415, "UnsupportedMediaType");
  expectStatus(await ask(CONFIG_MAPS, { method: "PUT", body: "{}" }), 405, "MethodNotAllowed");
});

test("kubectl shows what is wrong in one line", async () => {
  const bad = await cluster.kubectl(["get", "gadgets"]);
  expect(bad.stderr).toBe(`error: the server doesn't have a resource type "gadgets"\n`);
  const wrong = await cluster.kubectl(["--token=wrong", "get", "pods", "--user=nobody"]);
  expect(wrong.exitCode).toBe(1);
  const stdin = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nfoo: 1\n";
  const field = await cluster.kubectl(["apply", "-f", "-"], { stdin });
  expect(field.stderr).toContain('unknown field "foo"');
  expect(field.exitCode).toBe(1);
});

test("our own verbs say it in kubectl's words", async () => {
  const pairs: string[][] = [
    ["get", "gadgets"],
    ["get", "pod", "none"],
    ["delete", "pod", "none"],
    ["scale", "deployment/none", "--replicas=1"],
    ["rollout", "status", "deployment/none"],
    ["logs", "none"],
    ["apply", "-f", "/nowhere.yaml"],
  ];
  for (const argv of pairs) {
    const theirs = await cluster.kubectl(argv);
    const ours = await cluster.bramble(argv);
    expect(ours).toEqual(theirs);
  }
  const unreachable = await cluster.bramble(["get", "pods", "--server", "https://127.0.0.1:1"]);
  expect(unreachable.stderr).toStartWith("error: https://127.0.0.1:1 does not answer");
  expect(unreachable.exitCode).toBe(1);
}, 360_000);

test("agents with a wrong token end with one line, one without waits", async () => {
  const own = ["--data-dir", join(cluster.dir, "agent"), "--server", cluster.url];
  const argv = [BRAMBLE, "agent", ...own, "--containerd-address", cluster.containerd.address];
  const start = (...flags: string[]) => run([...argv, ...flags], { timeoutMs: STARTED_MS });
  // Without one it waits for somebody who takes it in.
  const log = join(cluster.dir, "agent.log");
  const waiting = Bun.spawn(argv, { stdout: "ignore", stderr: Bun.file(log) });
  try {
    const words = /waiting to be taken in; on the server: bramble adopt \S+ --code/;
    await eventually("it waits", STARTED_MS, async () => words.test(await readFile(log, "utf8")));
    expect(waiting.exitCode).toBe(null);
  } finally {
    waiting.kill();
    await waiting.exited;
  }
  const malformed = await start("--token", "xyz");
  expect(malformed.stderr).toMatch(/^bramble: --token: not a bramble token\n/);
  const made = (await cluster.bramble(["token", "create"])).stdout.trim();
  // The last part is the secret, the one before it the CA's checksum.
  const unknown = await start("--token", `${made.slice(0, -4)}zzzz`);
  expect(unknown.exitCode).toBe(1);
  expect(unknown.stderr).toMatch(/^bramble: .*token/m);
  expect(malformed.exitCode).toBe(1);
}, 180_000);

test("nothing of this stopped the server", async () => {
  await eventually(
    "it is ready",
    60_000,
    async () => (await cluster.kubectl(["get", "nodes"])).exitCode === 0,
  );
});
