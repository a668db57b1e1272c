/** Logs of real containers: every byte, whole lines of any length, and what is kept of much. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { limits } from "#base/limits.ts";
import {
  eventually,
  type HostKubelet,
  shell,
  startHostKubelet,
} from "#test/support/hostkubelet.ts";

setDefaultTimeout(300_000);

const LINE_BYTES = 3_000_000;
const LINES = 1_500_000;
const BLOCK_BYTES = 512;

let k: HostKubelet;

beforeAll(async () => {
  k = await startHostKubelet("kubelet-logs");
});

afterAll(async () => {
  await k.close();
});

const bytes = async (pod: string, query = "") => {
  const url = `http://node/containerLogs/default/${pod}/main?${query}`;
  const response = await k.node.fetch(new Request(url));
  return Buffer.from(await response.arrayBuffer());
};

const succeeded = (name: string) => k.until(name, ({ status }) => status?.phase === "Succeeded");

test.concurrent("bytes of every value, and a line without an end", async () => {
  const octal = Array.from(
    { length: 256 },
    (_, value) => `\\${value.toString(8).padStart(3, "0")}`,
  );
  const script = `printf '${octal.join("")}'; echo; printf '\\377\\000last'`;
  await k.create("binary", { restartPolicy: "Never", containers: [shell("main", script)] });
  await succeeded("binary");
  const values = Buffer.from(Array.from({ length: 256 }, (_, value) => value));
  const wanted = Buffer.concat([values, Buffer.from("\n\xff\x00last", "latin1")]);
  expect((await bytes("binary")).equals(wanted)).toBe(true);
  expect((await bytes("binary", "tailLines=1")).toString("latin1")).toBe("\xff\x00last");
});

test.concurrent("a line of megabytes is one line", async () => {
  const script = `echo first; head -c ${LINE_BYTES} /dev/zero | tr '\\0' x; echo; echo last`;
  await k.create("long", { restartPolicy: "Never", containers: [shell("main", script)] });
  await succeeded("long");
  const [first, long, last] = (await bytes("long")).toString().split("\n");
  expect([first, long?.length, last]).toEqual(["first", LINE_BYTES, "last"]);
  const tail = (await bytes("long", "tailLines=2&timestamps=true")).toString().split("\n");
  expect(tail.length).toBe(3);
  expect(tail[0]?.length).toBe(LINE_BYTES + "2026-01-01T00:00:00.000000000Z ".length);
  expect(tail[1]).toMatch(/^\S+Z last$/);
});

test.concurrent("of much the newest is kept in whole lines, the rest is given back", async () => {
  // 60 MB and more in lines of 40 bytes and more.
  const lines = `seq 1 ${LINES} | sed 's/$/ ${"x".repeat(35)}/'`;
  const script = `${lines}; echo end; sleep 1000`;
  const { metadata } = await k.create("much", { containers: [shell("main", script)] });
  const path = `${k.dataDir}/pods/${metadata.uid}/logs/main/0.log`;
  await eventually("the end", async () =>
    (await k.logs("much", "tailLines=1").catch(() => "")) === "end\n" ? true : undefined,
  );
  const { size } = statSync(path);
  expect(size).toBeGreaterThan(limits.logBytesMax + limits.logPunchBytes);
  const most = limits.logBytesMax + limits.logPunchBytes + 2 ** 20;
  await eventually("the room", () =>
    statSync(path).blocks * BLOCK_BYTES <= most ? true : undefined,
  );
  const kept = (await bytes("much")).toString().trimEnd().split("\n");
  const numbers = kept.slice(0, -1).map((line) => Number.parseInt(line, 10));
  const from = numbers[0] ?? 0;
  expect(from).toBeGreaterThan(1);
  expect(kept[0]).toBe(`${from} ${"x".repeat(35)}`);
  expect(numbers.at(-1)).toBe(LINES);
  expect(numbers.length).toBe(LINES - from + 1);
  await k.remove("much", 0);
});
