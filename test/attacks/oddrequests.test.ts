/** Requests that no client would write, byte by byte on a socket: none is answered with a 5xx. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Listener, type ListenerOptions, listen } from "#api/listener.ts";
import { silentLog } from "#base/log.ts";
import { ADMIN_TOKEN, startApi, type TestApi } from "#test/support/api.ts";

const NS = "/api/v1/namespaces/default";

let api: TestApi;
let server: Listener;
beforeAll(async () => {
  api = await startApi();
  const options: ListenerOptions = {
    fetch: (request, env) => api.api.fetch(request, env),
    hostname: "127.0.0.1",
    port: 0,
    log: silentLog,
  };
  server = listen(options);
});
afterAll(async () => {
  await server.stop();
  await api.close();
});

/** What is answered to these bytes until the server closes, or has said its status. */
async function sent(text: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let got = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: {
      data: (_socket, bytes) => {
        got += new TextDecoder("latin1").decode(bytes);
        if (got.includes("\r\n\r\n")) resolve(got);
      },
      close: () => resolve(got),
      error: () => resolve(got),
    },
  });
  socket.write(Buffer.from(text, "latin1"));
  socket.flush();
  const answer = await promise;
  socket.end();
  return answer.slice(0, 12);
}

const AUTH = `Host: a\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n`;
test.each([
  ["a broken escape in the query", `GET ${NS}/pods?labelSelector=%zz&%=% HTTP/1.1\r\n${AUTH}\r\n`],
  ["a broken escape in the path", `GET ${NS}/pods/%zz HTTP/1.1\r\n${AUTH}\r\n`],
  ["raw bytes in the path", `GET ${NS}/pods/\xff\xfe HTTP/1.1\r\n${AUTH}\r\n`],
  ["raw bytes in the query", `GET ${NS}/pods?fieldSelector=\xff HTTP/1.1\r\n${AUTH}\r\n`],
  ["brackets in the path", `GET ${NS}/pods/[]{}|^\\ HTTP/1.1\r\n${AUTH}\r\n`],
  ["a path of two slashes", `GET //x//y HTTP/1.1\r\n${AUTH}\r\n`],
  ["an absolute target", `GET http://[/ HTTP/1.1\r\n${AUTH}\r\n`],
  ["an odd host", `GET /api HTTP/1.1\r\nHost: [::\r\n\r\n`],
  ["a fragment", `GET /api#%zz HTTP/1.1\r\n${AUTH}\r\n`],
  [
    "two types of a body",
    `POST ${NS}/pods HTTP/1.1\r\n${AUTH}Content-Type: a\r\nContent-Type: b\r\nContent-Length: 2\r\n\r\n{}`,
  ],
  ["an empty header", `GET ${NS}/pods HTTP/1.1\r\n${AUTH}Accept:\r\nAccept:\r\n\r\n`],
  ["raw bytes in a header", `GET ${NS}/pods HTTP/1.1\r\n${AUTH}Accept: \xff\r\nX: \xfe\r\n\r\n`],
  ["an unknown method", `__PROTO__ ${NS}/pods HTTP/1.1\r\n${AUTH}\r\n`],
  ["the method CONNECT", `CONNECT a:1 HTTP/1.1\r\n${AUTH}\r\n`],
  ["the method TRACE", `TRACE /api HTTP/1.1\r\n${AUTH}\r\n`],
  ["a huge length", `POST ${NS}/pods HTTP/1.1\r\n${AUTH}Content-Length: 99999999999999999\r\n\r\n`],
  [
    "a broken escape in a header that impersonates",
    `GET /api HTTP/1.1\r\n${AUTH}Impersonate-User: a\r\nImpersonate-Extra-%zz: b\r\n\r\n`,
  ],
  ["a body with a GET", `GET ${NS}/pods HTTP/1.1\r\n${AUTH}Content-Length: 4\r\n\r\nnull`],
  [
    "gzip that is none",
    `POST ${NS}/pods HTTP/1.1\r\n${AUTH}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}`,
  ],
])("%s", async (_, text) => {
  expect(await sent(text)).toMatch(/^HTTP\/1\.[01] [234]\d\d/);
});
