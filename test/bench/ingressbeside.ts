/**
 * The Ingress beside the API in one process: latency of the one while the other is under full load,
 * and of each alone in the same run. The endpoint is a server of the measurement.
 */
import { networkInterfaces } from "node:os";
import { apiLoad } from "#test/bench/apiload.ts";
import { endAll, measuring, whenOver } from "#test/bench/ends.ts";
import { buildBramble } from "#test/bench/programs.ts";
import { ask, type BenchServer, freePort, startServer } from "#test/bench/server.ts";
import { startContainerd } from "#test/support/containerd.ts";

const REQUESTS_PER_SECOND = 200;
const ALONE_MS = 5_000;

interface Latency {
  p50Ms: number;
  p99Ms: number;
  count: number;
}

const JSON_BODY = { "content-type": "application/json" };

async function post(server: BenchServer, path: string, body: object): Promise<void> {
  const init = { method: "POST", headers: JSON_BODY, body: JSON.stringify(body) };
  const answer = await ask(server, path, init);
  if (answer?.ok !== true) throw new Error(`${path}: ${await answer?.text()}`);
}

async function publish(server: BenchServer, port: number, address: string): Promise<void> {
  const ports = [{ name: "http", port: 80 }];
  await post(server, "/api/v1/namespaces/default/services", {
    metadata: { name: "web" },
    spec: { ports },
  });
  await post(server, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {
    metadata: { name: "web-1", labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ name: "http", port }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  });
  await post(server, "/apis/networking.k8s.io/v1/namespaces/default/ingresses", {
    metadata: { name: "web" },
    spec: { defaultBackend: { service: { name: "web", port: { number: 80 } } } },
  });
}

/** Open loop: a request is due whether the one before is answered or not. */
async function latency(request: () => Promise<unknown>, until: Promise<unknown>): Promise<Latency> {
  const took: number[] = [];
  const pending: Promise<void>[] = [];
  let isOver = false;
  void until.finally(() => {
    isOver = true;
  });
  const began = performance.now();
  for (let sent = 0; !isOver; ) {
    const due = Math.floor(((performance.now() - began) * REQUESTS_PER_SECOND) / 1_000);
    for (; sent < due; sent++) {
      const at = performance.now();
      pending.push(request().then(() => void took.push(performance.now() - at)));
    }
    await Bun.sleep(1_000 / REQUESTS_PER_SECOND);
  }
  await Promise.all(pending);
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.floor(took.length * share)] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99), count: took.length };
}

const text = (name: string, { p50Ms, p99Ms, count }: Latency): string =>
  `${name.padEnd(36)} p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms of ${count}`;

async function measure(): Promise<string[]> {
  const binary = await buildBramble();
  const containerd = await startContainerd("ingressbench");
  whenOver(() => containerd.close());
  const http = await freePort();
  const server = await startServer({
    binary,
    containerd: { address: containerd.address, namespace: "bench" },
    flags: ["--http-port", String(http), "--tls-port", String(await freePort())],
  });
  const all = Object.values(networkInterfaces()).flat();
  const address = all.find((one) => one?.family === "IPv4" && !one.internal)?.address ?? "";
  const body = "x".repeat(1024);
  const endpoint = Bun.serve({ hostname: address, port: 0, fetch: () => new Response(body) });
  whenOver(() => endpoint.stop(true));
  await publish(server, endpoint.port ?? 0, address);
  const url = `http://127.0.0.1:${http}/`;
  const ingress = async () => {
    const answer = await fetch(url);
    if ((await answer.text()).length !== body.length) throw new Error(`HTTP ${answer.status}`);
  };
  for (let tries = 0; ; tries++) {
    const failed = await ingress().then(
      () => false,
      () => true,
    );
    if (!failed) break;
    if (tries > 100) throw new Error(`${url} does not answer`);
    await Bun.sleep(100);
  }
  const get = async () => {
    const answer = await ask(server, "/api/v1/namespaces/default/services/web");
    await answer?.text();
    if (answer?.ok !== true) throw new Error("no Service");
  };
  await apiLoad(server, 0);
  const lines = [text("Ingress alone", await latency(ingress, Bun.sleep(ALONE_MS)))];
  lines.push(text("Ingress while apibench runs", await latency(ingress, apiLoad(server, 1))));
  lines.push(text("GET of the API alone", await latency(get, Bun.sleep(ALONE_MS))));
  const wrk = measuring(() =>
    Bun.spawn(["wrk", "-t1", "-c16", "-d6s", url], { stdin: "ignore", stdout: "pipe" }),
  );
  const loaded = await latency(get, wrk.exited);
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(await new Response(wrk.stdout).text())?.[1];
  lines.push(text(`GET while the Ingress has ${rate}/s`, loaded));
  return lines;
}

try {
  console.log((await measure()).join("\n"));
} finally {
  await endAll();
}
