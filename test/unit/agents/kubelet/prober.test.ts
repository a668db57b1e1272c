import { afterEach, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { createProber } from "#agents/kubelet/prober.ts";
import type { Runtime } from "#agents/runtime/runtime.ts";
import { issueCertificate } from "#base/x509.ts";
import type { Probe } from "#resources/types.gen.ts";
import { box } from "#test/support/podstate.ts";

const closes: Array<() => void> = [];

afterEach(() => {
  for (const close of closes.splice(0)) close();
});

function serve(
  handler: (request: Request) => Response | Promise<Response>,
  tls?: { cert: string; key: string },
): number {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: handler, ...(tls && { tls }) });
  closes.push(() => void server.stop(true));
  return server.port ?? 0;
}

function selfSigned(): { cert: string; key: string } {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const cert = issueCertificate({
    subject: { commonName: "somebody" },
    publicKey: pair.publicKey.export({ type: "spki", format: "der" }),
    signingKey: pair.privateKey,
    serial: Uint8Array.of(1),
    notBeforeMs: 0,
    notAfterMs: 1000,
    uses: ["server auth"],
    altNames: { dns: [], ips: [] },
  });
  return { cert, key: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** Sends these bytes to whoever has sent something. */
function speak(text: string, thenEnd: boolean): number {
  const data = (socket: { write(text: string): number; end(): void }) => {
    socket.write(text);
    if (thenEnd) socket.end();
  };
  const server = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data } });
  closes.push(() => server.stop(true));
  return server.port;
}

const runtime = {
  execSync: async (_id: string, command: readonly string[], timeoutMs: number) => {
    if (command[0] === "slow") throw new Error(`took more than ${timeoutMs} ms`);
    return { exitCode: command[0] === "true" ? 0 : 1, output: `ran ${command.join(" ")}` };
  },
} as unknown as Runtime;

const ask = (probe: Probe, ports: Array<{ name: string; containerPort: number }> = []) =>
  createProber(runtime)(
    { containerId: "c1", ip: "127.0.0.1", container: box("main", { ports }) },
    probe,
  );

describe("HTTP", () => {
  test("200 to 399 is well, with the headers that were asked for", async () => {
    let seen: Headers | undefined;
    const port = serve((request) => {
      seen = request.headers;
      return new Response("body");
    });
    const httpHeaders = [
      { name: "X-A", value: "1" },
      { name: "Host", value: "me.example" },
    ];
    const answer = await ask({ httpGet: { port, path: "/x", httpHeaders } });
    expect(answer).toEqual({ ok: true, message: "" });
    expect([seen?.get("x-a"), seen?.get("host")]).toEqual(["1", "me.example"]);
    expect(seen?.get("user-agent")).toBe("kube-probe/1.34");
  });

  test("a port may be named", async () => {
    const containerPort = serve(() => new Response(""));
    const ports = [{ name: "web", containerPort }];
    expect((await ask({ httpGet: { port: "web" } }, ports)).ok).toBe(true);
    expect(await ask({ httpGet: { port: "none" } })).toEqual({
      ok: false,
      message: "couldn't find port: none",
    });
  });

  test("an error is told by its code, a refused connection by its words", async () => {
    const port = serve(() => new Response("", { status: 503 }));
    expect((await ask({ httpGet: { port } })).message).toBe(
      "HTTP probe failed with statuscode: 503",
    );
    expect(await ask({ httpGet: { port: 1, path: "/a?b" } })).toEqual({
      ok: false,
      message: 'Get "http://127.0.0.1:1/a?b": dial tcp 127.0.0.1:1: connect: connection refused',
    });
  });

  test("a header of theirs takes the place of ours, an empty one means none", async () => {
    let seen: Headers | undefined;
    const port = serve((request) => {
      seen = request.headers;
      return new Response("");
    });
    const send = (name: string, value: string) =>
      ask({ httpGet: { port, httpHeaders: [{ name, value }] } });
    await send("User-Agent", "mine");
    expect(seen?.get("user-agent")).toBe("mine");
    await send("Accept", "");
    expect(seen?.has("accept")).toBe(false);
    expect((await send("X-A", "1\r\nX-B: 2")).ok).toBe(false);
  });

  test("TLS is spoken without a look at the certificate", async () => {
    const port = serve(() => new Response(null, { status: 204 }), selfSigned());
    expect((await ask({ httpGet: { port, scheme: "HTTPS" } })).ok).toBe(true);
  });

  test.each([
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true],
    ["chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", true],
    ["a first head of hints", "HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 204\r\n\r\n", true],
    ["more than is looked at", `HTTP/1.1 200 OK\r\n\r\n${"x".repeat(11_000)}`, true],
    ["less than its length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", false],
    ["no HTTP", "SSH-2.0-x\r\n\r\n", false],
    ["an endless head", `HTTP/1.1 200 OK\r\nX: ${"x".repeat(70_000)}`, false],
  ])("of %s is read on a connection that stays open", async (_what, text, ok) => {
    expect((await ask({ httpGet: { port: speak(text, false) }, timeoutSeconds: 0.1 })).ok).toBe(ok);
  });

  test("without a length it ends with its connection", async () => {
    expect((await ask({ httpGet: { port: speak("HTTP/1.0 200 OK\r\n\r\nok", true) } })).ok).toBe(
      true,
    );
    expect((await ask({ httpGet: { port: speak("HTTP/1.0 200 O", true) } })).message).toEndWith(
      "EOF",
    );
  });

  test("redirects are followed on the same host only", async () => {
    const port = serve((request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/bad") return new Response("", { status: 500 });
      const location = pathname === "/same" ? "/bad" : "http://other.invalid/";
      return new Response("", { status: 302, headers: { location } });
    });
    expect((await ask({ httpGet: { port, path: "/same" } })).ok).toBe(false);
    expect((await ask({ httpGet: { port, path: "/other" } })).ok).toBe(true);
  });

  test("an answer that takes too long is none", async () => {
    const port = serve(() => new Promise<Response>(() => {}));
    const answer = await ask({ httpGet: { port }, timeoutSeconds: 0.05 });
    expect(answer.ok).toBe(false);
    expect(answer.message).toContain("deadline exceeded");
  });
});

test("TCP asks whether someone listens", async () => {
  const port = serve(() => new Response(""));
  expect((await ask({ tcpSocket: { port } })).ok).toBe(true);
  const refused = await ask({ tcpSocket: { port: 1 } });
  expect(refused.ok).toBe(false);
  expect(refused.message).toStartWith("dial tcp 127.0.0.1:1:");
});

test("a command tells by its exit code", async () => {
  expect(await ask({ exec: { command: ["true"] } })).toEqual({ ok: true, message: "ran true" });
  expect((await ask({ exec: { command: ["false"] } })).ok).toBe(false);
  expect((await ask({ exec: { command: ["slow"] }, timeoutSeconds: 2 })).message).toBe(
    "took more than 2000 ms",
  );
});

describe("gRPC", () => {
  /** Answers SERVING (1) or another status for the service that was asked for. */
  async function health(statuses: Record<string, number>): Promise<number> {
    const server = createServer();
    server.on("stream", (stream: ServerHttp2Stream) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const service = Buffer.concat(chunks).subarray(7).toString();
        const status = statuses[service];
        stream.respond(
          { ":status": 200, "content-type": "application/grpc" },
          { waitForTrailers: true },
        );
        stream.on("wantTrailers", () =>
          stream.sendTrailers({ "grpc-status": status === undefined ? "5" : "0" }),
        );
        stream.end(status === undefined ? "" : Buffer.from([0, 0, 0, 0, 2, 8, status]));
      });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    closes.push(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  test("asks a gRPC server for its health", async () => {
    const port = await health({ "": 1, sick: 2 });
    expect((await ask({ grpc: { port } })).ok).toBe(true);
    expect((await ask({ grpc: { port, service: "sick" } })).message).toBe(
      'service unhealthy (responded with "NOT_SERVING")',
    );
    expect((await ask({ grpc: { port, service: "none" } })).ok).toBe(false);
    expect((await ask({ grpc: { port: 1 } })).ok).toBe(false);
  });
});
