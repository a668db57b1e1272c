import { expect, test } from "bun:test";
import { type Answer, decode, encode, type Packet } from "dns-packet";
import fc from "fast-check";
import * as wire from "#agents/dns/wire.ts";
import { tries } from "#test/support/property.ts";

function query(name: string, type = "A", edns?: number): Buffer {
  const opt = { type: "OPT", name: ".", udpPayloadSize: edns, flags: 0, options: [] };
  return encode({
    type: "query",
    id: 4711,
    flags: 0x0100,
    questions: [{ name, type: type as "A" }],
    ...(edns !== undefined && { additionals: [opt as unknown as Answer] }),
  });
}

function read(bytes: Uint8Array): wire.Query {
  const parsed = wire.readQuery(bytes);
  if (parsed === undefined || typeof parsed === "number") throw new Error(`not read: ${parsed}`);
  return parsed;
}

function respond(bytes: Buffer, response: Partial<wire.Response>, max = 65_535) {
  const whole = { rcode: 0, authoritative: true, answers: [], ...response };
  const written = wire.writeResponse(bytes, read(bytes), whole, max);
  return { written, packet: decode(Buffer.from(written)) };
}

const a = (name: string, data: string): wire.DnsRecord => ({ name, ttl: 5, type: "A", data });

test("a query is read as it was written", () => {
  const parsed = read(query("Web.Default.svc.cluster.local", "AAAA", 4096));
  expect(parsed).toMatchObject({
    id: 4711,
    name: "web.default.svc.cluster.local",
    type: wire.TYPE.AAAA,
    class: 1,
    edns: { bytes: 4096, version: 0, dnssec: false },
  });
});

test("an answer repeats the question as it was spelled", () => {
  const { packet } = respond(query("WeB.example"), { answers: [a("web.example", "10.0.0.1")] });
  expect(packet.questions?.[0]?.name).toBe("WeB.example");
  expect(packet).toMatchObject({ id: 4711, flag_aa: true, flag_rd: true, flag_ra: true });
  expect(packet.answers?.[0]).toMatchObject({ type: "A", ttl: 5, data: "10.0.0.1" });
});

test("names are written once and then pointed to", () => {
  const answers = Array.from({ length: 20 }, (_, i) => a("web.example", `10.0.0.${i}`));
  const { written, packet } = respond(query("web.example"), { answers }, 512);
  expect(written.length).toBe(12 + 13 + 4 + 20 * 16);
  expect(packet.answers).toHaveLength(20);
  expect(packet.flag_tc).toBe(false);
});

test("what does not fit is cut whole, and says so", () => {
  const answers = Array.from({ length: 60 }, (_, i) => a("web.example", `10.0.0.${i}`));
  const additionals = [a("more.example", "10.0.0.1")];
  const { written, packet } = respond(query("web.example"), { answers, additionals }, 512);
  expect(written.length).toBeLessThanOrEqual(512);
  expect(packet.flag_tc).toBe(true);
  expect(packet.answers).toHaveLength(30);
  expect(packet.additionals).toHaveLength(0);
});

test("additionals that do not fit are left out without a word", () => {
  const additionals = Array.from({ length: 60 }, (_, i) => a(`m${i}.example`, `10.0.0.${i}`));
  const { packet } = respond(query("web.example"), { answers: [], additionals }, 512);
  expect(packet.flag_tc).toBe(false);
  expect(packet.additionals?.length).toBeGreaterThan(5);
});

test("EDNS is answered with EDNS, an unknown version with BADVERS", () => {
  const { packet } = respond(query("web.example", "A", 1400), {});
  expect(packet.additionals).toMatchObject([{ type: "OPT", udpPayloadSize: 1232 }]);
  expect(respond(query("web.example"), {}).packet.additionals).toEqual([]);
  const odd = query("web.example", "A", 1400);
  odd[odd.length - 5] = 1;
  expect(respond(odd, {}).packet.additionals).toMatchObject([{ extendedRcode: 1 }]);
});

test("the size of an answer follows the asker, within bounds", () => {
  expect(wire.answerBytesMax(read(query("x.example")), false)).toBe(512);
  expect(wire.answerBytesMax(read(query("x.example", "A", 900)), false)).toBe(900);
  expect(wire.answerBytesMax(read(query("x.example", "A", 9000)), false)).toBe(1232);
  expect(wire.answerBytesMax(read(query("x.example")), true)).toBe(65_535);
});

test("answers, other operations and noise are not answered as queries", () => {
  const response = query("web.example");
  response[2] = 0x80;
  expect(wire.readQuery(response)).toBeUndefined();
  expect(wire.readQuery(new Uint8Array(5))).toBeUndefined();
  const notify = query("web.example");
  notify[2] = 0x20;
  expect(wire.readQuery(notify)).toBe(wire.RCODE.NOTIMP);
  const none = query("web.example");
  none[5] = 0;
  expect(wire.readQuery(none)).toBe(wire.RCODE.FORMERR);
  expect(decode(Buffer.from(wire.writeError(none, wire.RCODE.FORMERR)))).toMatchObject({
    id: 4711,
    rcode: "FORMERR",
  } as Packet);
});

test("a name that points at itself ends", () => {
  const loop = Buffer.from(query("web.example"));
  loop[12] = 0xc0;
  loop[13] = 12;
  expect(wire.readQuery(loop)).toBe(wire.RCODE.FORMERR);
});

test("a dot inside a label is no end of it", () => {
  const bytes = Buffer.from(query("a-b.cluster.local"));
  bytes[14] = 0x2e;
  expect(read(bytes).name).toBe("a\\.b.cluster.local");
  const { packet } = respond(bytes, { answers: [a("cluster.local", "10.0.0.1")] });
  expect(packet.answers?.[0]?.name).toBe("cluster.local");
});

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
const ip = fc
  .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
  .map((parts) => parts.join("."));
const ttl = fc.nat(86_400);
const record: fc.Arbitrary<wire.DnsRecord> = fc.oneof(
  fc.record({ name, ttl, type: fc.constant("A" as const), data: ip }),
  fc.record({ name, ttl, type: fc.constantFrom("CNAME" as const, "PTR", "NS"), data: name }),
  fc.record({
    name,
    ttl,
    type: fc.constant("SRV" as const),
    data: fc.record({
      priority: fc.nat(65_535),
      weight: fc.nat(65_535),
      port: fc.nat(65_535),
      target: name,
    }),
  }),
);

test("property: dns-packet reads what is written, and it never gets too long", () => {
  fc.assert(
    fc.property(
      name,
      fc.array(record, { maxLength: 40 }),
      fc.array(record, { maxLength: 40 }),
      fc.integer({ min: 512, max: 4096 }),
      (asked, answers, additionals, max) => {
        const { written, packet } = respond(query(asked), { answers, additionals }, max);
        expect(written.length).toBeLessThanOrEqual(max);
        const count = packet.answers?.length ?? 0;
        expect(packet.flag_tc).toBe(count < answers.length);
        expect(packet.answers).toMatchObject(answers.slice(0, count) as never);
        const more = packet.additionals ?? [];
        expect(more).toMatchObject(additionals.slice(0, more.length) as never);
      },
    ),
    tries(300),
  );
});

test("property: no message makes the reader throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      wire.readQuery(bytes);
    }),
    tries(2_000),
  );
});
