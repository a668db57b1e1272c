import { describe, expect, test } from "bun:test";
import { constants, createDeflate, createInflate } from "node:zlib";
import { spdyDictionary } from "#api/stream/spdy/dictionary.ts";
import {
  decodeHeaders,
  encodeData,
  encodeHeaders,
  encodePing,
  encodeReset,
  encodeSynReply,
  encodeSynStream,
  FrameReader,
} from "#api/stream/spdy/frames.ts";
import { HeaderPacker } from "#api/stream/spdy/packer.ts";
import { serveSpdy } from "#api/stream/spdy/session.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { limits } from "#base/limits.ts";
import { fakeClock } from "#test/support/clock.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (parts: Uint8Array[]): string => Buffer.concat(parts).toString();

describe("frames", () => {
  test("come back as they were, however they are cut", () => {
    const all = Buffer.concat([
      encodeSynStream(1, bytes("block")),
      encodeSynReply(1, bytes("reply")),
      encodeData(1, bytes("hello"), false),
      encodePing(3),
      encodeReset(1, 5),
      encodeData(1, new Uint8Array(0), true),
    ]);
    for (const size of [1, 3, 7, all.length]) {
      const reader = new FrameReader();
      const frames = [];
      for (let at = 0; at < all.length; at += size)
        frames.push(...reader.push(all.subarray(at, at + size)));
      expect(frames.map((frame) => frame.type)).toEqual([
        "synStream",
        "synReply",
        "data",
        "ping",
        "rst",
        "data",
      ]);
      expect(frames.at(-1)).toMatchObject({ stream: 1, fin: true });
    }
  });

  test("that are too long are refused", () => {
    const head = Buffer.from([0, 0, 0, 1, 0, 0xff, 0xff, 0xff]);
    expect(() => [...new FrameReader().push(head)]).toThrow("too long");
  });
});

describe("headers", () => {
  test("the dictionary is the protocol's own", () => {
    let [a, b] = [1, 0];
    for (const byte of spdyDictionary()) {
      a = (a + byte) % 65_521;
      b = (b + a) % 65_521;
    }
    // Adler-32, as every zlib stream with this dictionary names it.
    expect(b * 65_536 + a).toBe(0xe3c6a7c2);
  });

  test("survive packing, block after block in one stream", async () => {
    const [one, two] = [new HeaderPacker(), new HeaderPacker()];
    for (const headers of [
      { streamtype: "error", port: "80" },
      { streamtype: "data", port: "80" },
      {},
    ]) {
      expect(await two.unpack(await one.pack(headers))).toEqual(headers);
    }
    one.close();
    two.close();
  });

  test("names are lower case", () => {
    expect(decodeHeaders(encodeHeaders({ StreamType: "Data" }))).toEqual({ streamtype: "Data" });
  });
});

/** The client's side of the header streams. */
function clientPacker() {
  const deflate = createDeflate({ dictionary: spdyDictionary() });
  const inflate = createInflate({ dictionary: spdyDictionary() });
  const pack = (headers: Record<string, string>): Promise<Buffer> =>
    new Promise((resolve) => {
      const out: Buffer[] = [];
      const take = (chunk: Buffer): void => void out.push(chunk);
      deflate.on("data", take);
      deflate.write(encodeHeaders(headers));
      deflate.flush(constants.Z_SYNC_FLUSH, () => {
        deflate.off("data", take);
        resolve(Buffer.concat(out));
      });
    });
  return { pack, close: () => [deflate, inflate].map((each) => each.destroy()) };
}

async function collect(channel: Channel): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const part of channel.messages) all.push(part);
  return all;
}

describe("a session", () => {
  test("answers streams, carries data both ways and echoes pings", async () => {
    const [client, server] = channelPair();
    const echoed = Promise.withResolvers<string>();
    const served = serveSpdy(server, async ({ headers, channel }) => {
      await channel.send(bytes(`port ${headers["port"]}: `));
      const input = await collect(channel);
      await channel.send(Buffer.concat(input));
      channel.end();
      echoed.resolve(text(input));
    });
    const packer = clientPacker();
    await client.send(encodeSynStream(1, await packer.pack({ streamtype: "data", port: "80" })));
    await client.send(encodePing(1));
    await client.send(encodeData(1, bytes("hello "), false));
    await client.send(encodeData(1, bytes("there"), true));
    const reader = new FrameReader();
    const frames = [];
    for await (const part of client.messages) {
      frames.push(...reader.push(part));
      const last = frames.at(-1);
      if (last?.type === "data" && last.fin) break;
    }
    expect(await echoed.promise).toBe("hello there");
    expect(frames.filter((frame) => frame.type === "synReply")).toHaveLength(1);
    expect(frames).toContainEqual({ type: "ping", id: 1 });
    const data = frames.flatMap((frame) => (frame.type === "data" ? [frame.payload] : []));
    expect(text(data)).toBe("port 80: hello there");
    client.end();
    await served;
    packer.close();
  });

  test("is over when the client leaves though a stream takes nothing", async () => {
    const clock = fakeClock();
    const [client, server] = channelPair();
    const opened = Promise.withResolvers<Channel>();
    const served = serveSpdy(server, ({ channel }) => opened.resolve(channel), clock);
    const packer = clientPacker();
    await client.send(encodeSynStream(1, await packer.pack({ port: "80" })));
    const pouring = (async () => {
      for (;;) await client.send(encodeData(1, bytes("more"), false));
    })().catch(() => "stopped");
    const stream = await opened.promise;
    await clock.settle();
    client.abort("client gone");
    expect(await pouring).toBe("stopped");
    await clock.advance(limits.leftMessageMsMax - 1);
    expect(await Promise.race([served.then(() => "over"), clock.settle()])).toBeUndefined();
    await clock.advance(1);
    await served;
    expect(await stream.closed).toBe("the connection is over");
    packer.close();
  });

  test("has room for as many streams as come one after the other", async () => {
    const [client, server] = channelPair();
    const served = serveSpdy(server, ({ channel }) => channel.end());
    const packer = clientPacker();
    const reader = new FrameReader();
    const answers = client.messages[Symbol.asyncIterator]();
    const refused: number[] = [];
    for (let count = 0; count <= limits.spdyStreamsMax; count++) {
      const id = 2 * count + 1;
      await client.send(encodeSynStream(id, await packer.pack({ port: "80" })));
      await client.send(encodeData(id, new Uint8Array(0), true));
      for (let over = false; !over; ) {
        const { value } = await answers.next();
        for (const frame of reader.push(value ?? new Uint8Array())) {
          if (frame.type === "rst") refused.push(frame.stream);
          over ||= frame.type === "rst" || (frame.type === "data" && frame.fin);
        }
      }
    }
    expect(refused).toEqual([]);
    client.end();
    await served;
    packer.close();
  });

  test("ends its streams with the connection", async () => {
    const [client, server] = channelPair();
    const ended = Promise.withResolvers<string>();
    const served = serveSpdy(server, ({ channel }) => {
      collect(channel).then(
        () => ended.resolve("ended"),
        () => ended.resolve("aborted"),
      );
    });
    const packer = clientPacker();
    await client.send(encodeSynStream(1, await packer.pack({ port: "80" })));
    await client.messages[Symbol.asyncIterator]().next();
    client.abort("gone");
    await served;
    expect(await ended.promise).toBe("aborted");
    packer.close();
  });
});
