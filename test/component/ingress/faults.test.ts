/** Endpoints that fail, settings that change, an end in the middle: no request is lost by it. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { limits } from "#base/limits.ts";
import { until } from "#test/component/controllers/plane.ts";
import { rule, to } from "#test/support/ingress.ts";
import { curl, echo, overloaded, type Server, serve, silentAfter, sockets } from "./backends.ts";
import { ADDRESS, certificateFor, type Stage, startStage } from "./stage.ts";

let stage: Stage;
let servers: Server[] = [];
const dir = mkdtempSync(join(tmpdir(), "bramble-ingress-"));

beforeAll(async () => {
  stage = await startStage({ accessLog: join(dir, "access.log") });
  await stage.service("web", []);
  await stage.ingress("web", { rules: [rule(undefined, { "prefix /": "web" })] });
  await stage.settled();
});

afterEach(() => {
  for (const server of servers) server.close();
  servers = [];
});

afterAll(async () => {
  await stage?.close();
  rmSync(dir, { recursive: true });
});

/** A port where nobody listens. */
async function nobody(): Promise<Server> {
  const server = await sockets(() => {});
  server.close();
  return server;
}

function isBehind({ agent }: Stage, all: readonly Server[]): boolean {
  const text = agent.metrics();
  const seen = [...text.matchAll(/endpoint_requests\{endpoint="[^"]*:(\d+)"/g)];
  const ports = seen.map(([, port]) => Number(port));
  return ports.length === all.length && all.every(({ port }) => ports.includes(port));
}

async function behind(...all: Server[]): Promise<void> {
  servers.push(...all);
  await stage.service("web", all);
  await until("the endpoints are in use", () => isBehind(stage, all));
}

const get = async (path = "/", init: RequestInit = {}): Promise<[number, string]> => {
  const answer = await fetch(`${stage.http}${path}`, init);
  return [answer.status, await answer.text()];
};

/** The access log's line of the request with this target. */
async function logged(target: string): Promise<{ target: string; problem?: string }> {
  const log = join(dir, "access.log");
  return until("the line", () => {
    const lines = existsSync(log) ? readFileSync(log, "utf8").split("\n").filter(Boolean) : [];
    return lines.map((line) => JSON.parse(line)).find((line) => line.target === target);
  });
}

test("without endpoints: 503; without an Ingress for it: 404", async () => {
  await behind();
  expect(await get()).toEqual([503, "no endpoint is ready\n"]);
});

describe("another endpoint is tried", () => {
  test("where one takes no connection, for every method", async () => {
    await behind(await nobody(), await echo("good"));
    for (let at = 0; at < 20; at++) {
      const method = at % 2 ? "POST" : "GET";
      const body = at % 2 ? { body: "x" } : {};
      expect((await get("/", { method, ...body }))[0]).toBe(200);
    }
  });
  test("where one ends before an answer, for what may be sent twice", async () => {
    let asked = 0;
    const bad = await sockets((socket) =>
      socket.once("data", () => {
        asked++;
        socket.destroy();
      }),
    );
    await behind(bad, await echo("good"));
    for (let at = 0; at < 10; at++) {
      const [status] = await get("/", { method: "PUT", body: "x".repeat(20_000) });
      expect(status).toBe(200);
    }
    expect(asked).toBeGreaterThan(2);
  });
  test("but what may not be sent twice is not", async () => {
    let asked = 0;
    const bad = () =>
      sockets((socket) =>
        socket.once("data", () => {
          asked++;
          socket.destroy();
        }),
      );
    await behind(await bad(), await bad());
    expect((await get("/", { method: "POST", body: "x" }))[0]).toBe(502);
    expect(asked).toBe(1);
  });
  test("where many take no connection: nothing was sent to them", async () => {
    const none = await Promise.all(Array.from({ length: 6 }, () => nobody()));
    await behind(...none, await echo("good"));
    for (let at = 0; at < 10; at++) {
      expect((await get("/", { method: "POST", body: "x" }))[0]).toBe(200);
    }
  });
  test("none is left: the log says what became of each", async () => {
    const none = [await nobody(), await nobody()];
    await behind(...none);
    expect(await get("/none-left")).toEqual([502, "no endpoint answers\n"]);
    const { problem } = await logged("/none-left");
    for (const { port } of none) {
      expect(problem).toContain(`${ADDRESS}:${port} took no connection: ECONNREFUSED`);
    }
  });
});

describe("an endpoint that drops first packets", () => {
  test("is left for another one soon, each time", async () => {
    await behind(await overloaded(), await overloaded(), await echo("good"));
    const began = performance.now();
    expect((await get())[0]).toBe(200);
    // Two that do not answer, and the rest of a loaded machine: less than waiting for one of them.
    expect(performance.now() - began).toBeLessThan(limits.ingressReachMsMax / 2);
  });
  test("is asked again where there is no other", async () => {
    const server = await overloaded();
    await behind(server);
    const asked = get();
    // The kernel's next packets come after 1 and 3 s.
    await Bun.sleep(2 * limits.ingressConnectMsMax);
    server.begin();
    expect(await asked).toEqual([200, "late"]);
  });
  test("is asked again where all others drop them, too", async () => {
    const all = [await overloaded(), await overloaded(), await overloaded(), await overloaded()];
    await behind(...all);
    const asked = get();
    await Bun.sleep((all.length + 1) * limits.ingressConnectMsMax);
    all[0]?.begin();
    expect(await asked).toEqual([200, "late"]);
  });
});

describe("an endpoint that is gone and never said so", () => {
  /** Takes requests, and answers when it is told to. */
  async function silent() {
    const waiting: Socket[] = [];
    const server = await sockets((socket) => socket.once("data", () => waiting.push(socket)));
    const answer = () => {
      for (const each of waiting) each.end("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nlate");
    };
    return { ...server, asked: () => waiting.length, answer };
  }

  test("is waited for while it is on its way out, and then left for another", async () => {
    const [old, next] = [await silent(), await echo("next")];
    await behind(old);
    const asked = [get(), get("/", { method: "PUT", body: "x".repeat(20_000) })];
    await until("both have asked", () => old.asked() === 2);
    servers.push(next);
    await stage.service("web", [{ port: old.port, isEnding: true }, next]);
    await stage.settled();
    expect(await get()).toEqual([200, expect.stringContaining("next")]);
    const first = await Promise.race([...asked, Bun.sleep(100).then(() => "waits")]);
    expect(first).toBe("waits");
    await stage.service("web", [next]);
    for (const [status, text] of await Promise.all(asked)) {
      expect([status, text]).toEqual([200, expect.stringContaining("next")]);
    }
  });

  test("is waited for by what may not be sent twice, and where there is no other", async () => {
    const [old, next] = [await silent(), await echo("next")];
    await behind(old);
    const posted = get("/", { method: "POST", body: "x" });
    await until("it is asked", () => old.asked() === 1);
    await behind(next);
    const lone = await silent();
    await behind(lone);
    const asked = get();
    await until("the other is asked", () => lone.asked() === 1);
    await behind();
    expect((await get())[0]).toBe(503);
    old.answer();
    lone.answer();
    expect(await Promise.all([posted, asked])).toEqual([
      [200, "late"],
      [200, "late"],
    ]);
  });
});

describe("an endpoint that takes a request and says nothing", () => {
  test("is left for another where its machine is silent, for what may be sent twice", async () => {
    const [dead, next] = [await silentAfter(3), await echo("next")];
    await behind(dead);
    const asked = [get(), get("/", { method: "PUT", body: "x".repeat(20_000) })];
    const posted = get("/", { method: "POST", body: "x" });
    await dead.silent;
    await behind(dead, next);
    for (const [status, text] of await Promise.all(asked)) {
      expect([status, text]).toEqual([200, expect.stringContaining("next")]);
    }
    dead.answer();
    expect(await posted).toEqual([200, "late"]);
  });

  test("is waited for where its machine takes connections", async () => {
    const waiting: Socket[] = [];
    let connections = 0;
    const slow = await sockets((socket) => {
      connections++;
      socket.once("data", () => waiting.push(socket));
    });
    await behind(slow);
    const asked = get();
    await until("it is asked", () => waiting.length === 1);
    await behind(slow, await echo("next"));
    await until("it is looked at", () => connections === 2);
    for (const each of waiting) each.end("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nlate");
    expect(await asked).toEqual([200, "late"]);
    expect(waiting.length).toBe(1);
  });
});

test("a connection that the endpoint closed meanwhile costs nobody anything", async () => {
  const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  // Says nothing of closing, and closes after each answer.
  const server = await sockets((socket) =>
    socket.on("data", () => {
      socket.write(OK);
      setTimeout(() => socket.destroy(), 1);
    }),
  );
  await behind(server);
  for (let at = 0; at < 60; at++) {
    expect((await get())[0]).toBe(200);
    await Bun.sleep(at % 3);
  }
});

test("an answer that breaks off is not taken for a whole one", async () => {
  const server = await sockets((socket) =>
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart");
      setTimeout(() => socket.destroy(), 20);
    }),
  );
  await behind(server);
  const child = Bun.spawn(["curl", "-s", "-m", "60", stage.http], { stdout: "pipe" });
  expect(await new Response(child.stdout).text()).toBe("part");
  // 18: fewer bytes than announced; 56: reset.
  expect([18, 56]).toContain(await child.exited);
});

test("the endpoint with the fewest requests under way is chosen", async () => {
  const held: Array<() => void> = [];
  const slow = await serve((_, response) => held.push(() => response.end("slow")));
  await behind(slow, await echo("quick"));
  const first = Array.from({ length: 2 }, () => get());
  await until("one is held", () => held.length > 0);
  for (let at = 0; at < 20; at++) {
    expect((await get())[1]).toContain('"service":"quick"');
  }
  for (const release of held) release();
  expect((await Promise.all(first)).map(([status]) => status)).toEqual([200, 200]);
});

test("session affinity: one client stays at one endpoint", async () => {
  const all = await Promise.all(["a", "b", "c"].map((name) => echo(name)));
  await stage.service("web", all, { sessionAffinity: "ClientIP" });
  await behind(...all);
  await until("the affinity counts", async () => {
    const seen = new Set<string>();
    for (let at = 0; at < 9; at++) seen.add(JSON.parse((await get())[1]).service);
    return seen.size === 1;
  });
  await stage.service("web", all, { sessionAffinity: "None" });
});

test("a client that goes away is not worked for", async () => {
  const gone = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const server = await serve((_, response) => {
    response.on("close", () => gone.resolve());
    asked.resolve();
  });
  await behind(server);
  const stop = new AbortController();
  const answer = fetch(stage.http, { signal: stop.signal }).catch(() => "aborted");
  await asked.promise;
  stop.abort();
  await gone.promise;
  expect(await answer).toBe("aborted");
  await until("it is counted", () =>
    / 0$/m.test(stage.agent.metrics().match(/^.*endpoint_requests\{.*$/m)?.[0] ?? ""),
  );
});

test("endpoints come and go under load: no request is lost", async () => {
  const hold = (name: string) =>
    serve((_, response) => setTimeout(() => response.end(name), Math.random() * 5));
  let current = await Promise.all([hold("a0"), hold("b0")]);
  await behind(...current);
  let isOver = false;
  const wrong: unknown[] = [];
  let count = 0;
  const client = async (close: boolean): Promise<void> => {
    while (!isOver) {
      try {
        const [status] = await get("/", close ? { headers: { connection: "close" } } : {});
        count++;
        if (status !== 200) wrong.push(status);
      } catch (error) {
        wrong.push(error);
      }
    }
  };
  const clients = Array.from({ length: 8 }, (_, at) => client(at % 2 === 0));
  for (let round = 1; round <= 15 || count <= 300; round++) {
    const next = await Promise.all([hold(`a${round}`), hold(`b${round}`)]);
    const old = current;
    current = next;
    await behind(...next);
    // As a kubelet does: the pod is told to end when no new request reaches it.
    await until("the old ones are idle", () => old.every(({ active }) => active() === 0));
    for (const server of old) server.close();
  }
  isOver = true;
  await Promise.all(clients);
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(300);
}, 360_000);

describe("certificates", () => {
  /** Common name of the certificate that a client with this server name gets. */
  const subject = (servername: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const port = Number(stage.agent.ports.https);
      const socket = connectTls({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
      socket.on("secureConnect", () => {
        resolve(
          `${socket.getPeerCertificate().subject.CN} ${socket.getPeerCertificate().serialNumber}`,
        );
        socket.destroy();
      });
      socket.on("error", reject);
    });

  test("by server name; a changed Secret is in the next handshake, not a broken one", async () => {
    const [a, b, wild] = await Promise.all(
      ["a.tls.test", "b.tls.test", "*.wild.test"].map((name) => certificateFor(name)),
    );
    if (!a || !b || !wild) throw new Error("no certificates");
    await Promise.all([stage.secret("a", a), stage.secret("b", b), stage.secret("wild", wild)]);
    const tls = ["a", "b"].map((name) => ({ hosts: [`${name}.tls.test`], secretName: name }));
    await stage.ingress("tls", {
      rules: ["a.tls.test", "b.tls.test", "*.wild.test"].map((h) => rule(h, { "prefix /": "web" })),
      tls: [...tls, { hosts: ["*.wild.test"], secretName: "wild" }],
    });
    await until("the first one", async () => (await subject("a.tls.test")).startsWith("a.tls"));
    expect(await subject("B.tls.test")).toStartWith("b.tls.test");
    expect(await subject("x.wild.test")).toStartWith("*.wild.test");
    expect(await subject("y.x.wild.test")).toStartWith("bramble Ingress default");
    const before = await subject("a.tls.test");
    await stage.secret("a", await certificateFor("a.tls.test"));
    await until("the new one", async () => (await subject("a.tls.test")) !== before);
    const after = await subject("a.tls.test");
    await stage.secret("a", { cert: "junk", key: "junk" });
    await until("it is told", () => stage.lines.some((line) => line.includes("default/a")));
    expect(await subject("a.tls.test")).toBe(after);
  });

  test("plain HTTP is sent on, with method and path, unless that is turned off", async () => {
    const { http, https } = stage.agent.ports;
    const answer = await curl(`http://a.tls.test:${http}/x?y`, "-X", "POST");
    expect(answer.status).toBe(308);
    expect(answer.headers).toContain("location: https://a.tls.test");
    expect(answer.headers).toContain("/x?y");
    expect(https).toBeGreaterThan(0);
    await behind(await echo("web"));
    const off = { "ingress.bramble.dev/ssl-redirect": "false" };
    await stage.ingress("tls", { rules: [rule("a.tls.test", { "prefix /": "web" })] }, off);
    await until("it is off", async () => {
      return (await curl(`http://a.tls.test:${http}/`)).status === 200;
    });
  });
});

test("where clients come from is what we saw, not what they say", async () => {
  await behind(await echo("web"));
  const spoofed = ["-H", "X-Forwarded-For: 6.6.6.6", "-H", "X-Real-IP: 6.6.6.6"];
  const { headers } = (await curl(`http://who.test:${stage.agent.ports.http}/`, ...spoofed)).json;
  const port = String(stage.agent.ports.http);
  expect(headers["x-forwarded-for"]).toBe("127.0.0.1");
  expect(headers["x-real-ip"]).toBe("127.0.0.1");
  expect(headers["x-forwarded-host"]).toBe(`who.test:${port}`);
  expect(headers["x-forwarded-port"]).toBe(port);
  expect(headers["x-forwarded-proto"]).toBe("http");
});

test("access log and metrics", async () => {
  await behind(await echo("web"));
  await get("/logged?a=b", { method: "POST", body: "12345" });
  expect(await logged("/logged?a=b")).toMatchObject({
    client: "127.0.0.1",
    scheme: "http",
    method: "POST",
    target: "/logged?a=b",
    status: 200,
    requestBytes: 5,
    ingress: "default/web",
    backend: "default/web:8080",
    attempts: 1,
  });
  const text = stage.agent.metrics();
  expect(text).toMatch(
    /^bramble_ingress_requests_total\{ingress="default\/web",code="2xx"\} \d+$/m,
  );
  expect(text).toMatch(/_duration_seconds_bucket\{ingress="default\/web",le="\+Inf"\} \d+$/m);
  expect(text).toMatch(/^bramble_ingress_retries_total [1-9]\d*$/m);
});

test("a port that is taken is told, and does not keep the other one from serving", async () => {
  const other = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } });
  const second = await startStage({ httpPort: other.port });
  try {
    await second.ingress("web", { defaultBackend: to("web") });
    await until("it is told", () => second.lines.some((line) => line.includes("is taken")));
    await until("the other port", () => second.agent.ports.https);
    expect(second.agent.ports.http).toBeUndefined();
    expect(second.lines.join()).toContain("--http-port");
  } finally {
    await second.close();
    other.stop(true);
  }
});

test("it listens only while there is an Ingress, and the node says so", async () => {
  const second = await startStage();
  try {
    await second.settled();
    expect(second.agent.ports).toEqual({ http: undefined, https: undefined });
    await second.ingress("web", { defaultBackend: to("web") });
    expect(await second.address("web")).toEqual([ADDRESS]);
    const { body } = await second.test.call("GET", "/api/v1/nodes/n1");
    const { http, https } = second.agent.ports;
    expect(body.metadata.annotations["bramble.dev/ingress-ports"]).toBe(`${http},${https}`);
    const path = "/apis/networking.k8s.io/v1/namespaces/default/ingresses/web";
    await second.test.call("DELETE", path);
    await until("it is closed", () => second.agent.ports.http === undefined);
  } finally {
    await second.close();
  }
});

test("a pod may end once its requests are answered", async () => {
  const release = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const slow = await serve((_, response) => {
    asked.resolve();
    void release.promise.then(() => response.end("done"));
  });
  await behind(slow);
  const answer = get();
  await asked.promise;
  let mayEnd = false;
  const drained = stage.agent.drained(`pod-${slow.port}`).then(() => {
    mayEnd = true;
  });
  await stage.settled();
  expect(mayEnd).toBe(false);
  release.resolve();
  expect(await answer).toEqual([200, "done"]);
  await drained;
  // One that nobody asks anything may end at once.
  await stage.agent.drained("unknown");
});

test("at its end it lets requests finish, and takes no new ones", async () => {
  const second = await startStage();
  const release = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const slow = await serve((_, response) => {
    asked.resolve();
    void release.promise.then(() => response.end("done"));
  });
  servers.push(slow);
  await second.service("web", [slow]);
  await second.ingress("web", { defaultBackend: to("web") });
  await until("it listens", () => second.agent.ports.http);
  const url = second.http;
  await until("the endpoint is in use", () => isBehind(second, [slow]));
  const answer = fetch(url);
  await asked.promise;
  const closed = second.close();
  await expect(fetch(url)).rejects.toThrow();
  release.resolve();
  expect(await (await answer).text()).toBe("done");
  expect((await answer).headers.get("connection")).toBe("close");
  await closed;
});
