/**
 * The socket at which device plugins register. node:http2 takes some 5 MB, so a plain socket waits
 * here, and hands its bytes on to an HTTP/2 server that is made for the first plugin.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { createConnection, createServer } from "node:net";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

const SOCKET = "kubelet.sock";
const INNER = ".kubelet-http2.sock";
const REGISTER = "/v1beta1.Registration/Register";
/** Flag and length before each message of gRPC. */
const FRAME_BYTES = 5;
const OK = 0;
const INVALID = 3;
const UNIMPLEMENTED = 12;

export interface PluginSocketOptions {
  dir: string;
  log: Log;
  /** Throws an Error with what is wrong; the plugin is told. */
  register(message: Uint8Array): void;
}

function answer(stream: ServerHttp2Stream, code: number, message: string): void {
  const trailers = { "grpc-status": String(code), "grpc-message": encodeURIComponent(message) };
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(code === OK ? Buffer.alloc(FRAME_BYTES) : Buffer.alloc(0));
}

function serve(options: PluginSocketOptions, stream: ServerHttp2Stream, path: string): void {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("error", (error) => options.log.debug("a plugin left", { error: messageOf(error) }));
  stream.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > limits.pluginMessageBytesMax) stream.destroy();
    else chunks.push(chunk);
  });
  stream.on("end", () => {
    if (path !== REGISTER) return answer(stream, UNIMPLEMENTED, `no method ${path}`);
    try {
      options.register(new Uint8Array(Buffer.concat(chunks).subarray(FRAME_BYTES)));
      answer(stream, OK, "");
    } catch (error) {
      answer(stream, INVALID, messageOf(error));
    }
  });
}

/** Listens at a path of its own; answers how to end. */
async function innerServer(options: PluginSocketOptions): Promise<() => void> {
  const { createServer: createHttp2 } = await import("node:http2");
  const server = createHttp2();
  server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
    serve(options, stream, String(headers[":path"])),
  );
  await new Promise<void>((done, fail) => {
    server.once("error", fail);
    server.listen(`${options.dir}/${INNER}`, done);
  });
  return () => server.close();
}

/** Somebody answers at this socket. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}

/** Takes away what a kubelet of ours left; another's socket and what is beside it stay. */
export async function removePluginSocket(dir: string): Promise<void> {
  if (await isServed(`${dir}/${SOCKET}`)) return;
  for (const name of [SOCKET, INNER]) rmSync(`${dir}/${name}`, { force: true });
}

/**
 * As upstream the folder is emptied: plugins see that, and register anew. Another kubelet's is left
 * to it.
 */
export async function openPluginSocket(options: PluginSocketOptions): Promise<() => void> {
  const { dir, log } = options;
  if (await isServed(`${dir}/${SOCKET}`)) {
    log.warn("another kubelet serves device plugins here", { dir });
    return () => {};
  }
  mkdirSync(dir, { recursive: true, mode: 0o750 });
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (!entry.isDirectory()) rmSync(`${dir}/${entry.name}`, { force: true });
  }
  let inner: Promise<() => void> | undefined;
  const server = createServer({ allowHalfOpen: true }, (outside) => {
    outside.on("error", (error) => log.debug("a plugin left", { error: messageOf(error) }));
    inner ??= innerServer(options);
    inner.then(
      () => {
        const inside = createConnection({ path: `${dir}/${INNER}`, allowHalfOpen: true });
        inside.on("error", () => outside.destroy());
        outside.on("close", () => inside.destroy());
        outside.pipe(inside).pipe(outside);
      },
      (error: unknown) => {
        log.warn("device plugins cannot register", { error: messageOf(error) });
        outside.destroy();
      },
    );
  });
  server.on("error", (error) =>
    log.warn("no socket for device plugins", { dir, error: messageOf(error) }),
  );
  server.listen(`${dir}/${SOCKET}`);
  return () => {
    server.close();
    void inner?.then((end) => end());
    for (const name of [SOCKET, INNER]) rmSync(`${dir}/${name}`, { force: true });
  };
}
