/**
 * A node's Ingress on real ports, with a node's own rights against the real API; endpoints are
 * servers of the test on the machine's own address.
 */
import { IngressAgent, markOn } from "#agents/ingress/agent.ts";
import { createObjectSource } from "#agents/volumes/objects.ts";
import { type Clock, realClock } from "#base/clock.ts";
import { createLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { createCaches } from "#client/cache.ts";
import { createClient } from "#client/http.ts";
import { runController } from "#client/loop.ts";
import { ensureIngressClass } from "#controllers/ingress/class.ts";
import { ingressController } from "#controllers/ingress/controller.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import { type ApiObject, keyOf } from "#resources/meta.ts";
import type { IngressSpec } from "#resources/types.gen.ts";
import { until } from "#test/component/controllers/plane.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";
import { OWN_ADDRESS } from "#test/support/ownaddress.ts";

export interface Endpoint {
  readonly port: number;
  /** On its way out, and still serving. */
  readonly isEnding?: boolean;
}

export interface Stage {
  readonly test: TestApi;
  readonly agent: IngressAgent;
  /** Warnings of agent and controller. */
  readonly lines: string[];
  readonly http: string;
  readonly https: string;
  /** A Service (port 8080, named http) with these servers as its endpoints; also replaces them. */
  service(name: string, endpoints: readonly Endpoint[], more?: object): Promise<void>;
  ingress(name: string, spec: IngressSpec, annotations?: Record<string, string>): Promise<void>;
  /** A Secret with a certificate; also replaces it. */
  secret(name: string, pair: { cert: string; key: string }): Promise<void>;
  /** Addresses that the Ingress shows, once there are some. */
  address(name: string): Promise<string[]>;
  settled(): Promise<void>;
  close(): Promise<void>;
}

const NODE = "n1";
const SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
export const INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses";

export const ADDRESS = OWN_ADDRESS;

/** The certificate of one name, signed by itself. */
export async function certificateFor(name: string): Promise<{ cert: string; key: string }> {
  const argv = [
    ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ...["-nodes", "-days", "2", "-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`],
    ...["-keyout", "-", "-out", "-"],
  ];
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "ignore", timeout: 60_000 });
  const text = await new Response(child.stdout).text();
  const part = (what: string) =>
    new RegExp(`-----BEGIN ${what}-----[\\s\\S]*?-----END ${what}-----`).exec(text)?.[0] ?? "";
  return { cert: part("CERTIFICATE"), key: part("PRIVATE KEY") };
}

async function put(test: TestApi, path: string, name: string, object: object): Promise<void> {
  const made = await test.call("POST", path, object);
  if (made.code === 201) return;
  const put = await test.call("PATCH", `${path}/${name}`, object, {
    headers: { "content-type": "application/merge-patch+json" },
  });
  if (put.code !== 200) throw new Error(`${path}/${name}: ${made.text} ${put.text}`);
}

/** The pod that a server stands for; its uid is `pod-PORT`. */
const podOf = (port: number) => ({ kind: "Pod", name: `pod-${port}`, uid: `pod-${port}` });

/** One slice for each server, as each has its own port. */
async function putSlices(test: TestApi, name: string, endpoints: readonly Endpoint[]) {
  const old = await test.call("GET", `${SLICES}?labelSelector=kubernetes.io/service-name=${name}`);
  const wanted = new Map(endpoints.map((endpoint) => [`${name}-${endpoint.port}`, endpoint]));
  for (const [slice, { port, isEnding = false }] of wanted) {
    const conditions = { ready: !isEnding, serving: true, terminating: isEnding };
    await put(test, SLICES, slice, {
      metadata: { name: slice, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port, protocol: "TCP" }],
      endpoints: [{ addresses: [ADDRESS], conditions, targetRef: podOf(port) }],
    });
  }
  for (const { metadata } of old.body.items) {
    if (!wanted.has(metadata.name)) await test.call("DELETE", `${SLICES}/${metadata.name}`);
  }
}

export async function startStage(
  options: { httpPort?: number; accessLog?: string; clock?: Clock } = {},
): Promise<Stage> {
  const test = await startApi();
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  const log = createLog({ level: "warn", format: "text", now: () => 0, write });
  const asUser = (user: typeof ADMIN) => createClient((r) => test.api.fetch(r, { user }));
  const admin = asUser(ADMIN);
  const client = asUser({ name: `system:node:${NODE}`, groups: ["system:nodes"] });
  const stop = new AbortController();
  const around = { clock: realClock, random: realRandom, log, signal: stop.signal };
  const caches = createCaches({ ...around, client });
  const adminCaches = createCaches({ ...around, client: admin });
  await ensureIngressClass(admin);
  await admin.create(nodes, { metadata: { name: NODE } });
  const conditions = [{ type: "Ready", status: "True" }];
  const status = { addresses: [{ type: "InternalIP", address: ADDRESS }], conditions };
  await admin.patch(nodes, { name: NODE }, "merge", { status }, { subresource: "status" });
  runController(ingressController, { ...around, client: admin, caches: adminCaches });
  const objects = createObjectSource({ ...around, client });
  const { httpPort = 0, accessLog } = options;
  const ports = { host: "127.0.0.1", httpPort, tlsPort: 0 };
  const more = accessLog === undefined ? {} : { accessLog };
  const agent = new IngressAgent({
    ...{ ...around, ...ports, ...more, clock: options.clock ?? realClock },
    ...{ caches, objects, nodeName: NODE, mark: markOn(client, NODE) },
  });
  agent.start(stop.signal);
  const settled = async (): Promise<void> => {
    for (const kind of [ingresses, services, endpointSlices]) {
      const { items } = await admin.list<ApiObject>(kind);
      const cache = caches.of<ApiObject>(kind);
      await until("the node's caches", () =>
        items.every((one) => cache.seen(keyOf(one), one.metadata.resourceVersion)),
      );
      await until("the node's caches", () => cache.list().length === items.length);
    }
    await agent.settled();
  };
  return {
    test,
    agent,
    lines,
    get http() {
      return `http://127.0.0.1:${agent.ports.http}`;
    },
    get https() {
      return `https://127.0.0.1:${agent.ports.https}`;
    },
    async service(name, endpoints, spec = {}) {
      const ports = [{ name: "http", port: 8080 }];
      const object = { metadata: { name }, spec: { ports, ...spec } };
      await put(test, "/api/v1/namespaces/default/services", name, object);
      await putSlices(test, name, endpoints);
    },
    ingress: (name, spec, annotations = {}) =>
      put(test, INGRESSES, name, { metadata: { name, annotations }, spec }),
    secret: (name, { cert, key }) => {
      const data = { "tls.crt": btoa(cert), "tls.key": btoa(key) };
      const object = { metadata: { name }, type: "kubernetes.io/tls", data };
      return put(test, "/api/v1/namespaces/default/secrets", name, object);
    },
    address: (name) =>
      until("an address", async () => {
        const { body } = await test.call("GET", `${INGRESSES}/${name}`);
        const points: Array<{ ip: string }> | undefined = body.status?.loadBalancer?.ingress;
        return points?.map(({ ip }) => ip);
      }),
    settled,
    async close() {
      stop.abort();
      await agent.stop();
      caches.stop();
      adminCaches.stop();
      await test.close();
    },
  };
}
