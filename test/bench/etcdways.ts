/**
 * The two ways to etcd that Bun has, beside one another on one member: gRPC as the store speaks it,
 * and etcd's JSON gateway by fetch(). Each writes new objects of 1.5 KB by transactions and reads
 * them again, 16 at a time, in turns.
 *
 *   bun run bench:etcd-ways [--rounds 3] [--count 2000]
 */
import { parseArgs } from "node:util";
import { createGrpc } from "#base/grpc.ts";
import { keyRequest, rangeAnswer, txnAnswer, txnRequest } from "#store/etcd/messages.ts";
import { measureAll, owned } from "#test/bench/ends.ts";
import { cpuSeconds } from "#test/bench/process.ts";
import { median } from "#test/bench/statistics.ts";
import { startEtcd } from "#test/support/etcd.ts";

const CLIENTS = 16;
const CONNECT_MS_MAX = 5_000;
const VALUE = "x".repeat(1_500);

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    count: { type: "string", default: "2000" },
  },
});
const count = Number(flags.count);

/** Both tell the revision that they saw, and fail where the other side does. */
interface Way {
  create(key: string): Promise<number>;
  read(key: string): Promise<number>;
}

function grpcWay(url: URL): Way {
  const endpoint = { hostname: url.hostname, port: Number(url.port) };
  const grpc = createGrpc({ endpoint, connectMsMax: CONNECT_MS_MAX });
  return {
    async create(key) {
      const request = txnRequest({ key, value: VALUE, expect: 0 });
      return txnAnswer(await grpc.unary("etcdserverpb.KV/Txn", request)).revision;
    },
    async read(key) {
      const bytes = await grpc.unary("etcdserverpb.KV/Range", keyRequest(key));
      const { value } = rangeAnswer(bytes).items[0] ?? { value: "" };
      if (value.length !== VALUE.length) throw new Error(`${key}: ${value.length} characters`);
      return rangeAnswer(bytes).revision;
    },
  };
}

interface GatewayAnswer {
  readonly header: { readonly revision: string };
  readonly succeeded?: boolean;
  readonly kvs?: ReadonlyArray<{ readonly value: string }>;
}

function gatewayWay(url: URL): Way {
  const ask = async (path: string, body: object): Promise<GatewayAnswer> => {
    const answer = await fetch(new URL(path, url), { method: "POST", body: JSON.stringify(body) });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return (await answer.json()) as GatewayAnswer;
  };
  return {
    async create(text) {
      const key = btoa(text);
      const { header, succeeded } = await ask("/v3/kv/txn", {
        compare: [{ target: "MOD", key, modRevision: 0 }],
        success: [{ requestPut: { key, value: btoa(VALUE) } }],
      });
      if (succeeded !== true) throw new Error(`${text} was there`);
      return Number(header.revision);
    },
    async read(text) {
      const { header, kvs } = await ask("/v3/kv/range", { key: btoa(text) });
      const value = atob(kvs?.[0]?.value ?? "");
      if (value.length !== VALUE.length) throw new Error(`${text}: ${value.length} characters`);
      return Number(header.revision);
    },
  };
}

interface Figures {
  readonly perSecond: number;
  /** Of this process, without etcd. */
  readonly cpuMicros: number;
}

async function measure(one: (key: string) => Promise<number>, prefix: string): Promise<Figures> {
  const [began, cpu] = [performance.now(), cpuSeconds(process.pid)];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) await one(`${prefix}/${next++}`);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  const seconds = (performance.now() - began) / 1000;
  const cpuMicros = ((cpuSeconds(process.pid) - cpu) / count) * 1e6;
  return { perSecond: count / seconds, cpuMicros };
}

function row(what: string, all: readonly Figures[]): string {
  const perSecond = median(all.map((each) => each.perSecond));
  const cpuMicros = median(all.map((each) => each.cpuMicros));
  return `| ${what} | ${perSecond.toFixed(0)}/s | ${cpuMicros.toFixed(0)} µs |`;
}

await measureAll(async () => {
  const [etcd] = await owned(
    () => startEtcd(),
    (it) => it.stop(),
  );
  const url = new URL(etcd.urls[0] ?? "");
  const ways = { gRPC: grpcWay(url), "JSON gateway": gatewayWay(url) };
  const seen = new Map<string, Figures[]>();
  // The first round warms up both.
  for (let round = 0; round <= Number(flags.rounds); round++) {
    for (const [name, way] of Object.entries(ways)) {
      for (const [what, one] of [
        ["create", way.create],
        ["read", way.read],
      ] as const) {
        const figures = await measure(one, `${name}-${round}`);
        if (round > 0)
          seen.set(`${what}, ${name}`, [...(seen.get(`${what}, ${name}`) ?? []), figures]);
      }
    }
  }
  console.log("| what | a second | computing |\n| --- | --- | --- |");
  for (const [what, all] of seen) console.log(row(what, all));
});
