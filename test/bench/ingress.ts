/**
 * Requests a second through the Ingress, beside Caddy and HAProxy (Debian's packages, unpacked and
 * not installed) in the same run: keep-alive, 1 KB, one endpoint, on the same cores as the load.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureAll, measuring, whenOver } from "#test/bench/ends.ts";
import { must } from "#test/bench/programs.ts";
import { freePort } from "#test/bench/server.ts";

export interface IngressFigures {
  /** Requests a second, median of the rounds. */
  http: number;
  https: number;
  httpP99Ms: number;
  httpsP99Ms: number;
  errors: number;
}

export type IngressTable = Record<"bramble" | "caddy" | "haproxy", IngressFigures>;

interface Ports {
  http: number;
  https: number;
}

const PACKAGES = [
  "caddy",
  "haproxy",
  "liblua5.3-0",
  "libopentracing-c-wrapper0",
  "libopentracing1",
];
const PEERS = join(import.meta.dir, "build/ingress");
const LIBRARIES = join(
  PEERS,
  "usr/lib",
  `${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`,
);
const ROUNDS = 3;
const SECONDS = 3;

/** Downloads and unpacks, so that no service of theirs is started here. */
async function fetchPeers(): Promise<void> {
  if (existsSync(join(PEERS, "usr/sbin/haproxy"))) return;
  mkdirSync(PEERS, { recursive: true });
  await must(["apt-get", "download", ...PACKAGES], { cwd: PEERS });
  for (const file of readdirSync(PEERS).filter((name) => name.endsWith(".deb"))) {
    await must(["dpkg", "-x", file, "."], { cwd: PEERS });
  }
}

function start(argv: string[], dir: string): void {
  const child = measuring(() =>
    Bun.spawn(argv, {
      env: { ...process.env, LD_LIBRARY_PATH: LIBRARIES, HOME: dir },
      stdin: "ignore",
      stdout: "ignore",
      stderr: Bun.file(join(dir, "peers.log")),
    }),
  );
  whenOver(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
}

const haproxyDefaults = `defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
`;

function write(dir: string, name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

/** HAProxy's own answer, so that the endpoint takes as little of the machine as it can. */
function startEndpoint(dir: string, port: number): void {
  const body = write(dir, "body", "x".repeat(1024));
  const config = `global
  nbthread 1
${haproxyDefaults}frontend endpoint
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain file ${body}
`;
  start([join(PEERS, "usr/sbin/haproxy"), "-f", write(dir, "endpoint.cfg", config)], dir);
}

function startHaproxy(dir: string, { http, https }: Ports, endpoint: number, pem: string): void {
  const config = `${haproxyDefaults}frontend front
  bind 127.0.0.1:${http}
  bind 127.0.0.1:${https} ssl crt ${pem}
  option forwardfor
  default_backend back
backend back
  balance leastconn
  http-reuse always
  server one 127.0.0.1:${endpoint}
`;
  start([join(PEERS, "usr/sbin/haproxy"), "-f", write(dir, "haproxy.cfg", config)], dir);
}

function startCaddy(dir: string, { http, https }: Ports, endpoint: number, pem: string): void {
  const config = `{
  admin off
  auto_https off
}
http://127.0.0.1:${http} {
  reverse_proxy 127.0.0.1:${endpoint}
}
https://127.0.0.1:${https} {
  tls ${pem} ${pem}
  reverse_proxy 127.0.0.1:${endpoint}
}
`;
  const path = write(dir, "Caddyfile", config);
  start([join(PEERS, "usr/bin/caddy"), "run", "--config", path, "--adapter", "caddyfile"], dir);
}

const LATENCY = /99%\s+([\d.]+)(us|ms|s)/;
const UNITS: Record<string, number> = { us: 0.001, ms: 1, s: 1_000 };

interface Load {
  perSecond: number;
  p99Ms: number;
  errors: number;
}

async function load(url: string): Promise<Load> {
  const text = await must(["wrk", "-t1", "-c16", `-d${SECONDS}s`, "--latency", url]);
  const [, value = "0", unit = "ms"] = LATENCY.exec(text) ?? [];
  const bad = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const broken = (socket?.slice(1) ?? []).reduce((sum, each) => sum + Number(each), 0);
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1] ?? 0);
  return { perSecond, p99Ms: Number(value) * (UNITS[unit] ?? 1), errors: bad + broken };
}

const median = (values: number[]): number =>
  values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function answers(url: string): Promise<void> {
  const end = performance.now() + 10_000;
  for (;;) {
    try {
      const options = { tls: { rejectUnauthorized: false } };
      if ((await (await fetch(url, options)).text()).length === 1024) return;
    } catch (error) {
      if (performance.now() > end) throw new Error(`${url} does not answer`, { cause: error });
    }
    await Bun.sleep(50);
  }
}

async function startAll(dir: string): Promise<Map<keyof IngressTable, Ports>> {
  const pem = join(dir, "pair.pem");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  await must(["openssl", "req", "-x509", ...key, ...name, "-keyout", `${pem}.key`, "-out", pem]);
  await must(["sh", "-c", `cat ${pem}.key >>${pem}`]);
  const endpoint = await freePort();
  startEndpoint(dir, endpoint);
  const ports = new Map<keyof IngressTable, Ports>();
  for (const each of ["bramble", "caddy", "haproxy"] as const) {
    ports.set(each, { http: await freePort(), https: await freePort() });
  }
  const [bramble, caddy, haproxy] = [...ports.values()];
  if (!bramble || !caddy || !haproxy) throw new Error("no ports");
  const front = join(import.meta.dir, "ingressfront.ts");
  const { http, https } = bramble;
  start([process.execPath, front, String(http), String(https), String(endpoint), pem], dir);
  startCaddy(dir, caddy, endpoint, pem);
  startHaproxy(dir, haproxy, endpoint, pem);
  return ports;
}

/** Takes about a minute. */
export async function measureIngress(): Promise<IngressTable> {
  if (Bun.which("wrk") === null) throw new Error("wrk is missing: apt-get install wrk");
  await fetchPeers();
  const dir = mkdtempSync(join(tmpdir(), "bramble-ingress-bench-"));
  whenOver(() => rmSync(dir, { recursive: true }));
  const all = await startAll(dir);
  const seen = new Map<string, Load[]>();
  for (const { http, https } of all.values()) {
    await answers(`http://127.0.0.1:${http}/`);
    await answers(`https://127.0.0.1:${https}/`);
  }
  // One after the other in each round: what else runs here meets all of them.
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, ports] of all) {
      for (const scheme of ["http", "https"] as const) {
        const found = await load(`${scheme}://127.0.0.1:${ports[scheme]}/`);
        const key = `${name} ${scheme}`;
        seen.set(key, [...(seen.get(key) ?? []), found]);
      }
    }
  }
  const figures = (name: string): IngressFigures => {
    const [http = [], https = []] = ["http", "https"].map((scheme) =>
      seen.get(`${name} ${scheme}`),
    );
    return {
      http: median(http.map((one) => one.perSecond)),
      https: median(https.map((one) => one.perSecond)),
      httpP99Ms: median(http.map((one) => one.p99Ms)),
      httpsP99Ms: median(https.map((one) => one.p99Ms)),
      errors: [...http, ...https].reduce((sum, one) => sum + one.errors, 0),
    };
  };
  return { bramble: figures("bramble"), caddy: figures("caddy"), haproxy: figures("haproxy") };
}

/** What the table says, with the floors: 60 % of Caddy's, 40 % of HAProxy's. */
export function ingressText({ bramble, caddy, haproxy }: IngressTable): string {
  const row = (name: string, one: IngressFigures): string =>
    [
      name.padEnd(8),
      `http ${Math.round(one.http)}/s (p99 ${one.httpP99Ms} ms)`.padEnd(32),
      `https ${Math.round(one.https)}/s (p99 ${one.httpsP99Ms} ms)`.padEnd(32),
      `${one.errors} errors`,
    ].join(" ");
  const share = (scheme: "http" | "https", peer: IngressFigures): string =>
    `${Math.round((100 * bramble[scheme]) / peer[scheme])} %`;
  return [
    ...[row("bramble", bramble), row("caddy", caddy), row("haproxy", haproxy)],
    `of Caddy's: http ${share("http", caddy)}, https ${share("https", caddy)} (floor 60 %)`,
    `of HAProxy's: http ${share("http", haproxy)}, https ${share("https", haproxy)} (floor 40 %)`,
  ].join("\n");
}

if (import.meta.main) {
  await measureAll(async () => console.log(ingressText(await measureIngress())));
}
