/** Writes that were decided by objects as this server knew them. */
import type { Rest } from "#api/admission.ts";
import type { Core } from "#api/core.ts";
import { limits } from "#base/limits.ts";
import { type Item, StaleError, type Write } from "#store/store.ts";

/** Where one of them changed meanwhile, it is decided again. @throws as the store's `write`. */
export async function writeResting(
  core: Core,
  rests: readonly Rest[],
  write: Write,
): Promise<Item> {
  let left = limits.writeRetriesMax;
  for (let now = rests; ; ) {
    try {
      return await core.store.write({ ...write, rests: now.map(({ seen }) => seen) });
    } catch (error) {
      if (!(error instanceof StaleError) || --left === 0) throw error;
      now = await Promise.all(now.map((rest) => rest.again()));
    }
  }
}
