/**
 * Random power cuts and partitions of a cluster of LONG_NODES nodes (default 5): `bun run
 * test:cuts`. LONG_ROUNDS (default 50) and LONG_SEED say how many, and which.
 */
import { testCuts } from "#test/support/cuts.ts";

testCuts({
  nodes: Number(process.env["LONG_NODES"] ?? 5),
  rounds: Number(process.env["LONG_ROUNDS"] ?? 50),
  seed: Number(process.env["LONG_SEED"] ?? Date.now() % 1_000_000),
  awayMsMax: 12_000,
});
