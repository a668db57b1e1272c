/**
 * As `test/long/cuts.test.ts`, a few times: of this seed the server and an agent lose their power,
 * and each is cut off.
 */
import { testCuts } from "#test/support/cuts.ts";

testCuts({ nodes: 3, rounds: 4, seed: 97, awayMsMax: 8_000 });
