/** DNS and Ingress on a real thread with real sockets, over caches of this one. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:tls";
import type { RuleSet } from "#agents/network/packets.ts";
import { realClock } from "#base/clock.ts";
import { createLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { createCaches } from "#client/cache.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import { ingressClasses } from "#resources/kinds/ingressclass.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";
import { INGRESS_CONTROLLER } from "#resources/ownedingress.ts";
import { until } from "#test/component/controllers/plane.ts";
import { certificateFor } from "#test/component/ingress/stage.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { OWN_ADDRESS } from "#test/support/ownaddress.ts";
import { openThread } from "../../../src/main/traffic/open.ts";
import { startThread, type Thread } from "../../../src/main/traffic/thread.ts";
import type { Traffic } from "../../../src/main/traffic/traffic.ts";

/** Of the loopback range, and nobody else's. */
const ADDRESS = "127.83.0.10";
const HOST = "web.test.io";
const meta = (name: string) => ({ namespace: "default", name });

const api = new FakeApi();
const servers: Array<ReturnType<typeof Bun.serve>> = [];
const secrets = new Map<string, Map<string, Buffer>>();
const watched = new Map<string, () => void>();
const lines: string[] = [];
const caches = createCaches({
  client: api.client,
  clock: realClock,
  log: createLog({ level: "error", format: "text", now: () => 0, write: () => {} }),
});
let dnsPort = 53;
let ports: string | undefined;
let thread: Thread | undefined;
let traffic: Traffic;

/** A server of the Service; its only endpoint from now on. */
function endpoint(body: string): void {
  const server = Bun.serve({ hostname: OWN_ADDRESS, port: 0, fetch: () => new Response(body) });
  servers.push(server);
  api.put(endpointSlices, {
    metadata: { ...meta("web-1"), labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: server.port ?? 0, protocol: "TCP" }],
    endpoints: [{ addresses: [OWN_ADDRESS], hostname: body, conditions: { ready: true } }],
  });
}

async function secret(name: string): Promise<void> {
  const { cert, key } = await certificateFor(name);
  const data = new Map([
    ["tls.crt", Buffer.from(cert)],
    ["tls.key", Buffer.from(key)],
  ]);
  secrets.set("pair", data);
  watched.get("pair")?.();
}

/** Text of the Ingress at its port for HTTP; undefined where there is none. */
async function get(): Promise<string | undefined> {
  const url = `http://127.0.0.1:${ports?.split(",")[0]}/`;
  const answer = await fetch(url, { headers: { host: HOST } }).catch(() => undefined);
  return answer?.text();
}

/** The number of addresses of a name; undefined where nobody answers. */
async function resolve(name: string): Promise<number | undefined> {
  const labels = name.split(".").map((label) => `${String.fromCharCode(label.length)}${label}`);
  const question = Buffer.from(
    `\0\x07\x01\0\0\x01\0\0\0\0\0\0${labels.join("")}\0\0\x01\0\x01`,
    "latin1",
  );
  const answered = Promise.withResolvers<number | undefined>();
  const socket = await Bun.udpSocket({
    connect: { hostname: ADDRESS, port: dnsPort },
    socket: {
      data: (_socket, answer) => answered.resolve(answer.readUInt16BE(6)),
      error: () => answered.resolve(undefined),
    },
  });
  const timer = setTimeout(() => answered.resolve(undefined), 1_000);
  socket.send(question);
  const count = await answered.promise;
  clearTimeout(timer);
  socket.close();
  return count;
}

function commonName(): Promise<string | undefined> {
  const { promise, resolve: answer } = Promise.withResolvers<string | undefined>();
  const port = Number(ports?.split(",")[1]);
  const options = { host: "127.0.0.1", port, servername: HOST, rejectUnauthorized: false };
  const socket = connect(options, () => {
    answer(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  });
  socket.on("error", () => answer(undefined));
  return promise;
}

beforeAll(async () => {
  api.put(namespaces, { metadata: { name: "default" } });
  api.put(nodes, { metadata: { name: "n1" } });
  api.put(ingressClasses, {
    metadata: {
      name: "own",
      annotations: { "ingressclass.kubernetes.io/is-default-class": "true" },
    },
    spec: { controller: INGRESS_CONTROLLER },
  });
  api.put(services, {
    metadata: meta("web"),
    spec: { clusterIP: "None", ports: [{ name: "http", port: 80 }] },
  });
  const backend = { service: { name: "web", port: { number: 80 } } };
  const paths = [{ path: "/", pathType: "Prefix", backend }];
  api.put(ingresses, {
    metadata: { ...meta("web"), annotations: { "ingress.bramble.dev/ssl-redirect": "false" } },
    spec: {
      tls: [{ hosts: [HOST], secretName: "pair" }],
      rules: [{ host: HOST, http: { paths } }],
    },
  });
  await secret("first");
  endpoint("one");
  traffic = startThread(
    {
      ...{ nodeName: "n1", logLevel: "info" },
      dns: { address: ADDRESS, domain: "cluster.local", cidrs: ["10.43.0.0/16"] },
      ingress: { host: "127.0.0.1", httpPort: 0, tlsPort: 0 },
    },
    {
      caches,
      objects: {
        get: async (_kind, _namespace, name) => secrets.get(name),
        watch(_kind, _namespace, name, changed) {
          watched.set(name, changed);
          return () => watched.delete(name);
        },
      },
      run: async () => ({ exitCode: 0, stdout: "", stderr: "" }),
      writers: {
        IPv4: {
          async apply(_owner: string, { chains }: RuleSet) {
            const to = /:(\d+)$/.exec(chains[0]?.rules[0] ?? "")?.[1];
            if (to !== undefined) dnsPort = Number(to);
          },
        },
      },
      mark: async (now) => {
        ports = now;
      },
      clock: realClock,
      random: realRandom,
      log: createLog({
        ...{ level: "info", format: "text", now: () => 0 },
        write: (line) => lines.push(line),
      }),
    },
    (on) => {
      thread = openThread(on);
      return thread;
    },
  );
});

afterAll(async () => {
  await traffic.stop();
  caches.stop();
  for (const server of servers) await server.stop(true);
});

const WEB = "web.default.svc.cluster.local";

test("both answer, and an endpoint's change arrives", async () => {
  await until("the Ingress's first answer", async () => (await get()) === "one");
  await until("the name", async () => (await resolve(`one.${WEB}`)) === 1);
  endpoint("two");
  await until("the other endpoint's answer", async () => (await get()) === "two");
  await until("its name", async () => (await resolve(`two.${WEB}`)) === 1);
  expect(await resolve(`one.${WEB}`)).toBe(0);
  expect(await traffic.metrics()).toContain('requests_total{ingress="default/web",code="2xx"}');
  expect(lines.join("")).toContain("serving Ingresses part=ingress");
});

test("a changed certificate is in the next handshakes", async () => {
  await until("the first certificate", async () => (await commonName()) === "first");
  await secret("second");
  await until("the second certificate", async () => (await commonName()) === "second");
});

test("another one takes over from a thread that ends, with what is there by then", async () => {
  const old = ports;
  thread?.terminate();
  endpoint("three");
  await until("another thread", () => ports !== old);
  await until("its answer", async () => (await get()) === "three");
  await until("its name", async () => (await resolve(`three.${WEB}`)) === 1);
  expect(await commonName()).toBe("second");
  expect(lines.join("")).toContain("starting another one");
});

test("after the stop nobody answers, and nothing is watched", async () => {
  await traffic.stop();
  expect(await get()).toBeUndefined();
  expect(await resolve(WEB)).toBeUndefined();
  expect(watched.size).toBe(0);
});
