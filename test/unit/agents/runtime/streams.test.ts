import { describe, expect, test } from "bun:test";
import { readStdin, type StdinTarget, sendOutput, sendStatus } from "#agents/runtime/streams.ts";
import { type Channel, channelPair } from "#base/channel.ts";
import { realClock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

const target = (parts: Partial<StdinTarget> = {}): StdinTarget => ({
  fd: undefined,
  resize: async () => {},
  close: async () => {},
  ended: new AbortController().signal,
  clock: realClock,
  ...parts,
});

async function collect(channel: Channel): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const each of channel.messages) all.push(each);
  return all;
}

test("output goes in pieces that fit a frame", async () => {
  const [mine, theirs] = channelPair();
  const got = collect(theirs);
  const bytes = crypto.getRandomValues(new Uint8Array(50_000));
  await sendOutput(mine, 2, bytes);
  mine.end();
  const messages = await got;
  expect(messages.every((each) => each[0] === 2)).toBe(true);
  expect(messages.every((each) => each.length <= limits.execChunkBytesMax + 1)).toBe(true);
  expect(Buffer.concat(messages.map((each) => each.subarray(1))).equals(bytes)).toBe(true);
});

describe("status", () => {
  async function status(result: Parameters<typeof sendStatus>[1]) {
    const [mine, theirs] = channelPair();
    await sendStatus(mine, result);
    mine.end();
    const [message] = await collect(theirs);
    expect(message?.[0]).toBe(3);
    return JSON.parse(Buffer.from(message?.subarray(1) ?? []).toString());
  }

  test("success, a code, a failure", async () => {
    expect(await status({ exitCode: 0 })).toEqual({ metadata: {}, status: "Success" });
    expect(await status({ exitCode: 130 })).toMatchObject({
      status: "Failure",
      reason: "NonZeroExitCode",
      details: { causes: [{ reason: "ExitCode", message: "130" }] },
    });
    expect(await status({ failure: "no such thing" })).toMatchObject({
      status: "Failure",
      message: "no such thing",
    });
  });
});

test("a size that comes as the command ends is no reason to fail", async () => {
  const [mine, theirs] = channelPair();
  const resize = () => Promise.reject(new Error("cannot resize a stopped process"));
  const done = readStdin(theirs, target({ resize }));
  await mine.send(Buffer.from('\x04{"Width":80,"Height":24}'));
  mine.end();
  await done;
});

test("sizes that make no sense are passed over, and the end closes once", async () => {
  const [mine, theirs] = channelPair();
  const sizes: string[] = [];
  const parts: Partial<StdinTarget> = {
    resize: async (width, height) => void sizes.push(`${width}x${height}`),
    close: async () => void sizes.push("closed"),
  };
  const done = readStdin(theirs, target(parts));
  const resize = (text: string) => mine.send(Buffer.from(`\x04${text}`));
  await resize('{"Width":80,"Height":24}');
  for (const odd of ["", "{", "null", "{}", '{"Width":0,"Height":9}', '{"Width":"x"}']) {
    await resize(odd);
  }
  await mine.send(Uint8Array.of());
  mine.end();
  await done;
  // Without input there is nothing to close.
  expect(sizes).toEqual(["80x24"]);
});

test("a channel that is aborted ends the reading with an error", async () => {
  const [mine, theirs] = channelPair();
  const done = readStdin(theirs, target());
  mine.abort("client gone");
  await expect(done).rejects.toThrow("client gone");
});
