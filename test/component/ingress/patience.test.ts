/** How long the Ingress waits for whom: its clock goes on by itself or by a leap of the test. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { realClock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import { until } from "#test/component/controllers/plane.ts";
import { to } from "#test/support/ingress.ts";
import { echo, type Server, serve } from "./backends.ts";
import { type Stage, startStage } from "./stage.ts";

let leaptMs = 0;
const clock = { ...realClock, monotonic: () => realClock.monotonic() + leaptMs };
const ASKED = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
/** Of the machine, between a leap and what it must not change. */
const LEEWAY_MS = 10_000;

let stage: Stage;
let servers: Server[] = [];
const clients: Client[] = [];

class Client {
  text = "";
  isClosed = false;
  readonly #socket: Socket;

  constructor() {
    this.#socket = connect(Number(stage.agent.ports.http), "127.0.0.1");
    this.#socket.on("data", (chunk) => {
      this.text += chunk.toString("latin1");
    });
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => {
      this.isClosed = true;
    });
    clients.push(this);
  }

  write(text: string): void {
    this.#socket.write(text);
  }

  end(): void {
    this.#socket.destroy();
  }
}

beforeAll(async () => {
  stage = await startStage({ clock });
  await stage.service("web", []);
  await stage.ingress("web", { defaultBackend: to("web") });
  await stage.settled();
});

afterEach(() => {
  for (const client of clients.splice(0)) client.end();
  for (const server of servers) server.close();
  servers = [];
});

afterAll(async () => {
  await stage?.close();
});

async function behind(server: Server): Promise<void> {
  servers.push(server);
  await stage.service("web", [server]);
  const inUse = new RegExp(`endpoint_requests\\{endpoint="[^"]*:${server.port}"`);
  await until("the endpoint is in use", () => inUse.test(stage.agent.metrics()));
}

/** A look of the Ingress at its connections goes by, and some. */
async function looks(): Promise<void> {
  await Bun.sleep(1.5 * limits.ingressSweepMs);
}

test("a client that begins a request and does not end it is told and let go", async () => {
  await behind(await echo("web"));
  const slow = new Client();
  slow.write("GET / HTTP/1.1\r\nHost: a\r\n");
  // It is sent in order, and answered after: the Ingress has seen the first.
  const quick = new Client();
  quick.write(ASKED);
  await until("the other one is answered", () => quick.text.includes("200 OK"));
  leaptMs += limits.ingressHeadMsMax - LEEWAY_MS;
  await looks();
  expect([slow.text, slow.isClosed]).toEqual(["", false]);
  leaptMs += LEEWAY_MS;
  await until("it is told", () => slow.text.startsWith("HTTP/1.1 408 "));
  leaptMs += limits.ingressLingerMsMax;
  await until("it is let go", () => slow.isClosed);
  expect(quick.isClosed).toBe(false);
});

test("a connection at rest is kept for a while, and closed without a word", async () => {
  await behind(await echo("web"));
  const client = new Client();
  client.write(ASKED);
  await until("it is answered", () => client.text.includes("200 OK"));
  const answer = client.text;
  leaptMs += limits.ingressIdleMsMax - LEEWAY_MS;
  await looks();
  expect(client.isClosed).toBe(false);
  leaptMs += LEEWAY_MS;
  await until("it is closed", () => client.isClosed);
  expect(client.text).toBe(answer);
});

test("an endpoint that takes a request and says nothing is waited for, and given up", async () => {
  let asked = 0;
  await behind(await serve(() => void asked++));
  const client = new Client();
  client.write(ASKED);
  await until("it is asked", () => asked > 0);
  leaptMs += limits.ingressAnswerMsMax - LEEWAY_MS;
  await looks();
  expect([client.text, client.isClosed]).toEqual(["", false]);
  leaptMs += LEEWAY_MS;
  await until("the client is told", () => client.text.startsWith("HTTP/1.1 504 "));
  // What it does with a request that it took is not known: nobody else is asked.
  expect(asked).toBe(1);
});
