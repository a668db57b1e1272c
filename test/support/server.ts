/** The API on a real TLS port with a kubeconfig, for tests with real clients. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listen } from "#api/listener.ts";
import { openPki, type Pki } from "#api/pki.ts";
import { type Clock, realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import { ADMIN_TOKEN, startApi, type TestApi } from "#test/support/api.ts";

export interface TestServer extends TestApi {
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  readonly kubeconfig: string;
  readonly caPem: string;
  readonly pki: Pki;
  stop(): Promise<void>;
}

function kubeconfigOf(url: string, caPem: string): string {
  const ca = Buffer.from(caPem).toString("base64");
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    clusters: [{ name: "test", cluster: { server: url, "certificate-authority-data": ca } }],
    users: [{ name: "admin", user: { token: ADMIN_TOKEN } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
  });
}

export async function startServer(
  options: Parameters<typeof startApi>[0] & { port?: number; listenerClock?: Clock } = {},
): Promise<TestServer> {
  const dir = mkdtempSync(join(tmpdir(), "bramble-api-"));
  const { port = 0, listenerClock = realClock, ...rest } = options;
  const pki = await openPki({
    dir: join(dir, "pki"),
    clock: realClock,
    random: realRandom,
    log: silentLog,
    names: ["localhost"],
    ips: ["127.0.0.1"],
    serviceCidrs: ["10.43.0.0/16"],
  });
  const test = await startApi({
    ...rest,
    auth: rest.auth ?? {
      tokens: new Map([[ADMIN_TOKEN, { name: "admin", groups: ["system:masters"] }]]),
      serviceAccountKey: pki.serviceAccountKey,
    },
  });
  const { certPem, keyPem } = pki.server();
  const listener = listen({
    fetch: test.api.fetch,
    hostname: "127.0.0.1",
    port,
    tls: { cert: certPem, key: keyPem, clientCa: pki.caPem },
    log: rest.log ?? silentLog,
    clock: listenerClock,
  });
  const kubeconfig = join(dir, "kubeconfig");
  writeFileSync(kubeconfig, kubeconfigOf(listener.url, pki.caPem));
  return {
    ...test,
    url: listener.url,
    port: listener.port,
    dir,
    kubeconfig,
    caPem: pki.caPem,
    pki,
    async stop() {
      await listener.stop();
      pki.close();
      await test.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
