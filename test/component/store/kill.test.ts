/** `kill -9` under load, many times: nothing that was acknowledged is lost, revisions go on. */
import { expect, test } from "bun:test";
import { killRounds } from "#test/support/durability.ts";
import { seededRandom } from "#test/support/random.ts";
import { tempDir } from "#test/support/store.ts";

test("20 times killed, nothing lost", async () => {
  const dir = tempDir();
  try {
    const toll = await killRounds({ dir: dir.path, rounds: 20, random: seededRandom(1) });
    expect(toll.lost).toEqual([]);
    expect(toll.rounds).toBe(20);
    expect(toll.acknowledged).toBeGreaterThan(200);
  } finally {
    dir.remove();
  }
}, 180_000);
