/** Bodies and long connections: nothing is kept back, nothing is kept in memory. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { until } from "#test/component/controllers/plane.ts";
import { to } from "#test/support/ingress.ts";
import { curl, echo, serve, sockets } from "./backends.ts";
import { ADDRESS, type Endpoint, type Stage, startStage } from "./stage.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

let stage: Stage;
const servers: Array<{ close(): void }> = [];

beforeAll(async () => {
  stage = await startStage();
  await stage.service("web", []);
  await stage.ingress("web", { defaultBackend: to("web") });
  await stage.settled();
});

afterAll(async () => {
  await stage?.close();
  for (const server of servers) server.close();
});

async function behind<T extends Endpoint & { close(): void }>(server: T): Promise<T> {
  servers.push(server);
  await stage.service("web", [server]);
  await stage.settled();
  await until("the endpoint is in use", async () => (await fetch(stage.http)).status !== 503);
  return server;
}

/** What is written to the connection, and all that comes back until it is closed. */
function talk(...parts: string[]): Promise<string> {
  const socket = connect(Number(stage.agent.ports.http), "127.0.0.1");
  let text = "";
  socket.on("connect", () => {
    for (const part of parts) socket.write(part);
  });
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  return new Promise((resolve, reject) => {
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
  });
}

let nextLook: Timer | undefined;
afterEach(() => clearTimeout(nextLook));

/**
 * Highest resident memory of this process from now on, MiB over what it had. Garbage is taken away
 * before each look: the heap of the other tests decides how much may wait, not the Ingress. Most of
 * the time is the Ingress's, however long that takes.
 */
function watchMemory(): () => number {
  const rss = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  Bun.gc(true);
  const before = rss();
  let most = before;
  const look = () => {
    const began = performance.now();
    Bun.gc(true);
    most = Math.max(most, rss());
    nextLook = setTimeout(look, 100 + 9 * (performance.now() - began));
  };
  nextLook = setTimeout(look, 100);
  return () => {
    clearTimeout(nextLook);
    return (most - before) / 1024;
  };
}

const GROWTH_MIB_MAX = 300;

describe("1 GiB without buffering", () => {
  let child: Bun.Subprocess<"ignore", "pipe", "inherit">;

  beforeAll(async () => {
    child = Bun.spawn([process.execPath, `${import.meta.dir}/bigserver.ts`, ADDRESS], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
      timeout: 1_800_000,
    });
    const { value } = await child.stdout.getReader().read();
    await behind({ port: Number(new TextDecoder().decode(value)), close: () => child.kill() });
  });

  test("down, with a length and in chunks", async () => {
    const memory = watchMemory();
    for (const way of ["length", "chunked"]) {
      const url = `${stage.http}/${way}?bytes=${GIB}`;
      const argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{size_download}", "-m", "600", url];
      const curled = Bun.spawn(argv, { stdout: "pipe" });
      expect(await new Response(curled.stdout).text()).toBe(String(GIB));
    }
    expect(memory()).toBeLessThan(GROWTH_MIB_MAX);
  }, 1_200_000);

  test("up", async () => {
    const memory = watchMemory();
    const text = `head -c ${GIB} /dev/zero | curl -s -m 600 -T - ${stage.http}/up`;
    const curled = Bun.spawn(["sh", "-c", text], { stdout: "pipe" });
    expect(await new Response(curled.stdout).text()).toBe(`got ${GIB}`);
    expect(memory()).toBeLessThan(GROWTH_MIB_MAX);
  }, 1_200_000);

  test("a slow reader gets all of what a quick sender has done with", async () => {
    const url = `${stage.http}/length?bytes=${24 * MIB}`;
    const argv = ["curl", "-s", "--limit-rate", "20M", "-m", "110", url];
    const curled = Bun.spawn(argv, { stdout: "pipe" });
    const text = await new Response(curled.stdout).text();
    expect(text.length).toBe(24 * MIB);
  }, 360_000);

  test("a reader that is slow holds the sender up", async () => {
    const memory = watchMemory();
    const url = `${stage.http}/length?bytes=${GIB}`;
    const argv = ["curl", "-s", "-o", "/dev/null", "--limit-rate", "10M", "-m", "2", url];
    await Bun.spawn(argv).exited;
    expect(memory()).toBeLessThan(GROWTH_MIB_MAX);
  }, 360_000);
});

test("events arrive when they are sent", async () => {
  let send: (text: string) => void = () => {};
  await behind(
    await serve((request, response) => {
      if (request.url !== "/events") return response.end();
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      send = (text) => response.write(text);
      return undefined;
    }),
  );
  const answer = await fetch(`${stage.http}/events`);
  expect(answer.headers.get("content-type")).toBe("text/event-stream");
  const reader = answer.body?.getReader();
  for (const text of ["data: 1\n\n", "data: 2\n\n"]) {
    send(text);
    const { value } = (await reader?.read()) ?? {};
    expect(new TextDecoder().decode(value as Uint8Array)).toBe(text);
  }
  await reader?.cancel();
});

test("WebSockets, both ways, and their end", async () => {
  const closed = Promise.withResolvers<number>();
  const server = Bun.serve({
    hostname: ADDRESS,
    port: 0,
    fetch: (request, it) => (it.upgrade(request) ? undefined : new Response("plain")),
    websocket: {
      message: (socket, message) => {
        socket.send(message);
      },
      close: (_socket, code) => closed.resolve(code),
    },
  });
  await behind({ port: server.port ?? 0, close: () => void server.stop(true) });
  const socket = new WebSocket(`${stage.http.replace("http", "ws")}/socket`);
  const big = "x".repeat(5 * MIB);
  const got: string[] = [];
  const both = Promise.withResolvers<void>();
  socket.onopen = () => {
    socket.send("hello");
    socket.send(big);
  };
  socket.onmessage = ({ data }) => {
    got.push(data);
    if (got.length === 2) both.resolve();
  };
  await both.promise;
  expect(got[0]).toBe("hello");
  expect(got[1]).toBe(big);
  socket.close(4001);
  expect(await closed.promise).toBe(4001);
});

describe("messages", () => {
  beforeAll(async () => {
    await behind(
      await serve((request, response) => {
        const parts: Buffer[] = [];
        request.on("data", (part: Buffer) => parts.push(part));
        request.on("end", () => {
          response.end(`${request.method} ${request.url} ${Buffer.concat(parts).length}`);
        });
      }),
    );
  });

  test("one after the other on one connection, sent before the answers", async () => {
    const text = await talk(
      "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab",
      "cGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\nConn",
      "ection: close\r\n\r\n",
    );
    expect(text.match(/(POST|GET) \/\d \d/g)).toEqual(["POST /1 3", "GET /2 0", "GET /3 0"]);
  });
  test("chunks, however they are cut", async () => {
    const head = "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n";
    const body = "Connection: close\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
    expect(await talk(head, ...body)).toContain("POST /c 11");
  });
  test("HTTP/1.0", async () => {
    const text = await talk("GET /old HTTP/1.0\r\n\r\n");
    expect(text).toContain("GET /old 0");
    expect(text).toContain("Connection: close");
  });
  test("HEAD has no body", async () => {
    const text = await talk(
      "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    expect(text).toMatch(/^HTTP\/1\.1 200[\s\S]*\r\n\r\nHTTP\/1\.1 200[\s\S]*GET \/2 0/);
  });
  test("curl waits for 100 Continue before it sends 3 MB", async () => {
    const body = ["-H", "Expect: 100-continue", "--data-binary", "@-"];
    const child = Bun.spawn(["curl", "-s", "-m", "60", ...body, `${stage.http}/big`], {
      stdin: new Blob([new Uint8Array(3_000_000)]),
      stdout: "pipe",
    });
    expect(await new Response(child.stdout).text()).toBe("POST /big 3000000");
  });
  test("two lengths for one body are refused, and the connection is closed", async () => {
    const text = await talk(
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
      "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    expect(text).toStartWith("HTTP/1.1 400 Bad Request");
    expect(text.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });
  test("a head that is too large", async () => {
    const answer = await curl(stage.http, "-H", `X: ${"x".repeat(40_000)}`);
    expect(answer.status).toBe(431);
  });
});

describe("limits of one Ingress", () => {
  beforeAll(async () => {
    await behind(await echo("limited"));
    const annotations = { "ingress.bramble.dev/body-size-max": "1Ki" };
    await stage.ingress("web", { defaultBackend: to("web") }, annotations);
    await stage.settled();
    await until("the limit counts", async () => {
      const answer = await fetch(stage.http, { method: "POST", body: "x".repeat(2_000) });
      return answer.status === 413;
    });
  });
  test("a body over it, announced or not", async () => {
    const body = "x".repeat(1_025);
    expect((await curl(stage.http, "-d", body)).status).toBe(413);
    const chunked = await curl(stage.http, "-d", body, "-H", "Transfer-Encoding: chunked");
    expect(chunked.status).toBe(413);
    expect((await curl(stage.http, "-d", "x".repeat(1_024))).status).toBe(200);
  });
});

test("a backend that speaks something else", async () => {
  await behind(
    await sockets((socket) => {
      socket.once("data", () => socket.end("SSH-2.0-x\r\n\r\n"));
    }),
  );
  expect((await curl(stage.http)).status).toBe(502);
});
