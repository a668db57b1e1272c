import { expect, test } from "bun:test";
import { type Answer, type DecodedPacket, decode, encode } from "dns-packet";
import { Forwarder } from "#agents/dns/forward.ts";
import { type View, Zone } from "#agents/dns/plan.ts";
import { Resolver } from "#agents/dns/resolver.ts";
import { silentLog } from "#base/log.ts";
import { fakeClock } from "#test/support/clock.ts";
import { view } from "#test/unit/agents/dns/view.ts";

const config = { domain: "cluster.local", addresses: ["10.43.0.10"] };

function resolver(at: View = view, random = () => 0) {
  const asked: string[] = [];
  const exchange = async (bytes: Uint8Array) => {
    const { id = 0, questions = [] } = decode(Buffer.from(bytes));
    const name = questions[0]?.name ?? "";
    asked.push(name);
    if (name === "down.example") throw new Error("unreachable");
    const answers: Answer[] = [{ type: "A", name, ttl: 60, data: "198.51.100.7" }];
    return encode({ type: "response", id, questions, answers });
  };
  const it = new Resolver({
    config,
    cidrs: ["10.43.0.0/16", "10.42.0.0/16"],
    zone: new Zone(config, at),
    forwarder: new Forwarder({ clock: fakeClock(), log: silentLog, exchange }),
    forwarding: async () => ({
      upstreams: [{ address: "192.0.2.1", port: 53 }],
      stubs: new Map(),
      hosts: new Map([["nas.lan", ["10.0.0.9"]]]),
    }),
    random: { next: random, uuid: () => "", bytes: (count) => new Uint8Array(count) },
  });
  return { it, asked };
}

async function ask(
  it: Resolver,
  name: string,
  type = "A",
  stream = false,
): Promise<DecodedPacket & { rcode?: string }> {
  const bytes = encode({ type: "query", id: 9, questions: [{ name, type: type as "A" }] });
  const reply = await it.answer(bytes, stream);
  if (reply === undefined) throw new Error("no answer");
  return decode(Buffer.from(reply));
}

test("a name of the cluster is answered at once, with authority", () => {
  const { it, asked } = resolver();
  const questions = [{ name: "kubernetes.default.svc.cluster.local", type: "A" as const }];
  const reply = it.answer(encode({ type: "query", id: 3, questions }), false);
  expect(reply).toBeInstanceOf(Uint8Array);
  expect(decode(Buffer.from(reply as Uint8Array))).toMatchObject({
    id: 3,
    flag_aa: true,
    answers: [{ data: "10.43.0.1" }],
  });
  expect(asked).toEqual([]);
});

test("nothing and no such name say how long that may be believed", async () => {
  const { it } = resolver();
  for (const [name, rcode] of [
    ["db.default.svc.cluster.local", "NOERROR"],
    ["nothing.default.svc.cluster.local", "NXDOMAIN"],
  ] as const) {
    const packet = await ask(it, name, "AAAA");
    expect(packet).toMatchObject({ rcode, answers: [], authorities: [{ type: "SOA", ttl: 5 }] });
  }
});

test("an answer that was kept fits the next asker, until something changes", async () => {
  let ip = "10.43.0.1";
  const { it } = resolver({
    ...view,
    service: () => ({ spec: { clusterIP: ip, clusterIPs: [ip] } }),
  });
  const name = "web.default.svc.cluster.local";
  expect((await ask(it, name)).answers).toMatchObject([{ data: "10.43.0.1" }]);
  ip = "10.43.0.2";
  expect(await ask(it, name)).toMatchObject({ id: 9, answers: [{ data: "10.43.0.1" }] });
  it.forget();
  expect((await ask(it, name)).answers).toMatchObject([{ data: "10.43.0.2" }]);
});

test("several answers come in changing order", async () => {
  let draw = 0;
  const { it } = resolver(view, () => draw);
  const first = async () => (await ask(it, "db.default.svc.cluster.local")).answers?.[0];
  expect(await first()).toMatchObject({ data: "10.42.1.6" });
  draw = 0.99;
  expect(await first()).toMatchObject({ data: "10.42.0.5" });
});

test("other names go to the upstream server", async () => {
  const { it, asked } = resolver();
  expect((await ask(it, "www.example.com")).answers).toMatchObject([{ data: "198.51.100.7" }]);
  expect(asked).toEqual(["www.example.com"]);
  expect(await ask(it, "down.example")).toMatchObject({ rcode: "SERVFAIL", id: 9 });
});

test("an ExternalName is followed, outside and inside of the cluster", async () => {
  const { it } = resolver();
  expect((await ask(it, "mirror.shop.svc.cluster.local")).answers).toMatchObject([
    { type: "CNAME", data: "www.example.com" },
    { type: "A", name: "www.example.com", data: "198.51.100.7" },
  ]);
  expect((await ask(it, "inside.shop.svc.cluster.local")).answers).toMatchObject([
    { type: "CNAME", data: "kubernetes.default.svc.cluster.local" },
    { type: "A", data: "10.43.0.1" },
  ]);
  expect((await ask(it, "circle.shop.svc.cluster.local")).rcode).toBe("SERVFAIL");
});

test("fixed hosts and unknown addresses of the cluster need no upstream", async () => {
  const { it, asked } = resolver();
  expect((await ask(it, "nas.lan")).answers).toMatchObject([{ data: "10.0.0.9" }]);
  expect((await ask(it, "200.0.43.10.in-addr.arpa", "PTR")).rcode).toBe("NXDOMAIN");
  expect(asked).toEqual([]);
  await ask(it, "1.1.1.1.in-addr.arpa", "PTR");
  expect(asked).toEqual(["1.1.1.1.in-addr.arpa"]);
});

test("a headless Service with many pods: cut over UDP, whole over TCP", async () => {
  const addresses = Array.from({ length: 200 }, (_, i) => `10.42.${i >> 7}.${i & 127}`);
  const { it } = resolver({
    ...view,
    slices: () => [
      {
        addressType: "IPv4",
        endpoints: addresses.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
      },
    ],
  });
  const cut = await ask(it, "db.default.svc.cluster.local");
  expect(cut.flag_tc).toBe(true);
  expect(cut.answers?.length).toBeGreaterThan(20);
  const whole = await ask(it, "db.default.svc.cluster.local", "A", true);
  expect(whole.flag_tc).toBe(false);
  expect(whole.answers).toHaveLength(200);
});

test("other classes and EDNS versions are refused politely", async () => {
  const { it } = resolver();
  const chaos = encode({ type: "query", questions: [{ name: "version.bind", type: "TXT" }] });
  chaos.writeUInt16BE(3, chaos.length - 2);
  expect(decode(Buffer.from((await it.answer(chaos, false)) ?? []))).toMatchObject({
    rcode: "REFUSED",
  } as object);
});

test("who asks the same has the same answer, but for the number of the question", () => {
  const { it } = resolver();
  const questions = [{ name: "kubernetes.default.svc.cluster.local", type: "A" as const }];
  const answer = (id: number): DecodedPacket => {
    const reply = it.answer(encode({ type: "query", id, questions }), false);
    return decode(Buffer.from(reply as Uint8Array));
  };
  const [first, second] = [answer(0x1234), answer(0xabcd)];
  expect([first.id, second.id]).toEqual([0x1234, 0xabcd]);
  expect({ ...second, id: 0 }).toEqual({ ...first, id: 0 });
});
