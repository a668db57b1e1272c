/**
 * Request smuggling: whoever is behind the Ingress, and whoever serves the API, sees the requests
 * that the front end read, or none.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import fc from "fast-check";
import { bodyOf, requestText } from "#agents/ingress/forward.ts";
import { parseRequest } from "#agents/ingress/head.ts";
import { type Listener, listen } from "#api/listener.ts";
import { HeadError } from "#base/httphead.ts";
import { silentLog } from "#base/log.ts";
import { readings, requestsIn, wholeRequests } from "#test/support/httpreadings.ts";
import { type Front, startFront, talk } from "#test/support/ingressfront.ts";
import { OWN_ADDRESS } from "#test/support/ownaddress.ts";
import { answers } from "./corpus/answers.ts";
import { HIDDEN, NEXT, requests } from "./corpus/requests.ts";

let front: Front;
const closing: Array<() => unknown> = [];

beforeAll(async () => {
  front = await startFront();
});

afterAll(async () => {
  await front.close();
  for (const close of closing) close();
});

/** A backend that records bytes, and answers whole requests. */
async function recorder(): Promise<{ port: number; taken(): string }> {
  const connections: Array<{ text: string; answered: number }> = [];
  const server = createServer((socket: Socket) => {
    const own = { text: "", answered: 0 };
    connections.push(own);
    socket.on("data", (chunk: Buffer) => {
      own.text += chunk.toString("latin1");
      for (const whole = wholeRequests(own.text); own.answered < whole; own.answered++) {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      }
    });
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, OWN_ADDRESS, resolve));
  closing.push(() => server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    port,
    taken() {
      const all = connections.map(({ text }) => text).join("");
      for (const one of connections) Object.assign(one, { text: "", answered: 0 });
      return all;
    },
  };
}

const statusesOf = (answer: string): string[] => answer.match(/^HTTP\/1\.1 \d{3}/gm) ?? [];

describe("behind the Ingress, read in every way", () => {
  let backend: Awaited<ReturnType<typeof recorder>>;
  beforeAll(async () => {
    backend = await recorder();
    front.behind(backend.port);
  });
  test.each(requests.map((one) => [one.name, one] as const))("%s", async (_, { send, sees }) => {
    const answer = await talk(front.port, send + NEXT, 1_000);
    const bytes = backend.taken();
    for (const reading of readings) {
      const found = requestsIn(bytes, reading);
      expect({ reading, bytes, found }).toEqual({ reading, bytes, found: [...sees] });
    }
    if (sees.length === 0)
      expect(statusesOf(answer)).toEqual([expect.stringMatching(/ [45]\d\d$/)]);
  });
});

/** What an attacker puts between other bytes. */
const BITS = [
  ...[
    "\r",
    "\n",
    "\r\n",
    "\r\n\r\n",
    " ",
    "\t",
    "\0",
    ":",
    ";",
    ",",
    "_",
    "0",
    "5",
    "\x0b",
    "\xa0",
  ],
  ...["chunked", "HTTP/1.0", "0\r\n\r\n", "Host: x\r\n", "Transfer-Encoding: chunked\r\n"],
  ...["Content-Length: 3\r\n", "Connection: content-length, transfer-encoding\r\n", HIDDEN],
];

/** What the Ingress sends on, and the requests that it means by it. */
function passedOn(text: string): { bytes: string; meant: string[] } {
  const passed = { bytes: "", meant: [] as string[] };
  let rest: Buffer = Buffer.from(text, "latin1");
  try {
    for (let end = rest.indexOf("\r\n\r\n"); end >= 0; end = rest.indexOf("\r\n\r\n")) {
      const head = parseRequest(rest.toString("latin1", 0, end));
      const body = bodyOf(head);
      const behind = rest.subarray(end + 4);
      const taken = body.take(behind);
      if (!body.done) break;
      const sent = requestText(head, { address: "192.0.2.1", isSecure: false, port: 80 });
      passed.bytes += sent + body.passed(behind, taken).toString("latin1");
      passed.meant.push(`${head.method} ${head.target}`);
      rest = behind.subarray(taken);
    }
  } catch (error) {
    if (!(error instanceof HeadError)) throw error;
  }
  return passed;
}

test("property: whatever is put where, what is passed on is read in one way", () => {
  const edit = fc.record({ at: fc.nat(400), cut: fc.nat(3), bit: fc.constantFrom(...BITS) });
  const message = fc.constantFrom(...requests.map(({ send }) => send));
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 2 }), fc.array(edit), (all, edits) => {
      const text = edits.reduce(
        (before, { at, cut, bit }) => before.slice(0, at) + bit + before.slice(at + cut),
        all.join("") + NEXT,
      );
      const { bytes, meant } = passedOn(text);
      for (const reading of readings) {
        const found = requestsIn(bytes, reading).map((one) => one.split(" ", 2).join(" "));
        expect(found).toEqual(meant);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("what frames a request, and where it is from, is said once and by the Ingress", async () => {
  const backend = await recorder();
  front.behind(backend.port);
  const claims = [
    "X-Forwarded-For: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "X-Forwarded-Prefix: /6",
    "Forwarded: for=6.6.6.6",
    "X-Real_IP: 6.6.6.6",
    "Content_Length: 6",
    "Connection: host, content-length, x-forwarded-for, x-forwarded-proto, x-real-ip",
  ];
  const text = ["POST /a HTTP/1.1", "Host: a.test", "Content-Length: 1", ...claims].join("\r\n");
  await talk(front.port, `${text}\r\n\r\nx${NEXT}`);
  const [head = ""] = backend.taken().split("\r\n\r\n");
  expect(head.split("\r\n")).toEqual([
    "POST /a HTTP/1.1",
    "Host: a.test",
    "Content-Length: 1",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Host: a.test",
    `X-Forwarded-Port: ${front.port}`,
    "X-Forwarded-Proto: http",
    "X-Real-Ip: 127.0.0.1",
  ]);
});

/** A backend that answers `/a` with the text, and all else with its path. */
async function answering(text: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      const [, path = ""] = chunk.toString("latin1").split(" ");
      const other = `HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`;
      if (path !== "/a") socket.write(other);
      else if (/\r\nConnection: close\r\n/.test(text)) socket.end(text, "latin1");
      else socket.write(text, "latin1");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, OWN_ADDRESS, resolve));
  closing.push(() => server.close());
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

describe("answers of a backend", () => {
  test.each(answers.map((one) => [one.name, one] as const))("%s", async (_, one) => {
    front.behind(await answering(one.send));
    const { method = "GET" } = one;
    const first = `${method} /a HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`;
    const answer = await talk(front.port, first);
    const statuses = statusesOf(answer).filter((line) => !line.endsWith(" 103"));
    const [, interim = ""] = answer.match(/^(HTTP\/1\.1 103[\s\S]*?\r\n\r\n)/) ?? [];
    expect(interim).not.toMatch(/content-length/i);
    const rest = answer.slice(interim.length);
    const body = rest.slice(rest.indexOf("\r\n\r\n") + 4);
    const whole = /chunked/.test(rest) ? body.replace(/^2\r\n(ok)\r\n0\r\n\r\n$/, "$1") : body;
    const [status = ""] = one.gets.split(" ");
    expect(statuses).toEqual([`HTTP/1.1 ${status}`]);
    if (status !== "502") expect(`${status} ${whole}`).toBe(one.gets);
    expect(await talk(front.port, NEXT)).toEndWith("\r\n\r\n/next");
  });
});

describe("the API", () => {
  let listener: Listener;
  let seen: string[] = [];
  beforeAll(() => {
    listener = listen({
      fetch: async (request) => {
        const { pathname, search } = new URL(request.url);
        seen.push(`${request.method} ${pathname}${search} ${await request.text()}`);
        return new Response("ok");
      },
      hostname: "127.0.0.1",
      port: 0,
      log: silentLog,
    });
    closing.push(() => listener.stop());
  });
  test.each(requests.map((one) => [one.name, one] as const))("%s", async (_, one) => {
    seen = [];
    const answer = await talk(listener.port, one.send + NEXT, 1_000);
    // A Request of GET has no body.
    const sees = (one.api ?? one.sees).map((text) => text.replace(/^(GET \S+ )[\s\S]*/, "$1"));
    expect(seen).toEqual(sees);
    if (sees.length === 0)
      expect(statusesOf(answer)).toEqual([expect.stringMatching(/ [45]\d\d$/)]);
  });
});
