/** The corpus of test/attacks, with Go's own HTTP server behind the Ingress. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { NEXT, requests } from "#test/attacks/corpus/requests.ts";
import { until } from "#test/component/controllers/plane.ts";
import { type Front, startFront, talk } from "#test/support/ingressfront.ts";
import { OWN_ADDRESS } from "#test/support/ownaddress.ts";
import { goBackend, INSTALL_MS_MAX } from "./programs.ts";

let front: Front;
let server: Bun.Subprocess<"ignore", "pipe", "inherit">;
/** Lines that it printed: its port, then what it was asked. */
let lines: string[] = [];

async function follow(stream: ReadableStream<Uint8Array>): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const parts = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  }
}

beforeAll(async () => {
  front = await startFront();
  const argv = [await goBackend(), OWN_ADDRESS];
  server = Bun.spawn(argv, { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  void follow(server.stdout);
  front.behind(Number(await until("the port", () => lines[0])));
}, INSTALL_MS_MAX);

afterAll(async () => {
  await front?.close();
  server?.kill();
});

test.each(requests.map((one) => [one.name, one] as const))("%s", async (_, { send, sees }) => {
  lines = [];
  await talk(front.port, send + NEXT, 1_000);
  // It prints a request before it answers the next one.
  const marker = "GET /marker HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
  await talk(front.port, marker);
  await until("the marker", () => lines.some((line) => line.includes("/marker")) || undefined);
  const seen = lines.map((line) => JSON.parse(line)).filter((text) => !text.includes("/marker"));
  expect(seen).toEqual([...sees]);
});
