/** What a connection costs the server before it is known whose it is, and after it was refused. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import { type Attacked, type Attacker, startAttacked } from "#test/support/attacked.ts";
import { eventually } from "#test/support/instance.ts";

let server: Attacked;
beforeAll(async () => {
  server = await startAttacked();
});
afterAll(() => server.stop());

const MB = 1024 * 1024;
const STRANGER_BYTES_MAX = 2 * MB;
const STRANGER_CPU_MS_MAX = 50;
const MAPS = "/api/v1/namespaces/default/configmaps";
const LARGE = limits.requestBodyBytesMax;

const post = (path: string, ...lines: string[]): string =>
  [`POST ${path} HTTP/1.1`, "Host: api", "Content-Type: application/json", ...lines, "", ""].join(
    "\r\n",
  );
const codesOf = ({ text }: Attacker): string[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, code]) => code ?? "");

async function attackers(count: number): Promise<Attacker[]> {
  return Array.from({ length: count }, () => server.connect());
}

describe("a request whose sender is not known", () => {
  test.each([
    ["the API", MAPS],
    ["a proxy", "/api/v1/namespaces/default/pods/one/proxy/"],
    ["exec", "/api/v1/namespaces/default/pods/one/exec?command=a&stdout=1"],
    ["token reviews", "/apis/authentication.k8s.io/v1/tokenreviews"],
  ])("of %s is refused before its body comes", async (_, path) => {
    const attacker = server.connect();
    await attacker.send(post(path, `Content-Length: ${LARGE}`));
    expect(await attacker.until(/HTTP\/1\.1 \d+/)).toBe("HTTP/1.1 401");
    const waiting = server.connect();
    await waiting.send(post(path, `Content-Length: ${LARGE}`, "Expect: 100-continue"));
    expect(await waiting.until(/HTTP\/1\.1 \d+/)).toBe("HTTP/1.1 401");
    await waiting.over();
  });

  test("is refused before its body comes also where only the right is missing", async () => {
    const attacker = server.connect();
    const token = "Authorization: Bearer guest";
    await attacker.send(post(MAPS, token, `Content-Length: ${LARGE}`));
    expect(await attacker.until(/HTTP\/1\.1 \d+/)).toBe("HTTP/1.1 403");
  });

  test("leaves nothing of its body in memory, and is not read to its end", async () => {
    const before = server.memory();
    const all = await attackers(40);
    const taken = all.map(async (attacker) => {
      await attacker.send(post(MAPS, `Content-Length: ${LARGE}`));
      await attacker.flood(Buffer.alloc(64 * 1024), LARGE / 65_536, 2_000);
    });
    await Promise.all(all.map((attacker) => attacker.until(/HTTP\/1\.1 401/)));
    expect(server.memory() - before).toBeLessThan(all.length * STRANGER_BYTES_MAX);
    await Promise.all(taken);
    await Promise.all(all.map((attacker) => attacker.over()));
    expect(all.map(codesOf)).toEqual(all.map(() => ["401"]));
  });

  test("in small pieces costs 50 ms at most", async () => {
    const all = await attackers(10);
    const before = server.cpuMs();
    for (const attacker of all) await attacker.send("GET /api HTTP/1.1\r\nHost: api\r\nA: ");
    for (let at = 0; at < limits.requestHeadPiecesMax + 500; at++) {
      for (const attacker of all) await attacker.send("x".repeat(40));
      await new Promise(setImmediate);
    }
    for (const { socket } of all) socket.destroy();
    await server.ready();
    expect(server.cpuMs() - before).toBeLessThan(all.length * STRANGER_CPU_MS_MAX);
  });

  test("does not cost the connection where what is left is little", async () => {
    const attacker = server.connect();
    await attacker.send(post(MAPS, "Content-Length: 10"));
    await attacker.until(/HTTP\/1\.1 401/);
    await attacker.send("0123456789GET /readyz HTTP/1.1\r\nHost: api\r\n\r\n");
    await attacker.until(/HTTP\/1\.1 200/);
    expect(codesOf(attacker)).toEqual(["401", "200"]);
  });
});

describe("a body", () => {
  test("in chunks of one byte ends early and leaves nothing", async () => {
    const before = server.memory();
    const attacker = server.connect();
    const token = "Authorization: Bearer one";
    await attacker.send(post(MAPS, token, "Transfer-Encoding: chunked"));
    const chunks = Buffer.from("1\r\nx\r\n".repeat(10_000));
    await attacker.flood(chunks, 100, 2_000);
    await attacker.until(/HTTP\/1\.1 400[\s\S]*chunks are smaller/);
    await attacker.over();
    await eventually("the memory to be as before", 10_000, async () => {
      await server.ready();
      return server.memory() - before < 48 * MB;
    });
  });

  test("is not followed by a stream in another protocol before its end", async () => {
    const attacker = server.connect();
    const path = "/api/v1/namespaces/default/pods/one/portforward";
    const upgrade = ["Upgrade: SPDY/3.1", "Connection: Upgrade", "Authorization: Bearer one"];
    await attacker.send(post(path, ...upgrade, "Content-Length: 100"));
    expect(await attacker.until(/HTTP\/1\.1 \d+/)).toBe("HTTP/1.1 400");
  });
});
