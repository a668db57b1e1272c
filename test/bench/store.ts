/**
 * The bare store: durable writes a second with 1, 16 and 128 writers. `bun test/bench/store.ts
 * [SECONDS]`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { Codec, Store } from "#store/store.ts";

const SECONDS = Number(process.argv[2] ?? 3);
const BODY = `{"kind":"ConfigMap","data":{"text":"${"x".repeat(1400)}"}}`;

const codec: Codec = {
  stamp: (value, revision) => `{"resourceVersion":"${revision}",${value.slice(1)}`,
  terms: () => ({ labels: {}, fields: {} }),
};
const terms = { labels: { app: "web" }, fields: { "metadata.namespace": "default" } };

function percentile(sorted: readonly number[], share: number): string {
  return (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2);
}

async function load(store: Store, writers: number, update: boolean): Promise<string> {
  const times: number[] = [];
  const end = performance.now() + SECONDS * 1000;
  let stall = 0;
  let tick = performance.now();
  const ticker = setInterval(() => {
    stall = Math.max(stall, performance.now() - tick - 1);
    tick = performance.now();
  }, 1);
  const cpu = process.cpuUsage();
  const writer = async (id: number): Promise<void> => {
    let expect = 0;
    for (let i = 0; performance.now() < end; i++) {
      const name = update ? `u${writers}-${id}` : `c${writers}-${id}-${i}`;
      const start = performance.now();
      const key = `core/configmaps/default/${name}`;
      const item = await store.write({ key, value: BODY, terms, expect });
      if (update) expect = item.revision;
      times.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, id) => writer(id)));
  clearInterval(ticker);
  const used = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const perWriteUs = ((used.user + used.system) / times.length).toFixed(1);
  return [
    `${update ? "update" : "create"} x${writers}`.padEnd(12),
    `${Math.round(times.length / SECONDS)}/s`.padStart(9),
    `p50 ${percentile(times, 0.5)} ms`,
    `p99 ${percentile(times, 0.99)} ms`,
    `stall ${stall.toFixed(1)} ms`,
    `cpu ${perWriteUs} us`,
  ].join("  ");
}

const dir = mkdtempSync(join(tmpdir(), "bramble-bench-"));
try {
  const path = join(dir, "state.db");
  const store = await openSqliteStore({ path, codec, clock: realClock, log: silentLog });
  for (const update of [false, true]) {
    for (const writers of [1, 16, 128]) console.log(await load(store, writers, update));
  }
  const start = performance.now();
  const { items } = await store.list({ prefix: "core/configmaps/" });
  console.log(`list of ${items.length}: ${(performance.now() - start).toFixed(1)} ms`);
  await store.close();
} finally {
  rmSync(dir, { recursive: true });
}
