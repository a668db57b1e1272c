/** Prints what stands in a datastore that `storewriter.ts` wrote: `bun storedump.ts DATABASE`. */
import { must } from "#base/assert.ts";
import { standingIn } from "#test/support/durability.ts";

console.log(JSON.stringify(await standingIn(must(process.argv[2], "path"))));
