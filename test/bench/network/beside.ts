/** What the node answers besides the API, in the same process: its Ingress, for latencies. */
import { networkInterfaces } from "node:os";
import { startHelper } from "#test/bench/network/helpers.ts";
import { ask, type BenchServer } from "#test/bench/server.ts";

const REQUESTS_PER_SECOND = 200;
const ANSWERS_MS_MAX = 10_000;
const BODY_BYTES = 1024;
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

/**
 * Answer times in milliseconds, until the promise ends. Open loop: a request is due whether the one
 * before is answered or not.
 */
export async function latencies(
  request: () => Promise<unknown>,
  until: Promise<unknown>,
): Promise<number[]> {
  const took: number[] = [];
  const pending: Promise<void>[] = [];
  let isOver = false;
  const over = until.finally(() => {
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
  await Promise.all([...pending, over]);
  return took;
}

async function getBody(url: string): Promise<void> {
  const answer = await fetch(url);
  if ((await answer.text()).length !== BODY_BYTES) throw new Error(`HTTP ${answer.status}`);
}

/** An Ingress to a server of the measurement. Resolves when it answers; ends with `stop`. */
export async function openIngress(server: BenchServer, port: number) {
  const all = Object.values(networkInterfaces()).flat();
  const address = all.find((one) => one?.family === "IPv4" && !one.internal)?.address ?? "";
  const page = await startHelper("barepage.ts", { args: [address, String(BODY_BYTES)] });
  const pagePort = Number(page.said);
  const stop = page.end;
  const url = `http://127.0.0.1:${port}/`;
  const request = () => getBody(url);
  /** The same without an Ingress in between. */
  const straight = () => getBody(`http://${address}:${pagePort}/`);
  try {
    await publish(server, pagePort, address);
    const end = performance.now() + ANSWERS_MS_MAX;
    for (;;) {
      const failure = await request().then(
        () => undefined,
        (error: unknown) => error,
      );
      if (failure === undefined) return { url, request, straight, stop };
      if (performance.now() > end) throw failure;
      await Bun.sleep(50);
    }
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One small object of the API. */
export async function getService(server: BenchServer): Promise<void> {
  const answer = await ask(server, "/api/v1/namespaces/default/services/web");
  await answer?.text();
  if (answer?.ok !== true) throw new Error("no Service");
}

export type BenchIngress = Awaited<ReturnType<typeof openIngress>>;
