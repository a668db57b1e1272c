/** The Ingress's serving alone, as a node runs it, in front of one endpoint. */
import { listenPlain, listenTls } from "#agents/ingress/listen.ts";
import { Serving } from "#agents/ingress/serving.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";

const [http = 0, https = 0, endpoint = 0] = process.argv.slice(2, 5).map(Number);
const pair = await Bun.file(process.argv[5] ?? "").text();

const serving = new Serving({ clock: realClock });
const endpoints = [{ address: "127.0.0.1", port: endpoint }];
const backend = { name: "bench/web:80", endpoints, others: [], sticky: false };
const route = { ingress: "bench/web", backend, redirect: false, bodyBytesMax: undefined };
serving.follow({
  ...serving.table,
  any: { exact: new Map(), prefixes: [{ path: "", route }], fallback: undefined },
  backends: [backend],
  count: 1,
});
const shared = { serving, host: "127.0.0.1", log: silentLog };
await listenPlain({ ...shared, port: http });
const fallback = { cert: pair, key: pair };
await listenTls({ ...shared, port: https, fallback, contextOf: () => undefined });
