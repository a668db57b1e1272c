import { describe, expect, test } from "bun:test";
import { HeadReader } from "#api/wire/head.ts";
import type { HeadError } from "#base/httphead.ts";

const read = (...lines: string[]) => new HeadReader().read(lines.join("\r\n"));
const HOST = "Host: api:6443";

function statusOf(...lines: string[]): number {
  try {
    read(...lines);
    return 200;
  } catch (error) {
    return (error as HeadError).status;
  }
}

describe("a head", () => {
  test("is method, target, host and headers", () => {
    const head = read("GET /api/v1/pods?limit=5 HTTP/1.1", HOST, "Accept:  application/json ");
    expect(head).toMatchObject({
      method: "GET",
      target: "/api/v1/pods?limit=5",
      host: "api:6443",
      headers: { host: "api:6443", accept: "application/json" },
      body: 0,
      keepAlive: true,
    });
  });

  test("joins what comes more than once", () => {
    const { headers } = read(
      "GET / HTTP/1.1",
      HOST,
      "Impersonate-Group: a",
      "impersonate-group: b",
    );
    expect(headers["impersonate-group"]).toBe("a, b");
  });

  test("takes whole URLs, as proxies send them", () => {
    expect(read("GET http://api:80/version?a=b HTTP/1.1", HOST).target).toBe("/version?a=b");
    expect(read("GET http://api HTTP/1.1", HOST).target).toBe("/");
  });

  test("has a record without inherited names", () => {
    expect(read("GET / HTTP/1.1", HOST, "constructor: a").headers["constructor"]).toBe("a");
  });

  test("names the host in a whole URL", () => {
    const heads = new HeadReader();
    expect(heads.read(`GET http://b/ HTTP/1.1\r\n${HOST}`).host).toBe("b");
    expect(heads.read(`GET / HTTP/1.1\r\n${HOST}`).host).toBe("api:6443");
  });

  test("says what of a body follows, and whether the connection lives on", () => {
    expect(read("PUT / HTTP/1.1", HOST, "Content-Length: 12").body).toBe(12);
    expect(read("PUT / HTTP/1.1", HOST, "Transfer-Encoding: chunked").body).toBe("chunked");
    expect(read("GET / HTTP/1.1", HOST, "Connection: close").keepAlive).toBe(false);
    expect(read("GET / HTTP/1.0").keepAlive).toBe(false);
    expect(read("GET / HTTP/1.0", "Connection: keep-alive").keepAlive).toBe(true);
  });

  test("is not mixed up with the one before on its connection", () => {
    const heads = new HeadReader();
    const first = heads.read(`PUT /a HTTP/1.1\r\n${HOST}\r\nContent-Length: 3`);
    const second = heads.read(`GET /b HTTP/1.1\r\n${HOST}`);
    const third = heads.read(`PUT /c HTTP/1.1\r\n${HOST}\r\nContent-Length: 4`);
    expect([first, second, third].map(({ target, body }) => [target, body])).toEqual([
      ["/a", 3],
      ["/b", 0],
      ["/c", 4],
    ]);
  });
});

describe("what two programs could read in two ways is refused", () => {
  test.each<[string, number, string[]]>([
    ["two lengths", 400, ["Content-Length: 1", "Content-Length: 2"]],
    ["a length and chunks", 400, ["Content-Length: 1", "Transfer-Encoding: chunked"]],
    ["a length that is no number", 400, ["Content-Length: +1"]],
    ["a list of lengths", 400, ["Content-Length: 1, 1"]],
    ["another coding", 501, ["Transfer-Encoding: gzip, chunked"]],
    ["a space before the colon", 400, ["Content-Length : 1"]],
    ["a line that goes on", 400, ["A: b", " c"]],
    ["a bare line feed", 400, ["A: b\nContent-Length: 1"]],
    ["a bare carriage return", 400, ["A: b\rc"]],
    ["a NUL", 400, ["A: b\0c"]],
    ["a space that only some trim", 400, ["Content-Length: 1\xa0"]],
    ["an unknown expectation", 417, ["Expect: y"]],
    ["more headers than anybody needs", 431, Array<string>(1_001).fill("A: b")],
    ["a header without a name", 400, [": b"]],
    ["two tokens", 400, ["Authorization: Bearer a", "Authorization: Bearer b"]],
    ["two hosts", 400, [HOST]],
  ])("%s", (_, status, lines) => {
    expect(statusOf("POST / HTTP/1.1", HOST, ...lines)).toBe(status);
  });

  test.each<[string, number]>([
    ["GET  / HTTP/1.1", 400],
    ["GET /a b HTTP/1.1", 400],
    ["GET /a", 400],
    ["get / HTTP/1.1", 400],
    ["GET relative HTTP/1.1", 400],
    ["GET /\u00e9 HTTP/1.1", 400],
    ["GET / HTTP/2.0", 505],
    ["CONNECT /a HTTP/1.1", 405],
    ["TRACE / HTTP/1.1", 405],
  ])("%s", (line, status) => {
    expect(statusOf(line, HOST)).toBe(status);
  });

  test("a host that is no host, or none", () => {
    expect(statusOf("GET / HTTP/1.1", "Host: a/b")).toBe(400);
    expect(statusOf("GET / HTTP/1.1", "Host: a@b")).toBe(400);
    expect(statusOf("GET / HTTP/1.1")).toBe(400);
  });
});
