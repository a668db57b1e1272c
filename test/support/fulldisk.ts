/**
 * Fills a small disk with a store until it is refused, makes room, goes on: `bun fulldisk.ts DIR`,
 * where DIR is a tmpfs that this process may enlarge. Prints one line of JSON.
 */
import { join } from "node:path";
import { must } from "#base/assert.ts";
import type { Item } from "#store/store.ts";
import { openTestStore } from "#test/support/store.ts";
import { put } from "#test/support/suites/store.ts";

const dir = must(process.argv[2], "directory");
const path = join(dir, "state.db");
const text = "x".repeat(8_000);
const store = await openTestStore(path);
const kept: Item[] = [];
const refused: string[] = [];

/** Writes batches of eight until `enough`; what was acknowledged is kept. */
async function fill(name: string, enough: () => boolean): Promise<void> {
  for (let round = 0; !enough() && round < 1_000; round++) {
    const writes = Array.from({ length: 8 }, (_, i) =>
      store.write(put(`core/pods/${name}/p${round}-${i}`, text)),
    );
    for (const result of await Promise.allSettled(writes)) {
      if (result.status === "fulfilled") kept.push(result.value);
      else refused.push(String(result.reason?.name));
    }
  }
}

await fill("a", () => refused.length >= 16);
const whenFull = kept.length;
const readable = (await store.list({ prefix: "core/pods/" })).items.length;
const room = Bun.spawnSync(["mount", "-o", "remount,size=32m", dir]);
if (room.exitCode !== 0) throw new Error(`no room was made: ${room.stderr}`);
await fill("b", () => kept.length >= whenFull + 400);
await store.close();

const again = await openTestStore(path);
let lost = 0;
for (const item of kept) if (!Bun.deepEquals(await again.get(item.key), item)) lost++;
const extra = again.count("core/pods/") - kept.length;
await again.close();
const errors = [...new Set(refused)];
console.log(JSON.stringify({ whenFull, readable, after: kept.length, lost, extra, errors }));
