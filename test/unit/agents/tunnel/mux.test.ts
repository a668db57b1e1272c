import { expect, test } from "bun:test";
import fc from "fast-check";
import { linkOver, serveLink } from "#agents/tunnel/link.ts";
import { createMux, type Mux } from "#agents/tunnel/mux.ts";
import type { NodeLink } from "#api/nodes.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { limits } from "#base/limits.ts";
import { tries } from "#test/support/property.ts";

/** Two ends joined in memory; frames arrive in a later microtask, as from a socket. */
function pair(onOpen: (target: string, channel: Channel) => void): {
  server: Mux;
  frames: number[];
} {
  const frames: number[] = [];
  const deliver = (to: () => Mux) => (frame: Uint8Array) => {
    frames.push(frame.length);
    queueMicrotask(() => to().receive(frame.slice()));
  };
  const node: Mux = createMux({
    socket: { send: deliver(() => server), close: () => undefined },
    onOpen,
  });
  const server: Mux = createMux({ socket: { send: deliver(() => node), close: () => undefined } });
  return { server, frames };
}

async function collect(channel: Channel): Promise<Uint8Array[]> {
  const out: Uint8Array[] = [];
  for await (const message of channel.messages) out.push(message);
  return out;
}

test("property: messages of any size arrive whole and in order, both ways", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: 300_000 }), { maxLength: 8 }), async (sizes) => {
      const echo = async (_: string, channel: Channel) => {
        for await (const message of channel.messages) await channel.send(message);
        channel.end();
      };
      const { server } = pair((target, channel) => void echo(target, channel));
      const channel = server.open("x");
      const received = collect(channel);
      for (const [i, size] of sizes.entries()) await channel.send(new Uint8Array(size).fill(i + 1));
      channel.end();
      const out = await received;
      expect(out.map((m) => [m.length, m[0] ?? 0])).toEqual(
        sizes.map((size, i) => [size, size === 0 ? 0 : i + 1]),
      );
      await channel.closed;
      expect(server.channels).toBe(0);
    }),
    tries(25),
  );
});

test("a sender waits while the other side does not read", async () => {
  let other: Channel | undefined;
  const { server } = pair((_, channel) => {
    other = channel;
  });
  const channel = server.open("slow");
  let sent = 0;
  const sender = (async () => {
    for (let i = 0; i < 100; i++) {
      await channel.send(new Uint8Array(limits.tunnelFrameBytesMax));
      sent += limits.tunnelFrameBytesMax;
    }
    channel.end();
  })();
  await Bun.sleep(5);
  expect(sent).toBeLessThanOrEqual(limits.tunnelWindowBytes + limits.tunnelFrameBytesMax);
  if (other === undefined) throw new Error("not opened");
  expect((await collect(other)).length).toBe(100);
  await sender;
});

test("a closed socket aborts every channel", async () => {
  const { server } = pair(() => undefined);
  const channel = server.open("x");
  const reading = collect(channel);
  server.closed("power cut");
  expect(reading).rejects.toThrow("power cut");
  expect(channel.send(new Uint8Array(1))).rejects.toThrow("power cut");
  expect(() => server.open("y")).toThrow("power cut");
});

function linked(handler: NodeLink): NodeLink {
  const { server } = pair((target, channel) => void serveLink(handler, target, channel));
  return linkOver((target) => server.open(target));
}

test("a fetch crosses the tunnel with method, headers, body and status", async () => {
  const link = linked({
    fetch: async (request) =>
      new Response(`${request.method} ${request.headers.get("x-a")} ${await request.text()}`, {
        status: 418,
        headers: { "x-b": "2" },
      }),
    open: () => Promise.reject(new Error("no")),
  });
  const request = new Request("http://node/a?b=1", {
    method: "POST",
    body: "hello",
    headers: { "x-a": "1" },
  });
  const response = await link.fetch(request);
  expect(response.status).toBe(418);
  expect(response.headers.get("x-b")).toBe("2");
  expect(await response.text()).toBe("POST 1 hello");
});

test("open joins the channel of the node, or says why not", async () => {
  const link = linked({
    fetch: () => Promise.reject(new Error("no")),
    open: async (path) => {
      if (path !== "/exec/a") throw new Error("container not found");
      const [near, far] = channelPair();
      (async () => {
        for await (const message of near.messages) await near.send(message);
        near.end();
      })();
      return far;
    },
  });
  expect(link.open("/exec/b")).rejects.toThrow("container not found");
  const channel = await link.open("/exec/a");
  await channel.send(new Uint8Array([0, 7]));
  channel.end();
  expect(await collect(channel)).toEqual([new Uint8Array([0, 7])]);
});

test("who follows a quiet log and leaves is let go at once", async () => {
  const cancelled = Promise.withResolvers<void>();
  const link = linked({
    fetch: async () =>
      new Response(
        new ReadableStream<Uint8Array>({
          start: (controller) => controller.enqueue(Uint8Array.of(1)),
          cancel: () => cancelled.resolve(),
        }),
      ),
    open: () => Promise.reject(new Error("no")),
  });
  const response = await link.fetch(new Request("http://node/containerLogs"));
  const reader = response.body?.getReader();
  expect((await reader?.read())?.value).toEqual(Uint8Array.of(1));
  await reader?.cancel();
  await cancelled.promise;
});

test("a command whose client leaves while it is started is told so", async () => {
  const starting = Promise.withResolvers<Channel>();
  const asked = Promise.withResolvers<void>();
  const handler: NodeLink = {
    fetch: () => Promise.reject(new Error("no")),
    open: () => {
      asked.resolve();
      return starting.promise;
    },
  };
  const { server } = pair((target, channel) => void serveLink(handler, target, channel));
  const channel = server.open("open /exec/a");
  await asked.promise;
  channel.abort("client gone");
  const [near, far] = channelPair();
  await new Promise((resolve) => setImmediate(resolve));
  starting.resolve(far);
  expect(await near.closed).toBe("client gone");
});
