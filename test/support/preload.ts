/** Before each file of tests: `PROPERTY_SEED` makes properties try the same in every run. */
import fc from "fast-check";

const seed = process.env["PROPERTY_SEED"];
if (seed !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });
