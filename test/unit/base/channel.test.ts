import { expect, test } from "bun:test";
import { type Channel, carry, channelPair, sendBody } from "#base/channel.ts";
import { limits } from "#base/limits.ts";
import { fakeClock } from "#test/support/clock.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Fills a channel that nobody reads, until it takes no more. */
async function fill(channel: Channel): Promise<void> {
  let sent = 0;
  const pouring = (async () => {
    for (;;) {
      await channel.send(Uint8Array.of(sent));
      sent += 1;
    }
  })();
  pouring.catch(() => undefined);
  for (let before = -1; before !== sent; await settled()) before = sent;
}

test("closed tells an end from an abort", async () => {
  const [one, two] = channelPair();
  one.end();
  two.end();
  expect(await one.closed).toBeUndefined();
  const [three, four] = channelPair();
  three.end();
  four.abort("gone");
  expect([await three.closed, await four.closed]).toEqual(["gone", "gone"]);
});

test("that one side left is told though the other one takes nothing", async () => {
  const clock = fakeClock();
  const [client, inside] = channelPair();
  const [outside, node] = channelPair();
  const carried = carry(inside, outside, undefined, clock).then(
    () => "over",
    () => "failed",
  );
  await fill(client);
  client.abort("client gone");
  await clock.settle();
  await clock.advance(limits.leftMessageMsMax - 1);
  expect(await Promise.race([carried, clock.settle()])).toBeUndefined();
  await clock.advance(1);
  expect(await carried).toBe("failed");
  expect(await node.closed).toBe("the other side went away");
});

test("what the client sent before it left is taken by a side that takes it slowly", async () => {
  const clock = fakeClock();
  const [client, inside] = channelPair();
  const [outside, node] = channelPair();
  const carried = carry(inside, outside, undefined, clock).catch(() => "failed");
  await fill(client);
  client.abort("client gone");
  const taken: number[] = [];
  const reading = (async () => {
    for await (const message of node.messages) {
      taken.push(message[0] ?? 0);
      await clock.advance(limits.leftMessageMsMax - 1);
    }
  })();
  expect(await carried).toBe("failed");
  outside.end();
  await reading;
  expect(taken).toEqual(taken.map((_, index) => index));
  expect(taken.length).toBeGreaterThan(32);
});

test("a body that has nothing to say is given up when the client leaves", async () => {
  const cancelled = Promise.withResolvers<void>();
  const quiet = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Uint8Array.of(1)),
    cancel: () => cancelled.resolve(),
  });
  const [client, inside] = channelPair();
  const sent = sendBody(inside, quiet, (chunk) => Uint8Array.of(0, ...chunk));
  const messages = client.messages[Symbol.asyncIterator]();
  expect((await messages.next()).value).toEqual(Uint8Array.of(0, 1));
  client.abort("client gone");
  await cancelled.promise;
  await sent;
});
