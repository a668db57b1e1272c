/**
 * Starts this program anew, in the same process, with options of the JavaScript engine and its
 * memory that are read at the start only.
 */
import { totalmem } from "node:os";
import { readText } from "#base/files.ts";
import { engineMemory, memoryLimit } from "./enginememory.ts";

const OPTIONS: Readonly<Record<string, string>> = {
  // The engine's last compiler costs more than it gives here. Measured without it on two cores, by
  // 2,000 and by 15,000 requests of each kind after a start: creates 1.08 and 1.20 times as many a
  // second, gets 1.20 and 1.15, merge patches 1.33 and 1.06; only filters over 15,000 objects are
  // slower (0.8). A quarter less computing in all.
  BUN_JSC_useFTLJIT: "0",
  // On 16 GB and more the engine lets its heap become three times what lives until it looks for
  // young garbage, and six times until it looks for all; on less, twice and three times. Here it
  // is 1.5 times and twice, and all is looked for while what is young is less than a quarter of
  // what is old. To look for what is young takes 2 ms however much it is, for all 40 ms beside the
  // work: under load from 16 clients the server computes 5 % more, with 180 MB instead of 350 (1.4
  // times instead of 1.5: another 5 %, 173 MB).
  BUN_JSC_heapGrowthFunctionThresholdInMB: String(2 ** 20),
  BUN_JSC_smallHeapGrowthFactor: "1.5",
  BUN_JSC_minEdenToOldGenerationRatio: "0.25",
  // Milliseconds. Memory that is needed again at once is not given back in between: 5 % less
  // computing for a write.
  MIMALLOC_PURGE_DELAY: "1000",
};

/** Set by ourselves: the program was started anew already. */
const STARTED = "BRAMBLE_LEAN";

/** Does not return where it starts anew. Options that the operator set stay as they are. */
export function leanly(args: readonly string[]): void {
  const { env, execPath } = process;
  if (env[STARTED] !== undefined) {
    // Programs that are started from here need not know.
    for (const name of (env[STARTED] ?? "").split(" ")) delete env[name];
    delete env[STARTED];
    return;
  }
  if (!Bun.isStandaloneExecutable || process.execve === undefined) return;
  const bytes = engineMemory(memoryLimit(readText), totalmem());
  const options = {
    ...OPTIONS,
    ...(bytes !== undefined && { BUN_JSC_forceRAMSize: String(bytes) }),
  };
  const added = Object.entries(options).filter(([name]) => env[name] === undefined);
  const names = added.map(([name]) => name).join(" ");
  try {
    const more = { ...Object.fromEntries(added), [STARTED]: names };
    process.execve(execPath, [execPath, ...args], { ...env, ...more });
  } catch {
    // The file was replaced or taken away meanwhile: this one works on, only not as leanly.
  }
}
