/**
 * What probes ask of a container, in one process: HTTP on 8080, which wants a header and a host;
 * HTTPS on 8443 with a certificate of nobody; gRPC's health on 9090, "sick" while there is a file
 * /tmp/sick. Only of the runtime's own modules: it is run in a container.
 */
import { existsSync } from "node:fs";
import { createServer, type ServerHttp2Stream } from "node:http2";
import { connect } from "node:net";

const [key = "", cert = ""] = process.argv.slice(2);

Bun.serve({
  port: 8080,
  hostname: "0.0.0.0",
  fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/slow") return new Promise<Response>(() => {});
    const fits =
      request.headers.get("x-wanted") === "yes" && request.headers.get("host") === "of.test";
    return new Response("", { status: fits ? 200 : 400 });
  },
});

Bun.serve({
  port: 8443,
  hostname: "0.0.0.0",
  tls: { key: Bun.file(key), cert: Bun.file(cert) },
  fetch: () => new Response("over TLS"),
});

const SERVING = 1;
const NOT_SERVING = 2;

const grpc = createServer();
grpc.on("stream", (stream: ServerHttp2Stream) => {
  stream.resume();
  stream.on("end", () => {
    const status = existsSync("/tmp/sick") ? NOT_SERVING : SERVING;
    const head = { ":status": 200, "content-type": "application/grpc" };
    stream.respond(head, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]));
  });
});
grpc.listen(9090, "0.0.0.0", () => {
  // All of them answer now.
  connect(9090, "127.0.0.1").on("connect", () => console.log("serving"));
});
