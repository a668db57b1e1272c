import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LogFile } from "#agents/kubelet/logfile.ts";
import { type LogOptions, readLog } from "#agents/kubelet/logread.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { nextTurn } from "#base/turn.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";

let directory: string;
let path: string;
let clock: FakeClock;
let log: LogFile;
let changed: () => void;

const logFile = (startedAtMs: number): LogFile =>
  new LogFile(path, startedAtMs, {
    clock,
    log: silentLog,
    watchFile: (_, listener) => {
      changed = listener;
      return () => {};
    },
  });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "bramble-log-"));
  path = join(directory, "0.log");
  appendFileSync(path, "");
  clock = fakeClock();
  log = logFile(clock.now());
  log.follow();
});

afterEach(() => {
  log.close();
  rmSync(directory, { recursive: true, force: true });
});

async function write(text: string): Promise<void> {
  appendFileSync(path, text);
  changed();
  await clock.advance(limits.logMarkMs);
}

const plain: LogOptions = {
  follow: false,
  timestamps: false,
  tailLines: undefined,
  sinceMs: undefined,
  limitBytes: undefined,
};

async function read(options: Partial<LogOptions> = {}): Promise<string> {
  const chunks: Uint8Array[] = [];
  const never = new AbortController().signal;
  for await (const chunk of readLog(log, { ...plain, ...options }, never)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe("reading", () => {
  test("gives every byte as it was written", async () => {
    const bytes = Buffer.from([0, 255, 10, 13, 128, 10, 65]);
    appendFileSync(path, bytes);
    const chunks: Uint8Array[] = [];
    for await (const chunk of readLog(log, plain, new AbortController().signal)) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(bytes);
  });

  test.each([
    [0, ""],
    [1, "c\n"],
    [2, "b\nc\n"],
    [9, "a\nb\nc\n"],
  ])("the last %d lines", async (tailLines, expected) => {
    appendFileSync(path, "a\nb\nc\n");
    expect(await read({ tailLines })).toBe(expected);
  });

  test("lines that are written during the read are not part of it", async () => {
    appendFileSync(path, `a\n${"x".repeat(limits.logChunkBytes)}\n`);
    const bytes = readLog(log, { ...plain, tailLines: 1 }, new AbortController().signal);
    const chunks: Uint8Array[] = [];
    for await (const chunk of bytes) {
      chunks.push(chunk);
      appendFileSync(path, "later\n");
    }
    expect(Buffer.concat(chunks).toString()).toBe(`${"x".repeat(limits.logChunkBytes)}\n`);
  });

  test("a last line without an end is a line", async () => {
    appendFileSync(path, "a\nb");
    expect(await read({ tailLines: 1 })).toBe("b");
  });

  test("lines longer than a chunk are whole", async () => {
    const long = "x".repeat(limits.logChunkBytes * 2 + 5);
    appendFileSync(path, `a\n${long}\nz\n`);
    expect(await read({ tailLines: 2 })).toBe(`${long}\nz\n`);
  });

  test("at most so many bytes", async () => {
    appendFileSync(path, "abcdef\n");
    expect(await read({ limitBytes: 3 })).toBe("abc");
  });

  test("stamps each line with the time it came, and finds lines by time", async () => {
    await write("a\n");
    await clock.advance(10_000);
    await write("b\nc\n");
    const text = await read({ timestamps: true });
    expect(text).toMatch(
      /^2026-01-01T00:00:00\.0\d\d0{6}Z a\n2026-01-01T00:00:10\.\d{9}Z b\n2026-01-01T00:00:10\.\d{9}Z c\n$/,
    );
    expect(await read({ sinceMs: clock.now() - 5_000 })).toBe("b\nc\n");
    expect(await read({ sinceMs: clock.now() + 1 })).toBe("");
    expect(await read({ sinceMs: clock.now() - 5_000, tailLines: 1 })).toBe("c\n");
  });
});

describe("following", () => {
  test("goes on until the container is over", async () => {
    const reading = read({ follow: true });
    await write("a\n");
    await write("b\n");
    log.end();
    // The shim carries what was written last after it told of the end.
    appendFileSync(path, "last\n");
    await clock.advance(limits.logSettleMs);
    expect(await reading).toBe("a\nb\nlast\n");
  });

  test("misses nothing that came right after an event of nothing new", async () => {
    const chunks: string[] = [];
    const gone = new AbortController();
    const reading = (async () => {
      for await (const chunk of readLog(log, { ...plain, follow: true }, gone.signal)) {
        chunks.push(Buffer.from(chunk).toString());
      }
    })();
    await write("a\n");
    // Told late: its bytes were seen already. The event of "b" is dropped, as it follows at once.
    changed();
    // By the end of these readings the other one has found nothing, and waits.
    for (let i = 0; i < 3; i++) await read();
    appendFileSync(path, "b\n");
    await clock.advance(limits.logMarkMs);
    for (let turns = 0; chunks.length < 2 && turns < 1_000; turns++) await nextTurn();
    gone.abort();
    await reading;
    expect(chunks).toEqual(["a\n", "b\n"]);
  });

  test("ends when the reader leaves", async () => {
    const gone = new AbortController();
    const bytes = readLog(log, { ...plain, follow: true }, gone.signal);
    const next = bytes.next();
    gone.abort();
    expect((await next).done).toBe(true);
  });
});

test("old bytes are given back to the disk, offsets stay, readers see whole lines", async () => {
  const line = `${"y".repeat(99)}\n`;
  const block = line.repeat(10_000);
  const blocks = Math.ceil((limits.logBytesMax + 2 * limits.logPunchBytes) / block.length);
  for (let i = 0; i < blocks; i++) appendFileSync(path, block);
  await write("end\n");
  expect(log.start).toBeGreaterThan(0);
  expect(log.start % limits.logPunchBytes).toBe(0);
  expect(statSync(path).blocks * 512).toBeLessThan(limits.logBytesMax + 2 * limits.logPunchBytes);
  const text = await read();
  expect(text.startsWith(line)).toBe(true);
  expect(text.endsWith("end\n")).toBe(true);
  expect(readFileSync(`${path}.start`, "utf8")).toBe(String(log.start));
  const again = logFile(0);
  expect(again.start).toBe(log.start);
});

test("on a full disk the agent goes on, and old bytes still make room", async () => {
  symlinkSync("/dev/full", `${path}.start`);
  const block = "x".repeat(limits.logPunchBytes - 1);
  for (let i = 0; i < 13; i++) await write(`${block}\n`);
  expect(log.start).toBeGreaterThan(0);
  expect(await read({ limitBytes: 1 })).toBe("x");
  expect(statSync(path).blocks * 512).toBeLessThan(13 * limits.logPunchBytes);
  log.end();
});

test("a restarted agent knows when the last byte came", async () => {
  appendFileSync(path, "a\n");
  const again = logFile(clock.now() - 60_000);
  expect(Math.abs(again.timeOf(0) - statSync(path).mtimeMs)).toBeLessThan(1);
  truncateSync(path, 0);
});
