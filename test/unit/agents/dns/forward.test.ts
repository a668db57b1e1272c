import { expect, test } from "bun:test";
import { type Answer, decode, encode } from "dns-packet";
import { type Exchange, Forwarder } from "#agents/dns/forward.ts";
import type { Upstream } from "#agents/dns/upstreams.ts";
import { type Query, readQuery } from "#agents/dns/wire.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";

const ONE: Upstream = { address: "192.0.2.1", port: 53 };
const TWO: Upstream = { address: "192.0.2.2", port: 53 };

function question(name: string, id = 1): { bytes: Buffer; query: Query } {
  const bytes = encode({ type: "query", id, flags: 0x0100, questions: [{ name, type: "A" }] });
  return { bytes, query: readQuery(bytes) as Query };
}

function reply(
  bytes: Uint8Array,
  answers: Answer[],
  flags = 0,
  authorities: Answer[] = [],
): Buffer {
  const { id = 0, questions = [] } = decode(Buffer.from(bytes));
  return encode({ type: "response", id, flags, questions, answers, authorities });
}

const a = (name: string, ttl = 60): Answer => ({ type: "A", name, ttl, data: "198.51.100.7" });

function forwarder(exchange: Exchange) {
  const clock = fakeClock();
  return { clock, it: new Forwarder({ clock, log: silentLog, exchange }) };
}

test("an answer is asked for once, and its time to live runs down", async () => {
  let asked = 0;
  const { clock, it } = forwarder(async (bytes) => {
    asked++;
    return reply(bytes, [a("www.example")]);
  });
  const first = question("www.example", 7);
  expect(decode(Buffer.from(await it.ask(first.bytes, first.query, [ONE], false))).id).toBe(7);
  await clock.advance(20_000);
  const second = question("WWW.example", 8);
  const again = decode(Buffer.from(await it.ask(second.bytes, second.query, [ONE], false)));
  expect(again).toMatchObject({ id: 8, questions: [{ name: "WWW.example" }] });
  expect(again.answers?.[0]).toMatchObject({ ttl: 40, data: "198.51.100.7" });
  await clock.advance(40_000);
  await it.ask(first.bytes, first.query, [ONE], false);
  expect(asked).toBe(2);
});

test("many askers at once are one question", async () => {
  let asked = 0;
  const { it } = forwarder(async (bytes) => {
    asked++;
    await new Promise((done) => setImmediate(done));
    return reply(bytes, [a("www.example")]);
  });
  const askers = [1, 2, 3].map((id) => question("www.example", id));
  const answers = await Promise.all(
    askers.map(({ bytes, query }) => it.ask(bytes, query, [ONE], false)),
  );
  expect(answers.map((bytes) => decode(Buffer.from(bytes)).id)).toEqual([1, 2, 3]);
  expect(asked).toBe(1);
});

test("a server that does not answer is passed over, and asked last for a while", async () => {
  const asked: string[] = [];
  const { clock, it } = forwarder(async (bytes, { address }) => {
    asked.push(address);
    if (address === ONE.address) throw new Error("timeout");
    return reply(bytes, [a("x.example")]);
  });
  for (const name of ["a.example", "b.example"]) {
    const { bytes, query } = question(name);
    await it.ask(bytes, query, [ONE, TWO], false);
  }
  expect(asked).toEqual([ONE.address, TWO.address, TWO.address]);
  await clock.advance(limits.dnsLameMs);
  const { bytes, query } = question("c.example");
  await it.ask(bytes, query, [ONE, TWO], false);
  expect(asked.slice(3)).toEqual([ONE.address, TWO.address]);
});

test("when nobody answers an old answer is given, else it fails", async () => {
  let up = true;
  const { clock, it } = forwarder(async (bytes) => {
    if (!up) throw new Error("unreachable");
    return reply(bytes, [a("www.example", 10)]);
  });
  const { bytes, query } = question("www.example");
  await it.ask(bytes, query, [ONE], false);
  up = false;
  await clock.advance(60_000);
  const old = decode(Buffer.from(await it.ask(bytes, query, [ONE], false)));
  expect(old.answers?.[0]).toMatchObject({ ttl: 5 });
  await clock.advance(3_600_000);
  expect(it.ask(bytes, query, [ONE], false)).rejects.toThrow("unreachable");
  const other = question("other.example");
  expect(it.ask(other.bytes, other.query, [], false)).rejects.toThrow("no upstream server");
});

test("that there is nothing is remembered shortly, a failure or a cut answer is not", async () => {
  const soa: Answer = {
    type: "SOA",
    name: "example",
    ttl: 3_600,
    data: {
      mname: "ns.example",
      rname: "root.example",
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum: 3_600,
    },
  };
  const flags: Record<string, number> = {
    "no.example": 3,
    "bad.example": 2,
    "cut.example": 0x0200,
  };
  let asked = 0;
  const { clock, it } = forwarder(async (bytes) => {
    asked++;
    const name = decode(Buffer.from(bytes)).questions?.[0]?.name ?? "";
    return reply(bytes, [], flags[name], name === "no.example" ? [soa] : []);
  });
  const ask = async (name: string) => {
    const { bytes, query } = question(name);
    await it.ask(bytes, query, [ONE], false);
  };
  await ask("no.example");
  await clock.advance(29_000);
  await ask("no.example");
  expect(asked).toBe(1);
  await clock.advance(1_000);
  await ask("no.example");
  expect(asked).toBe(2);
  for (const name of ["bad.example", "bad.example", "cut.example", "cut.example"]) await ask(name);
  expect(asked).toBe(6);
});

test("the cache has a limit, and drops what was not used for longest", async () => {
  let asked = 0;
  const { it } = forwarder(async (bytes) => {
    asked++;
    return reply(bytes, [a("x.example")]);
  });
  const ask = async (name: string) => {
    const { bytes, query } = question(name);
    await it.ask(bytes, query, [ONE], false);
  };
  await ask("used.example");
  await ask("unused.example");
  for (let i = 0; i < limits.dnsCacheEntriesMax - 1; i++) {
    await ask(`n${i}.example`);
    if (i % 1_000 === 0) await ask("used.example");
  }
  asked = 0;
  await ask("used.example");
  expect(asked).toBe(0);
  await ask("unused.example");
  expect(asked).toBe(1);
});
