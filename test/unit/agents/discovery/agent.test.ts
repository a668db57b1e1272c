import { expect, test } from "bun:test";
import { announce, browse, type FoundService } from "#agents/discovery/agent.ts";
import type { Link, OpenLink } from "#agents/discovery/link.ts";
import { silentLog } from "#base/log.ts";
import { type FakeClock, fakeClock } from "#test/support/clock.ts";

/** A LAN in memory: every socket hears every packet, its own, too. */
class FakeLan {
  readonly #heard = new Set<(bytes: Uint8Array, from: { address: string; port: number }) => void>();
  packets = 0;

  machine(address: string): { links: Link[]; openLink: OpenLink } {
    const subnets = [`${address}/24`];
    const links: Link[] = [
      { name: "eth0", family: "IPv4", address, addresses: [address], subnets },
    ];
    const openLink: OpenLink = async (link, onMessage) => {
      this.#heard.add(onMessage);
      return {
        send: async (bytes) => {
          this.packets++;
          const from = { address: link.address, port: 5353 };
          for (const hear of [...this.#heard]) queueMicrotask(() => hear(bytes, from));
        },
        close: () => this.#heard.delete(onMessage),
      };
    };
    return { links, openLink };
  }
}

const random = { next: () => 0.5, uuid: () => "", bytes: (n: number) => new Uint8Array(n) };
const facts = { role: "server" as const, port: 6443, version: "1", caSha256: "abc", cluster: "c" };

function around(clock: FakeClock, machine: ReturnType<FakeLan["machine"]>) {
  const { openLink, links } = machine;
  return { clock, random, log: silentLog, openLink, listLinks: () => links };
}

test("a device finds a server, and hears when it goes", async () => {
  const lan = new FakeLan();
  const clock = fakeClock();
  const stop = announce({ name: "one", ...facts, ...around(clock, lan.machine("10.0.0.1")) });
  await clock.advance(3_000);
  const found: FoundService[] = [];
  const lost: string[] = [];
  const ending = new AbortController();
  const browsing = browse({
    ...around(clock, lan.machine("10.0.0.2")),
    signal: ending.signal,
    onFound: (service) => found.push(service),
    onLost: (instance) => lost.push(instance),
  });
  await clock.advance(50);
  const instance = "one._bramble._tcp.local";
  const one = { instance, name: "one", addresses: ["10.0.0.1"], ...facts };
  expect(found).toEqual([one]);
  await stop();
  await clock.advance(1_500);
  expect(lost).toEqual([instance]);
  ending.abort();
  expect(await browsing).toEqual([]);
  await clock.settle();
  expect(clock.timers).toBe(0);
});

test("a browse ends at its time with what is there", async () => {
  const lan = new FakeLan();
  const clock = fakeClock();
  const stop = announce({ name: "one", ...facts, ...around(clock, lan.machine("10.0.0.1")) });
  const browsing = browse({ ...around(clock, lan.machine("10.0.0.2")), timeoutMs: 2_000 });
  await clock.advance(2_000);
  expect((await browsing).map(({ name }) => name)).toEqual(["one"]);
  await stop();
});

test("of two machines with one name the later one takes another", async () => {
  const lan = new FakeLan();
  const clock = fakeClock();
  announce({ name: "one", ...facts, ...around(clock, lan.machine("10.0.0.1")) });
  await clock.advance(3_000);
  announce({ name: "one", ...facts, ...around(clock, lan.machine("10.0.0.2")) });
  await clock.advance(5_000);
  const browsing = browse({ ...around(clock, lan.machine("10.0.0.3")), timeoutMs: 2_000 });
  await clock.advance(2_000);
  const found = (await browsing).map(({ instance, addresses }) => [instance, addresses[0]]);
  expect(found.sort()).toEqual([
    ["one-2._bramble._tcp.local", "10.0.0.2"],
    ["one._bramble._tcp.local", "10.0.0.1"],
  ]);
});

test("a server whose address changed is found at the new one, without being asked", async () => {
  const lan = new FakeLan();
  const clock = fakeClock();
  const machine = lan.machine("10.0.0.1");
  const moved = lan.machine("10.0.0.77");
  announce({ name: "one", ...facts, ...around(clock, machine) });
  await clock.advance(3_000);
  const addresses: Array<string | undefined> = [];
  browse({
    ...around(clock, lan.machine("10.0.0.2")),
    timeoutMs: 60_000,
    onFound: (service) => addresses.push(service.addresses[0]),
  });
  await clock.advance(1_000);
  machine.links.splice(0, 1, ...moved.links);
  await clock.advance(6_000);
  expect(addresses).toEqual(["10.0.0.1", "10.0.0.77"]);
});

test("a flood of questions is answered within bounds", async () => {
  const lan = new FakeLan();
  const clock = fakeClock();
  announce({ name: "one", ...facts, ...around(clock, lan.machine("10.0.0.1")) });
  await clock.advance(3_000);
  const before = lan.packets;
  for (let i = 0; i < 100; i++) {
    browse({ ...around(clock, lan.machine("10.0.0.2")), timeoutMs: 100 });
  }
  await clock.advance(100);
  const questions = 100;
  expect(lan.packets - before - questions).toBeLessThanOrEqual(20);
});

test("packets of another link and noise are ignored", async () => {
  const clock = fakeClock();
  let hear: Parameters<OpenLink>[1] = () => {};
  const machine = new FakeLan().machine("10.0.0.2");
  machine.openLink = async (_link, onMessage) => {
    hear = onMessage;
    return { send: async () => {}, close: () => {} };
  };
  const lan = new FakeLan();
  let said = new Uint8Array();
  const other = lan.machine("192.168.7.1");
  other.openLink = async () => ({
    send: async (bytes) => {
      said = bytes.slice();
    },
    close: () => {},
  });
  announce({ name: "one", ...facts, ...around(clock, other) });
  const found: string[] = [];
  const onFound = ({ name }: FoundService) => found.push(name);
  const browsing = browse({ ...around(clock, machine), timeoutMs: 5_000, onFound });
  await clock.advance(3_000);
  hear(said, { address: "192.168.7.1", port: 5353 });
  hear(new Uint8Array([1, 2, 3]), { address: "10.0.0.9", port: 5353 });
  await clock.advance(1_000);
  expect(found).toEqual([]);
  hear(said, { address: "10.0.0.9", port: 5353 });
  await clock.advance(1_000);
  expect(found).toEqual(["one"]);
  await browsing;
});
