/** The small HTTP/2 client against a peer that plays by a script, frame by frame. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Socket } from "bun";
import { decodeHeaders, encodeHeaders } from "#base/hpack.ts";
import { Http2Connection } from "#base/http2.ts";
import { eventually } from "#test/support/runtime.ts";

interface Frame {
  type: number;
  flags: number;
  id: number;
  payload: Buffer;
}

const [DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION] = [0, 1, 3, 4, 6, 7, 8, 9];
const PREFACE_LENGTH = 24;

function encode({ type, flags, id, payload }: Frame): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

class Peer {
  readonly frames: Frame[] = [];
  readonly #server: ReturnType<typeof Bun.listen>;
  #socket: Pick<Socket, "write" | "end"> | undefined;
  #in = Buffer.alloc(0);
  #preface = true;

  constructor(path: string) {
    this.#server = Bun.listen({
      unix: path,
      socket: {
        open: (socket) => {
          this.#socket = socket;
        },
        data: (_, bytes) => this.#read(bytes),
      },
    });
  }

  #read(bytes: Uint8Array): void {
    this.#in = Buffer.concat([this.#in, bytes]);
    if (this.#preface && this.#in.length >= PREFACE_LENGTH) {
      expect(this.#in.toString("latin1", 0, 14)).toBe("PRI * HTTP/2.0");
      this.#in = this.#in.subarray(PREFACE_LENGTH);
      this.#preface = false;
    }
    while (!this.#preface && this.#in.length >= 9) {
      const end = 9 + this.#in.readUIntBE(0, 3);
      if (this.#in.length < end) return;
      const [type = 0, flags = 0] = this.#in.subarray(3, 5);
      const payload = Buffer.from(this.#in.subarray(9, end));
      this.frames.push({ type, flags, id: this.#in.readUInt32BE(5), payload });
      this.#in = this.#in.subarray(end);
    }
  }

  of(type: number | undefined, id?: number): Frame[] {
    return this.frames.filter((each) => each.type === type && (id === undefined || each.id === id));
  }

  /** Bytes of the bodies that came. */
  body(id: number): Buffer {
    return Buffer.concat(this.of(DATA, id).map((each) => each.payload));
  }

  raw(bytes: Uint8Array): void {
    this.#socket?.write(bytes);
  }

  send(type: number | undefined, flags: number, id: number, payload: Uint8Array): void {
    this.raw(encode({ type: type ?? 0, flags, id, payload: Buffer.from(payload) }));
  }

  number(type: number | undefined, id: number, value: number): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(value);
    this.send(type, 0, id, payload);
  }

  close(): void {
    this.#socket?.end();
    this.#server.stop(true);
  }
}

interface Heard {
  headers: Record<string, string>;
  body: string;
  ended: boolean;
  error: string | undefined;
  cancel: () => void;
}

let dir: string;
let peer: Peer;
let connection: Http2Connection;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "bramble-http2-"));
  peer = new Peer(`${dir}/socket`);
  connection = new Http2Connection({ unix: `${dir}/socket` }, 30_000);
});
afterEach(async () => {
  connection.close();
  peer.close();
  await rm(dir, { recursive: true });
});

function request(body: Uint8Array = new Uint8Array()): Heard {
  const heard: Heard = { headers: {}, body: "", ended: false, error: undefined, cancel: () => {} };
  const { cancel } = connection.request({ ":path": "/x", te: "trailers" }, body, {
    onHeaders: (more) => void Object.assign(heard.headers, more),
    onData: (bytes) => {
      heard.body += Buffer.from(bytes).toString();
    },
    onEnd: (error) => {
      expect(heard.ended).toBe(false);
      heard.ended = true;
      heard.error = error?.message;
    },
  });
  heard.cancel = cancel;
  return heard;
}

const until = (what: string, look: () => boolean) => eventually(what, () => look() || undefined);

test("a request and its answer, whatever pieces it comes in", async () => {
  const heard = request(Buffer.from("body"));
  await until("the request", () => peer.body(1).toString() === "body");
  expect(decodeHeaders(peer.of(HEADERS, 1)[0]?.payload ?? Buffer.of())).toEqual({
    ":path": "/x",
    te: "trailers",
  });
  expect(peer.of(DATA, 1).at(-1)?.flags).toBe(1);
  const first = encodeHeaders({ ":status": "200", "x-long": "y".repeat(300) });
  const trailers = encodeHeaders({ "grpc-status": "0" });
  const part = (type: number | undefined, flags: number, payload: Uint8Array) =>
    encode({ type: type ?? 0, flags, id: 1, payload: Buffer.from(payload) });
  const padded = Buffer.concat([Buffer.of(3), Buffer.from("lo"), Buffer.alloc(3)]);
  const prioritised = Buffer.concat([Buffer.alloc(5), trailers]);
  const bytes = Buffer.concat([
    part(HEADERS, 0, first.subarray(0, 100)),
    part(CONTINUATION, 4, first.subarray(100)),
    part(DATA, 0, Buffer.from("hel")),
    part(DATA, 8, padded),
    part(HEADERS, 4 + 1 + 32, prioritised),
  ]);
  for (const byte of bytes) {
    peer.raw(Uint8Array.of(byte));
    await Bun.sleep(0);
  }
  await until("the end", () => heard.ended);
  expect(heard).toMatchObject({ body: "hello", error: undefined });
  expect(heard.headers).toMatchObject({ ":status": "200", "grpc-status": "0" });
  expect(heard.headers["x-long"]).toHaveLength(300);
});

test("a body waits for the windows of its stream and of the connection", async () => {
  request(Buffer.alloc(100_000, "a"));
  await until("the first window", () => peer.body(1).length === 65_535);
  peer.number(WINDOW, 1, 50_000);
  peer.send(PING, 0, 0, Buffer.from("12345678"));
  await until("the ping's answer", () => peer.of(PING).length === 1);
  expect(peer.of(PING)[0]).toMatchObject({ flags: 1, payload: Buffer.from("12345678") });
  // The stream's window is open, but not the connection's.
  expect(peer.body(1).length).toBe(65_535);
  peer.number(WINDOW, 0, 10_000);
  await until("more", () => peer.body(1).length === 75_535);
  peer.number(WINDOW, 0, 1_000_000);
  await until("all", () => peer.body(1).length === 100_000);
  expect(peer.of(DATA, 1).every((each) => each.payload.length <= 16_384)).toBe(true);
  expect(peer.of(DATA, 1).at(-1)?.flags).toBe(1);
});

test("a smaller first window is heeded, and settings are acknowledged", async () => {
  const small = Buffer.of(0, 4, 0, 0, 0, 10);
  await until("the preface", () => peer.of(SETTINGS).length === 1);
  peer.send(SETTINGS, 0, 0, small);
  await until("the acknowledgement", () => peer.of(SETTINGS).some((each) => each.flags === 1));
  request(Buffer.alloc(25, "a"));
  await until("ten bytes", () => peer.body(1).length === 10);
  peer.number(WINDOW, 1, 15);
  await until("the rest", () => peer.body(1).length === 25);
});

test("streams end apart: one reset, one cancelled, one answered", async () => {
  const [reset, cancelled, answered] = [request(), request(), request()];
  await until("three requests", () => peer.of(DATA).length === 3);
  peer.number(RST, 1, 2);
  cancelled.cancel();
  peer.send(HEADERS, 4 + 1, 5, encodeHeaders({ ":status": "200" }));
  await until("the ends", () => reset.ended && answered.ended);
  expect(reset.error).toContain("reset (2)");
  expect(answered.error).toBeUndefined();
  await until("the cancellation", () => peer.of(RST, 3).length === 1);
  // What still comes for it is nobody's.
  peer.send(HEADERS, 4 + 1, 3, encodeHeaders({ ":status": "200" }));
  const next = request();
  peer.send(HEADERS, 4 + 1, 7, encodeHeaders({ ":status": "204" }));
  await until("the next answer", () => next.ended);
  expect(cancelled.ended).toBe(false);
});

test.each([
  ["the server goes away", () => peer.send(GOAWAY, 0, 0, Buffer.alloc(8))],
  ["the connection breaks", () => peer.close()],
  [
    "headers make no sense",
    () => peer.send(HEADERS, 4, 1, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff)),
  ],
])("everything fails when %s", async (_, breakIt) => {
  const heard = request();
  await until("the request", () => peer.of(DATA).length === 1);
  expect(connection.usable).toBe(true);
  breakIt();
  await until("the end", () => heard.ended);
  expect(heard.error).toBeDefined();
  expect(connection.usable).toBe(false);
});

test("nobody there", async () => {
  connection.close();
  connection = new Http2Connection({ unix: `${dir}/none` }, 30_000);
  const heard = request();
  await until("the end", () => heard.ended);
  expect(heard.error).toContain("none");
});
