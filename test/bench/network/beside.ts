/** What the node answers besides the API, in the same process: its Ingress, for latencies. */
import { networkInterfaces } from "node:os";
import { getBody, type Page } from "#test/bench/network/getbody.ts";
import { startHelper } from "#test/bench/network/helpers.ts";
import { ask, type BenchServer } from "#test/bench/server.ts";
import { until } from "#test/support/lab.ts";

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

/** An Ingress to a server of the measurement. Resolves when it answers; ends with `stop`. */
export async function openIngress(server: BenchServer, port: number) {
  const all = Object.values(networkInterfaces()).flat();
  const address = all.find((one) => one?.family === "IPv4" && !one.internal)?.address ?? "";
  const bare = await startHelper("barepage.ts", { args: [address, String(BODY_BYTES)] });
  const page: Page = { url: `http://127.0.0.1:${port}/`, bytes: BODY_BYTES };
  /** The same without an Ingress in between. */
  const straight: Page = { url: `http://${address}:${bare.said}/`, bytes: BODY_BYTES };
  const stop = async (): Promise<void> => void (await bare.end());
  try {
    await publish(server, Number(bare.said), address);
    await until(`${page.url} answers`, ANSWERS_MS_MAX, async () => {
      await getBody(page);
      return true;
    });
    return { page, straight, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One small object of the API. */
export const serviceOf = ({ url, token }: BenchServer): Page => ({
  url: `${url}/api/v1/namespaces/default/services/web`,
  token,
});

export type BenchIngress = Awaited<ReturnType<typeof openIngress>>;
