/**
 * Acknowledged writes lost in many kills: `bun test/bench/durability.ts --rounds 200 [--seed 1]`
 */
import { parseArgs } from "node:util";
import { killRounds } from "#test/support/durability.ts";
import { seededRandom } from "#test/support/random.ts";
import { tempDir } from "#test/support/store.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    json: { type: "boolean", default: false },
  },
});

const dir = tempDir();
try {
  const random = seededRandom(Number(values.seed));
  const toll = await killRounds({ dir: dir.path, rounds: Number(values.rounds), random });
  const { rounds, acknowledged, lost } = toll;
  if (values.json) {
    console.log(JSON.stringify({ rounds, acknowledged, lost: lost.length, seed: values.seed }));
  } else {
    console.log(`killed ${rounds} times under load (seed ${values.seed})`);
    console.log(`acknowledged writes: ${acknowledged}`);
    console.log(`lost: ${lost.length}`);
  }
  for (const line of lost.slice(0, 20)) console.error(line);
  process.exitCode = lost.length === 0 ? 0 : 1;
} finally {
  dir.remove();
}
