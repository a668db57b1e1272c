import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  BEGIN_PATH,
  FINISH_PATH,
  handOver,
  PairingDesk,
  type Parcel,
} from "#agents/join/pairing.ts";
import { realClock } from "#base/clock.ts";
import { realRandom as random } from "#base/random.ts";

const parcel: Parcel = { token: "br1.secret", servers: ["https://10.0.0.1:6443"] };
const codes: string[] = [];
const parcels: Parcel[] = [];
const wrong: Array<string | undefined> = [];
/** Pauses after a wrong code take no time here. */
const clock = {
  ...realClock,
  after: (_delayMs: number, run: () => void) => realClock.after(0, run),
};
let bodies: string[] = [];
let desk: PairingDesk;
let server: ReturnType<typeof Bun.serve>;
const device = { url: "", name: "pi" };

beforeAll(() => {
  const onCode = (code: string) => void codes.push(code);
  const onParcel = (each: Parcel) => void parcels.push(each);
  const onWrongCode = (from: string | undefined) => void wrong.push(from);
  desk = new PairingDesk({ name: "pi", random, clock, onCode, onParcel, onWrongCode });
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      bodies.push(await request.clone().text());
      const answer = await desk.answer(request, "192.0.2.1");
      bodies.push(await answer.clone().text());
      return answer;
    },
  });
  device.url = `http://127.0.0.1:${server.port}`;
});

afterAll(() => server.stop(true));

const give = (code: string, name = "pi") => handOver({ ...device, name }, code, parcel, random);

test("with the code the device gets the parcel, and nothing of it is to be seen", async () => {
  bodies = [];
  // As somebody types it.
  await give((codes.at(-1) ?? "").toUpperCase().replace("-", " "));
  expect(parcels.splice(0)).toEqual([parcel]);
  const said = bodies.join();
  const plain = (codes.at(-1) ?? "").replace("-", "");
  for (const secret of [plain, "br1", Buffer.from("br1").toString("base64")]) {
    expect(said).not.toContain(secret);
  }
});

test("another code or name gets nothing, and the third wrong code changes it", async () => {
  const shown = codes.length;
  wrong.length = 0;
  const right = codes.at(-1) ?? "";
  await expect(give(right, "po")).rejects.toThrow("is called pi, not po");
  await expect(give("aaa-aaa")).rejects.toThrow("another code");
  await expect(give("ccc-ccc")).rejects.toThrow("another code");
  expect(codes).toHaveLength(shown);
  await expect(give("bbb-bbb")).rejects.toThrow("another code");
  expect(codes).toHaveLength(shown + 1);
  await expect(give(right)).rejects.toThrow("another code");
  expect(parcels).toEqual([]);
  expect(wrong).toEqual(Array(4).fill("192.0.2.1"));
});

test("a body that is not an object is rejected", async () => {
  for (const body of ["null", "1", "[]", "{", '{"session":null,"message":1}']) {
    for (const path of [BEGIN_PATH, FINISH_PATH]) {
      const answer = await fetch(device.url + path, { method: "POST", body });
      expect([body, path, answer.status < 500]).toEqual([body, path, true]);
    }
  }
});

test("who answers for the device without its code is found out", async () => {
  const liar = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => Response.json({ message: Buffer.alloc(32, 9).toString("base64"), proof: "aaaa" }),
  });
  const there = { url: `http://127.0.0.1:${liar.port}`, name: "pi" };
  await expect(handOver(there, "abc-def", parcel, random)).rejects.toThrow("not the device");
  await liar.stop(true);
});

test("what answers and is no device is told so", async () => {
  const answers = [
    () => new Response("no such page", { status: 404 }),
    () => new Response("<html>hello</html>"),
    () => Response.json({ message: "c2hvcnQ=" }),
  ];
  for (const fetch of answers) {
    const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
    const there = { url: `http://127.0.0.1:${other.port}`, name: "pi" };
    const words = `what answers at ${there.url} is no device that waits`;
    await expect(handOver(there, "abc-def", parcel, random)).rejects.toThrow(words);
    await other.stop(true);
  }
});
