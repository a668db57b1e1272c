/**
 * A process that writes until it is killed: `bun storewriter.ts DATABASE WRITERS`. It prints one
 * line for each acknowledged write, `KEY REVISION TEXT`, or `KEY REVISION -` for a delete; before
 * each delete `try KEY REVISION`, for a delete that is not answered leaves no other trace; and
 * `refused REASON` for each write that the disk refused, which is tried again a moment later.
 */
import { writeSync } from "node:fs";
import { must } from "#base/assert.ts";
import { realClock, sleep } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { StorageError } from "#store/store.ts";
import { put, testCodec } from "#test/support/suites/store.ts";

const [path, writers = "16"] = process.argv.slice(2);
const store = await openSqliteStore({
  path: must(path, "path"),
  codec: testCodec,
  clock: realClock,
  log: silentLog,
});
// Written at once, past every buffer of the runtime: what is printed was acknowledged before.
const say = (line: string): number => writeSync(1, `${line}\n`);
say(`open ${store.revision()}`);

const REFUSED_MS = 50;

async function write(id: number): Promise<never> {
  const keys = Array.from({ length: 8 }, (_, i) => `core/pods/w${id}/p${i}`);
  for (let round = 0; ; round++) {
    try {
      await step(id, keys, round);
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      say(`refused ${error.message.replaceAll("\n", " ")}`);
      await sleep(realClock, REFUSED_MS);
    }
  }
}

async function step(id: number, keys: readonly string[], round: number): Promise<void> {
  const key = must(keys[round % keys.length], "key");
  const stood = await store.get(key);
  const revision = stood?.revision ?? 0;
  if (stood !== undefined && round % 5 === 4) {
    say(`try ${key} ${revision}`);
    const gone = await store.write({ key, expect: revision });
    say(`${key} ${gone.revision} -`);
  } else {
    const text = `t${round}-${"x".repeat((round * 37) % 3000)}`;
    const item = await store.write(put(key, text, revision));
    say(`${key} ${item.revision} ${text}`);
  }
  if (round % 7 === 6) {
    const lease = `coordination.k8s.io/leases/w/${id}`;
    const before = (await store.get(lease))?.revision ?? 0;
    const item = await store.write({ ...put(lease, "lazy", before), durability: "lazy" });
    say(`lazy ${item.revision}`);
  }
}

await Promise.all(Array.from({ length: Number(writers) }, (_, id) => write(id)));
