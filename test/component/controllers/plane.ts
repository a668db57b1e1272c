/** A control plane in this process: the real API and controllers, hollow nodes, no sockets. */
import { type Clock, realClock } from "#base/clock.ts";
import { createLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { createCaches } from "#client/cache.ts";
import type { Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import { createClient } from "#client/http.ts";
import { startControllers } from "#controllers/all.ts";
import type { Signer } from "#controllers/csr/controller.ts";
import type { Store } from "#store/store.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";
import { Hollow, type HollowOptions } from "#test/support/hollow.ts";
import { type ShiftClock, shiftClock } from "#test/support/shiftclock.ts";

export interface Plane {
  test: TestApi;
  client: Client;
  caches: Caches;
  hollow: Hollow;
  /** Lines that controllers logged as warnings and errors. */
  lines: string[];
  /** Writes that the API took, as `PATCH /api/v1/…`. */
  writes: string[];
  close(): Promise<void>;
}

export interface PlaneOptions extends Partial<HollowOptions> {
  nodeGraceMs?: number;
  clusterCidr?: string;
  signCertificate?: Signer;
  /** Of the API, the controllers and the nodes; default: the real one. */
  clock?: Clock;
  /** One that has objects already; it stays open. */
  store?: Store;
  /** What other servers of APIs answer; undefined where it is none of theirs. */
  adapters?: (url: URL) => object | undefined;
}

export async function startPlane(
  nodes: readonly string[] = ["n1", "n2"],
  options: PlaneOptions = {},
): Promise<Plane> {
  const {
    store,
    adapters,
    clock = realClock,
    signCertificate = () => "not a certificate",
    ...more
  } = options;
  const lines: string[] = [];
  const log = createLog({
    level: "warn",
    format: "text",
    now: () => Date.now(),
    write: (line) => lines.push(line),
  });
  const test = await startApi({ log, clock, ...(store && { store }) });
  const writes: string[] = [];
  const client = createClient((request) => {
    const url = new URL(request.url);
    const foreign = adapters?.(url);
    if (foreign !== undefined) return Promise.resolve(Response.json(foreign));
    const { pathname } = url;
    const counted = request.method !== "GET" && !/\/(events|leases)(\/|$)/.test(pathname);
    if (counted) writes.push(`${request.method} ${pathname}`);
    return test.api.fetch(request, { user: ADMIN });
  }, test.api);
  const stop = new AbortController();
  const shared = { client, clock, log, signal: stop.signal };
  const caches = createCaches(shared);
  startControllers({
    ...shared,
    caches,
    random: realRandom,
    caCertificate: "test-ca",
    clusterCidr: more.clusterCidr ?? "10.42.0.0/16",
    serviceCidr: "10.43.0.0/16",
    nodeGraceMs: more.nodeGraceMs ?? 10_000,
    signCertificate,
  });
  const hollow = new Hollow({ ...shared, caches, nodes, ...more });
  await hollow.start();
  return {
    test,
    client,
    caches,
    hollow,
    lines,
    writes,
    async close() {
      stop.abort();
      caches.stop();
      await test.close();
    },
  };
}

/** Longer than any test skips at once. */
const PATIENCE_MS = 1_000 * 86_400_000;

/** One whose time a test moves on: nodes that hear nothing of what is skipped are not gone. */
export async function startShiftedPlane(
  nodes: readonly string[],
): Promise<{ plane: Plane; clock: ShiftClock }> {
  const clock = shiftClock();
  const plane = await startPlane(nodes, { clock, nodeGraceMs: PATIENCE_MS });
  return { plane, clock };
}

/** Waits until `check` answers something; fails with what it last was told. */
export async function until<T>(
  what: string,
  check: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await Bun.sleep(10);
  }
}
