/**
 * Three servers on three members of etcd, of which one or two at a time are killed or hang while
 * clients create, read, change and delete. What the clients saw of each key must have an order:
 * nothing acknowledged is lost, nothing is seen again that was gone. `bun run test:linear`;
 * LONG_ROUNDS and LONG_SEED say how many faults, and which.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type EtcdCluster, healthy, startEtcd } from "#test/support/etcd.ts";
import { eventually } from "#test/support/instance.ts";
import {
  assertOrdered,
  countOutcomes,
  type Histories,
  playClient,
  read,
} from "#test/support/keyclient.ts";
import type { Event } from "#test/support/linear.ts";
import { seededRandom } from "#test/support/random.ts";
import { type TestServer, type TestServers, testServers } from "#test/support/servers.ts";

const ROUNDS = Number(process.env["LONG_ROUNDS"] ?? 100);
const SEED = Number(process.env["LONG_SEED"] ?? Date.now() % 1_000_000);
const KEYS = 3;
const CLIENTS = 6;
const BEFORE_MS = 200;
const AFTER_MS = 500;
const BACK_MS_MAX = 30_000;
const random = seededRandom(SEED);
const pick = <T>(all: readonly T[]): T => all[Math.floor(random.next() * all.length)] as T;

let etcd: EtcdCluster;
let servers: TestServers;
const all: TestServer[] = [];
let token = "";
const totals: Record<string, number> = {};

const count = (what: string): void => {
  totals[what] = (totals[what] ?? 0) + 1;
};

/** Each server speaks to another member first. */
function datastoreOf(i: number): string[] {
  const urls = [...etcd.urls.slice(i), ...etcd.urls.slice(0, i)];
  return ["--datastore", `etcd=${urls.join(",")}`];
}

beforeAll(async () => {
  etcd = await startEtcd({ members: 3 });
  servers = testServers(etcd.urls);
  let secret: string[] = [];
  for (const i of [0, 1, 2]) {
    const server = await servers.add(`s${i}`, `192.0.2.${i + 1}`);
    await server.start(...datastoreOf(i), ...secret);
    secret = ["--server-token", readFileSync(join(server.dataDir, "server-token"), "utf8").trim()];
    all.push(server);
  }
  token = readFileSync(join(all[0]?.dataDir ?? "", "admin-token"), "utf8").trim();
}, 120_000);

afterAll(async () => {
  await servers?.stop();
  await etcd?.stop();
});

interface Fault {
  readonly name: string;
  begin(): Promise<void> | void;
  end(): Promise<void> | void;
}

function faults(): Fault[] {
  const ofMembers = etcd.members.flatMap((member, i): Fault[] => [
    { name: `kill member ${i}`, begin: () => member.kill(), end: () => member.start() },
    { name: `pause member ${i}`, begin: () => member.pause(), end: () => member.resume() },
  ]);
  const ofServers = all.flatMap((server, i): Fault[] => [
    {
      name: `kill server ${i}`,
      begin: () => server.kill("SIGKILL"),
      end: () => server.start(...datastoreOf(i)),
    },
    {
      name: `pause server ${i}`,
      begin: () => server.kill("SIGSTOP"),
      end: () => server.kill("SIGCONT"),
    },
  ]);
  return [...ofMembers, ...ofServers];
}

async function allBack(): Promise<void> {
  const up = async () => (await Promise.all(etcd.urls.map((url) => healthy(url)))).every(Boolean);
  await eventually("etcd is whole", BACK_MS_MAX, up);
  await eventually("all servers answer", BACK_MS_MAX, async () => {
    const events: Event[] = [];
    const name = "nothing";
    await Promise.all(all.map(({ url }) => read({ url, token, name }, events)));
    return events.every(({ outcome }) => outcome === "absent");
  });
}

async function round(number: number): Promise<void> {
  const names = Array.from({ length: KEYS }, (_, i) => `r${number}-k${i}`);
  const histories: Histories = new Map(names.map((name) => [name, []]));
  // Another one may fall into it: two of three members, or a server with its member.
  const chosen = random.next() < 0.25 ? [pick(faults()), pick(faults())] : [pick(faults())];
  const now = chosen.filter(({ name }, i) => {
    return chosen.findIndex((other) => other.name.slice(-8) === name.slice(-8)) === i;
  });
  let over = false;
  const urls = all.map(({ url }) => url);
  // Their own, or what they happen to draw would decide which faults come.
  const chance = seededRandom(SEED + number);
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    playClient({ id: `c${i}`, urls, token, random: chance }, histories, () => over),
  );
  try {
    await Bun.sleep(BEFORE_MS);
    for (const fault of now) await fault.begin();
    await Bun.sleep(300 + random.next() * 2_500);
    for (const fault of now) await fault.end();
    await allBack();
    await Bun.sleep(AFTER_MS);
  } finally {
    over = true;
    await Promise.all(clients);
  }
  for (const [name, events] of histories) {
    for (const { url } of all) await read({ url, token, name }, events);
  }
  for (const { name } of now) count(name.slice(0, -2));
  countOutcomes(histories, totals);
  assertOrdered(histories, SEED, now.map(({ name }) => name).join(" and "));
}

test(`after ${ROUNDS} faults (seed ${SEED}) what clients saw has an order`, async () => {
  const started = performance.now();
  for (let number = 0; number < ROUNDS; number++) await round(number);
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(`${ROUNDS} rounds in ${seconds} s, seed ${SEED}: ${JSON.stringify(totals)}`);
  expect(totals["update done"] ?? 0).toBeGreaterThan(ROUNDS);
}, 14_400_000);
