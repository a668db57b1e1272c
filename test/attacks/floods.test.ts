/**
 * Frames that bring nothing, and clients that do not read: they cost the server no memory that
 * stays, and others are answered meanwhile.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { constants, createDeflate } from "node:zlib";
import { spdyDictionary } from "#api/stream/spdy/dictionary.ts";
import { encodeData, encodePing, encodeReset, encodeSynStream } from "#api/stream/spdy/frames.ts";
import { HeaderPacker } from "#api/stream/spdy/packer.ts";
import { type Attacked, type Attacker, startAttacked } from "#test/support/attacked.ts";
import { eventually } from "#test/support/instance.ts";

let server: Attacked;
beforeAll(async () => {
  server = await startAttacked();
});
afterAll(() => server.stop());

const MB = 1024 * 1024;
const GROWTH_MAX = 48 * MB;
const READY_MS_MAX = 200;
const NONE = new Uint8Array(0);
const AUTH = "Host: api\r\nAuthorization: Bearer one";
const POD = "/api/v1/namespaces/default/pods/one";

async function webSocket(): Promise<Attacker> {
  const attacker = server.connect();
  await attacker.send(
    `GET ${POD}/exec?command=cat&stdin=1&stdout=1 HTTP/1.1\r\n${AUTH}\r\n` +
      "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n",
  );
  await attacker.until(/ 101 /);
  return attacker;
}

async function spdy(): Promise<Attacker> {
  const attacker = server.connect();
  await attacker.send(
    `POST ${POD}/portforward HTTP/1.1\r\n${AUTH}\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n` +
      "X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n",
  );
  await attacker.until(/ 101 /);
  return attacker;
}

const many = (bytes: Uint8Array, times: number): Buffer =>
  Buffer.concat(Array<Uint8Array>(times).fill(bytes));

/** A WebSocket frame of a client; zeros are its mask and what it carries. */
function frame(first: number, size: number): Buffer {
  const out = Buffer.alloc(6 + size);
  out[0] = first;
  out[1] = 0x80 | size;
  return out;
}

/** Runs an attack; meanwhile others are answered, and afterwards the memory is as before. */
async function withstands(attack: () => Promise<void>): Promise<void> {
  const before = server.memory();
  let going = true;
  const waits: number[] = [];
  const asking = (async () => {
    while (going) {
      const { code, ms } = await server.ready();
      expect(code).toBe(200);
      waits.push(ms);
      await Bun.sleep(20);
    }
  })();
  await attack();
  going = false;
  await asking;
  // The machine may be busy: what lasts is what counts.
  waits.sort((a, b) => a - b);
  expect(waits[Math.floor(waits.length / 2)]).toBeLessThan(READY_MS_MAX);
  await eventually("the memory to be as before", 10_000, async () => {
    await server.ready();
    return server.memory() - before < GROWTH_MAX;
  });
}

describe("a WebSocket", () => {
  test.each([
    ["a million empty fragments", [frame(0x02, 0)], frame(0x00, 0)],
    ["a million fragments of one byte", [frame(0x02, 1)], frame(0x00, 1)],
    ["a million empty messages", [], frame(0x82, 0)],
    ["a million pongs", [], frame(0x8a, 0)],
  ])("of %s is closed", async (_, first, each) => {
    await withstands(async () => {
      const attacker = await webSocket();
      for (const one of first) await attacker.send(one);
      await attacker.flood(many(each, 10_000), 100, 2_000);
      await attacker.over();
    });
  });

  test("whose client reads no pongs keeps one of them", async () => {
    await withstands(async () => {
      const attacker = await webSocket();
      attacker.socket.pause();
      await attacker.flood(many(frame(0x89, 125), 900), 200, 500);
      attacker.socket.destroy();
    });
  });

  test("whose message comes byte by byte costs as much as one at once", async () => {
    await withstands(async () => {
      const attacker = await webSocket();
      const head = frame(0x82, 0).fill(0xff, 1, 2);
      const length = Buffer.alloc(8);
      length.writeBigUInt64BE(BigInt(MB - 1));
      await attacker.send(Buffer.concat([head.subarray(0, 2), length, Buffer.alloc(4)]));
      const before = server.cpuMs();
      for (let at = 0; at < 10_000; at++) {
        await attacker.send(Buffer.alloc(100));
        if (at % 4 === 0) await new Promise(setImmediate);
      }
      expect(server.cpuMs() - before).toBeLessThan(1_500);
      attacker.socket.destroy();
    });
  });
});

describe("a SPDY connection", () => {
  test("with headers that unpack to 300 MB is closed", async () => {
    const packer = createDeflate({ dictionary: spdyDictionary(), level: 9 });
    const parts: Buffer[] = [];
    packer.on("data", (part: Buffer) => parts.push(part));
    for (let at = 0; at < 300; at++) {
      await new Promise((done) => packer.write(Buffer.alloc(MB), done));
    }
    await new Promise<void>((done) => packer.flush(constants.Z_SYNC_FLUSH, done));
    const bomb = Buffer.concat(parts);
    await withstands(async () => {
      // The limit of what is sent, and the limit of what it unpacks to.
      for (const block of [bomb, bomb.subarray(0, 8 * 1024)]) {
        const attacker = await spdy();
        await attacker.send(encodeSynStream(1, block));
        await attacker.over();
      }
    });
  });

  test.each([
    ["a million empty data frames", encodeData(1, NONE, false)],
    ["a million pings", encodePing(1)],
  ])("of %s is closed", async (_, each) => {
    await withstands(async () => {
      const attacker = await spdy();
      await attacker.flood(many(each, 10_000), 100, 2_000);
      await attacker.over();
    });
  });

  test("in which streams are opened and reset keeps none of them", async () => {
    await withstands(async () => {
      const packer = new HeaderPacker();
      const attacker = await spdy();
      for (let id = 1; id < 10_000; id += 2) {
        const headers = { streamtype: "error", port: "80", requestid: String(id) };
        await attacker.send(encodeSynStream(id, await packer.pack(headers)));
        await attacker.send(encodeReset(id, 5));
      }
      attacker.socket.destroy();
    });
  });

  test("with a stream's number twice is closed", async () => {
    const packer = new HeaderPacker();
    const attacker = await spdy();
    for (const requestid of ["1", "2"]) {
      const headers = { streamtype: "error", port: "80", requestid };
      await attacker.send(encodeSynStream(1, await packer.pack(headers)));
    }
    await attacker.over();
  });
});

describe("HTTP/1", () => {
  test("a client that reads no answers gets no more of them", async () => {
    await withstands(async () => {
      const attacker = server.connect();
      attacker.socket.pause();
      const ask = Buffer.from("GET /api HTTP/1.1\r\nHost: api\r\n\r\n");
      await attacker.flood(many(ask, 2_000), 200, 500);
      attacker.socket.destroy();
    });
  });
});
