/** TLS of the API and of the Ingress: no old versions, and no weak cipher suites. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { secureContextOf } from "#agents/ingress/certificates.ts";
import { type Listening, listenTls } from "#agents/ingress/listen.ts";
import { Serving } from "#agents/ingress/serving.ts";
import { type Listener, listen } from "#api/listener.ts";
import { openPki, type Pki } from "#api/pki.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import { realRandom } from "#base/random.ts";

const WEAK = ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES128-SHA256"];
const STRONG = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"];

let dir: string;
let pki: Pki;
let api: Listener;
let ingress: Listening;
let serving: Serving;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-attack-"));
  pki = await openPki({
    ...{ dir, clock: realClock, random: realRandom, log: silentLog },
    ...{ names: ["localhost"], ips: ["127.0.0.1"], serviceCidrs: ["10.43.0.0/16"] },
  });
  const { certPem: cert, keyPem: key } = pki.server();
  const fetch = async () => new Response("ok");
  api = listen({ fetch, hostname: "127.0.0.1", port: 0, tls: { cert, key }, log: silentLog });
  serving = new Serving({ clock: realClock, onServed: () => {} });
  ingress = await listenTls({
    ...{ serving, host: "127.0.0.1", port: 0, log: silentLog, fallback: { cert, key } },
    contextOf: (name) => (name === "named.test" ? secureContextOf({ cert, key }) : undefined),
  });
});

afterAll(async () => {
  ingress?.close();
  await serving?.stop(0);
  await api?.stop();
  pki?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Returns whether the listener accepts a handshake with these options of `openssl s_client`. */
async function accepts(port: number, ...options: string[]): Promise<boolean> {
  const target = ["-connect", `127.0.0.1:${port}`];
  const { stdout } = await runProcess(["openssl", "s_client", ...target, ...options], {
    stdin: "",
  });
  return !stdout.includes("Cipher is (NONE)");
}

const places: Array<[string, () => number, string]> = [
  ["the API", () => api.port, "localhost"],
  ["the Ingress", () => ingress.port, "localhost"],
  ["the Ingress, for a host with a certificate", () => ingress.port, "named.test"],
];

describe.each(places)("%s", (_, port, name) => {
  test("rejects TLS 1.0 and 1.1", async () => {
    for (const version of ["-tls1", "-tls1_1"]) {
      const options = [version, "-cipher", "ALL:@SECLEVEL=0", "-servername", name];
      expect([version, await accepts(port(), ...options)]).toEqual([version, false]);
    }
  });

  test("rejects cipher suites without authenticated encryption", async () => {
    for (const cipher of [...WEAK, ...STRONG]) {
      const options = ["-tls1_2", "-cipher", `${cipher}:@SECLEVEL=0`, "-servername", name];
      const isStrong = STRONG.includes(cipher);
      expect([cipher, await accepts(port(), ...options)]).toEqual([cipher, isStrong]);
    }
  });

  test("speaks TLS 1.3", async () => {
    expect(await accepts(port(), "-tls1_3", "-servername", name)).toBe(true);
  });
});
