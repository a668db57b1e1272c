import { afterEach, describe, expect, test } from "bun:test";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { createProber } from "#agents/kubelet/prober.ts";
import type { Runtime } from "#agents/runtime/runtime.ts";
import type { Probe } from "#resources/types.gen.ts";
import { box } from "#test/support/podstate.ts";

const closes: Array<() => void> = [];

afterEach(() => {
  for (const close of closes.splice(0)) close();
});

function serve(handler: (request: Request) => Response | Promise<Response>): number {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: handler });
  closes.push(() => void server.stop(true));
  return server.port ?? 0;
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
    expect(await ask({ httpGet: { port, path: "/x", httpHeaders } })).toEqual({
      ok: true,
      message: "body",
    });
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
    expect((await ask({ httpGet: { port: 1 } })).ok).toBe(false);
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
    expect(answer.message).toContain("timed out");
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
