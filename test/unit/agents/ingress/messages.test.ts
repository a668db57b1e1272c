import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Body } from "#agents/ingress/body.ts";
import { requestText } from "#agents/ingress/forward.ts";
import { parseRequest, parseResponse } from "#agents/ingress/head.ts";
import { HeadError } from "#base/httphead.ts";

const get = (...lines: string[]) => ["GET /a?b HTTP/1.1", "Host: a.test", ...lines].join("\r\n");

function refused(run: () => unknown): number {
  try {
    run();
  } catch (error) {
    if (error instanceof HeadError) return error.status;
    throw error;
  }
  return 0;
}

describe("heads of requests", () => {
  test("what is of the connection, and where clients say they are from, is left out", () => {
    const head = parseRequest(
      get(
        "Accept: */*",
        "Connection: keep-alive, X-Mine",
        "X-Mine: 1",
        "Keep-Alive: 5",
        "TE: trailers",
        "X-Forwarded-For: 6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "X-Forwarded-User: admin",
        "X_Forwarded_For: 6.6.6.6",
        "Proxy-Authorization: Basic eA==",
      ),
    );
    expect(head.passed).toBe("Accept: */*\r\n");
    expect(requestText(head, { address: "1.2.3.4", isSecure: true, port: 443 })).toBe(
      "GET /a?b HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nX-Forwarded-For: 1.2.3.4\r\n" +
        "X-Forwarded-Host: a.test\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\n" +
        "X-Real-Ip: 1.2.3.4\r\n\r\n",
    );
  });
  test.each([
    ["a.test", "a.test"],
    ["A.Test:8080", "a.test"],
    ["a.test.", "a.test"],
    ["[::1]:80", "[::1]"],
    ["", ""],
  ])("host %s", (sent, expected) => {
    expect(parseRequest(`GET / HTTP/1.1\r\nHost: ${sent}`).host).toBe(expected);
  });
  test("an absolute target names the host", () => {
    const head = parseRequest("GET http://b.test?x HTTP/1.1\r\nhost: a.test");
    expect(head).toMatchObject({ host: "b.test", target: "/?x", authority: "b.test" });
  });
  test("keep-alive by version", () => {
    expect(parseRequest(get()).keepAlive).toBe(true);
    expect(parseRequest(get("Connection: Close")).keepAlive).toBe(false);
    expect(parseRequest("GET / HTTP/1.0").keepAlive).toBe(false);
    expect(parseRequest("GET / HTTP/1.0\r\nConnection: keep-alive").keepAlive).toBe(true);
  });
  test("upgrades, but not to HTTP/2", () => {
    expect(parseRequest(get("Connection: Upgrade", "Upgrade: websocket")).upgrade).toBe(
      "websocket",
    );
    expect(parseRequest(get("Upgrade: websocket")).upgrade).toBeUndefined();
    for (const name of ["h2c", "H2C", "HTTP/2.0", "TLS/1.0", "a b"]) {
      const head = parseRequest(get("Connection: upgrade", `Upgrade: ${name}`));
      expect(head.upgrade).toBeUndefined();
    }
    const both = parseRequest(get("Connection: upgrade", "Upgrade: h2c, websocket"));
    expect(both.upgrade).toBe("websocket");
  });
  test.each<[string, number]>([
    ["GET /", 400],
    ["GET / HTTP/2.0\r\nHost: a", 505],
    ["GET / HTTP/1.1", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nHost: a", 400],
    ["GET / HTTP/1.1\r\nHost: a/b", 400],
    ["GET / HTTP/1.1\r\nHost : a", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\n b: c", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nX: a\0", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400],
    ["GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked", 501],
    ["GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked", 501],
    ["GET / HTTP/1.0\r\nTransfer-Encoding: chunked", 400],
    ["CONNECT a:443 HTTP/1.1\r\nHost: a", 405],
    ["GET a HTTP/1.1\r\nHost: a", 400],
    ["G ET / HTTP/1.1\r\nHost: a", 400],
    [`GET /${"x".repeat(9000)} HTTP/1.1\r\nHost: a`, 414],
  ])("refused: %j", (text, status) => {
    expect(refused(() => parseRequest(text))).toBe(status);
  });
});

test("a head is written anew: nothing takes away what frames the message", () => {
  const origin = { address: "1.2.3.4", isSecure: false, port: 80 };
  const names = "Connection: host, content-length, expect, x-forwarded-for";
  const lines = [names, "content-length: 003", "Expect: 100-Continue"];
  const text = requestText(parseRequest(get(...lines)), origin);
  expect(text).toContain("\r\nHost: a.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n");
  expect(text).toContain("\r\nX-Forwarded-For: 1.2.3.4\r\n");
  const old = parseRequest("GET http://b.test/ HTTP/1.0\r\nExpect: 100-continue");
  expect(requestText(old, origin)).toStartWith(
    "GET / HTTP/1.0\r\nHost: b.test\r\nConnection: close\r\n",
  );
});

test("heads of answers", () => {
  const head = parseResponse(
    "HTTP/1.1 200 OK\r\nDate: x\r\nConnection: close\r\nContent-Length: 2",
  );
  expect(head).toEqual({
    status: 200,
    statusText: "200 OK",
    keepAlive: false,
    upgrade: undefined,
    passed: "Date: x\r\n",
    chunked: false,
    length: 2,
    hasServer: false,
    hasDate: true,
  });
  expect(refused(() => parseResponse("HTTP/2 200"))).toBe(502);
});

/** Takes the text in pieces of the given sizes; answers how much was the body's. */
function taken(body: Body, text: string, sizes: readonly number[]): number {
  let at = 0;
  let total = 0;
  for (let turn = 0; at < text.length && !body.done; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    total += body.take(Buffer.from(text.slice(at, at + size)));
    at += size;
  }
  return total;
}

describe("bodies", () => {
  test("any chunks, cut anywhere, end where they end", () => {
    const chunk = fc.string({ minLength: 1, maxLength: 40, unit: "grapheme-ascii" });
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(chunk), fc.boolean(), sizes, (chunks, hasTrailer, cuts) => {
        const parts = chunks.map((text) => `${text.length.toString(16)};x=1\r\n${text}\r\n`);
        const text = `${parts.join("")}0\r\n${hasTrailer ? "A: b\r\n" : ""}\r\n`;
        const body = new Body("chunked");
        return taken(body, `${text}GET / HTTP/1.1`, cuts) === text.length && body.done;
      }),
    );
  });
  test("extensions and framing trailers are left out, wherever the bytes are cut", () => {
    const whole = "3;a=b\r\nabc\r\n0;c\r\nHost: b\r\nX-Sum: 1\r\nTrailer: c\r\n\r\n";
    const rest = "GET / HTTP/1.1";
    for (let size = 1; size <= whole.length; size++) {
      const body = new Body("chunked");
      let passed = "";
      for (let at = 0; !body.done; at += size) {
        const chunk = Buffer.from((whole + rest).slice(at, at + size));
        passed += body.passed(chunk, body.take(chunk)).toString("latin1");
      }
      expect(passed).toBe("3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n");
    }
  });
  test("a length", () => {
    const body = new Body("length", 5);
    expect(body.take(Buffer.from("abc"))).toBe(3);
    expect(body.done).toBe(false);
    expect(body.take(Buffer.from("defg"))).toBe(2);
    expect(body.done).toBe(true);
  });
  test.each([
    "\r\n",
    "x\r\n",
    "5\nhello",
    "5\r\nhelloX",
    "-1\r\n",
    "1 \r\n",
    "fffffffff\r\n",
    "0\r\nA : b\r\n",
    "1;\0\r\n",
  ])("refused: %j", (text) => {
    expect(refused(() => new Body("chunked").take(Buffer.from(text)))).toBe(400);
  });
});
