/** Where two answers differ. */
import type { Answer } from "./ask.ts";
import { exceptions } from "./exceptions.ts";

/** `.spec.replicas: 1, not 2`: what Kubernetes says, then what was said here. */
export function differences(theirs: unknown, ours: unknown, at = ""): string[] {
  if (Bun.deepEquals(theirs, ours)) return [];
  if (Array.isArray(theirs) && Array.isArray(ours) && theirs.length === ours.length) {
    return theirs.flatMap((one, index) => differences(one, ours[index], `${at}[${index}]`));
  }
  if (isMap(theirs) && isMap(ours)) {
    const keys = new Set([...Object.keys(theirs), ...Object.keys(ours)]);
    return [...keys].flatMap((key) => differences(theirs[key], ours[key], `${at}.${key}`));
  }
  return [`${at}: ${JSON.stringify(theirs)}, not ${JSON.stringify(ours)}`];
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Those that nothing excuses. */
export function answerDifferences(theirs: Answer, ours: Answer): string[] {
  const excused = exceptions.filter(({ step }) => step.test(theirs.name));
  return differences({ ...theirs, name: "" }, { ...ours, name: "" }).filter(
    (line) => !excused.some(({ at }) => at.test(line)),
  );
}
