/** Endpoints on a machine that loses its power: they end no connection, and no request is lost. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { addressOf, until } from "#test/support/lab.ts";

const PORT = 8000;
const DEAD = "n2";
const MACHINES = [DEAD, "n3"];
/** What a client waits for an answer. */
const ANSWER_S_MAX = 10;
/** Longer than what is measured, and than a boot. */
const WAIT_S_MAX = 60;
/** Keeps connections open. At `/slow` the one that will be dead never answers. */
const SERVER = `
const name = process.argv.at(-1);
Bun.serve({ port: ${PORT}, idleTimeout: 0, fetch(request) {
  if (new URL(request.url).pathname !== "/slow" || name !== "${DEAD}") return new Response(name);
  console.log("slow");
  return new Promise(() => {});
} });
`;
const MANIFEST = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports: [{name: http, port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web
  labels: {kubernetes.io/service-name: web}
addressType: IPv4
ports: [{name: http, port: ${PORT}}]
endpoints:
${MACHINES.map((node) => `  - addresses: ["${addressOf(node)}"]`).join("\n")}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  defaultBackend: {service: {name: web, port: {name: http}}}
`;
let cluster: LabCluster;
let dir: string;
const servers: Subprocess[] = [];

const logOf = (node: string) => join(dir, `${node}-web.log`);

function serve(node: string): void {
  servers.push(cluster.lab.spawn(node, logOf(node), process.execPath, "-e", SERVER, node));
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-silent-"));
  cluster = await startCluster({ nodes: 3, dir });
  await cluster.startServer();
  for (const node of MACHINES) serve(node);
  const manifest = join(dir, "web.yaml");
  writeFileSync(manifest, MANIFEST);
  await cluster.kubectl("create", "-f", manifest);
}, 120_000);

afterAll(async () => {
  for (const server of servers) server.kill();
  await Promise.all(servers.map((server) => server.exited));
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
});

/** What as many requests at once are answered, and how long each took. */
async function ask(path: string, count: number, limitS: number): Promise<string[]> {
  const url = `http://${addressOf("n1")}${path}`;
  // In one piece each: they end at the same time.
  const curl = `echo "$(curl -s --max-time ${limitS} -w " %{http_code}" ${url})"`;
  const script = `seq ${count} | xargs -P ${count} -I{} sh -c '${curl}'`;
  return (await cluster.lab.must("lan", "sh", "-c", script)).trim().split("\n");
}

async function bothAnswer(): Promise<void> {
  await until("both answer through the Ingress", 60_000, async () => {
    const answers = await ask("/", 8, ANSWER_S_MAX);
    return MACHINES.every((node) => answers.includes(`${node} 200`));
  });
}

test("requests on connections that were kept to it are answered elsewhere", async () => {
  await bothAnswer();
  await ask("/", 32, ANSWER_S_MAX);
  await cluster.lab.cut(DEAD);
  expect(new Set(await ask("/", 32, ANSWER_S_MAX))).toEqual(new Set(["n3 200"]));
}, 120_000);

test("so are those that it has taken and not answered", async () => {
  await cluster.lab.boot(DEAD);
  serve(DEAD);
  await bothAnswer();
  const waiting = ask("/slow", 16, WAIT_S_MAX);
  await until("some wait", 20_000, async () => readFileSync(logOf(DEAD), "utf8").includes("slow"));
  await cluster.lab.cut(DEAD);
  const began = performance.now();
  expect(new Set(await waiting)).toEqual(new Set(["n3 200"]));
  const tookMs = Math.round(performance.now() - began);
  console.log(`answered ${tookMs} ms after the cut`);
  expect(tookMs).toBeLessThan(ANSWER_S_MAX * 1_000);
}, 180_000);
