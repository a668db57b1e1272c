/**
 * How often a property is tried: a few times with the other unit tests, which end in seconds, and
 * as often as it asks for by `bun run test:property`, which runs the tests `property: …` alone.
 */
const thorough = process.env["PROPERTY_RUNS"] === "all";

const QUICK_RUNS_MAX = 5;

/** Parameters for `fc.assert`. */
export const tries = (numRuns: number): { numRuns: number } => ({
  numRuns: thorough ? numRuns : Math.min(numRuns, QUICK_RUNS_MAX),
});

/** A size that takes long to make, and what will do for a first look. */
export const sized = (whole: number, quick: number): number => (thorough ? whole : quick);
