/** Semantic versions. https://semver.org/spec/v2.0.0.html */
import { CelError } from "#api/cel/engine/problems.ts";

export interface Semver {
  readonly major: bigint;
  readonly minor: bigint;
  readonly patch: bigint;
  readonly before: readonly string[];
}

/** Of 64 bits at most. */
const NUMBER = "(0|[1-9]\\d{0,19})";
const VERSION = new RegExp(
  `^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-([0-9A-Za-z.-]+))?(?:\\+([0-9A-Za-z.-]+))?$`,
);

/** Without `v` and zeros in front, and with all three numbers. */
function normalized(text: string): string {
  const bare = text.replace(/^v/, "");
  const [, numbers = bare, rest = ""] = /^([^+-]*)(.*)$/s.exec(bare) ?? [];
  const parts = numbers.split(".");
  const [major = "0", minor = "0", ...more] = parts.map((part) => part.replace(/^0+(?=\d)/, ""));
  const patch = more.length === 0 ? "0" : more.join(".");
  return `${major}.${minor}.${patch}${rest}`;
}

/** @throws CelError. */
export function parseSemver(text: string, normalize: boolean): Semver {
  const match = VERSION.exec(normalize ? normalized(text) : text);
  const [, major = "0", minor = "0", patch = "0", pre] = match ?? [];
  const before = pre === undefined ? [] : pre.split(".");
  const bad = before.some((part) => part === "" || /^0\d+$/.test(part));
  if (match === null || bad) throw new CelError(`invalid semantic version ${JSON.stringify(text)}`);
  return { major: BigInt(major), minor: BigInt(minor), patch: BigInt(patch), before };
}

function partOrder(a: string, b: string): number {
  const numericA = /^\d+$/.test(a);
  const numericB = /^\d+$/.test(b);
  if (numericA && numericB) {
    const [x, y] = [BigInt(a), BigInt(b)];
    return x === y ? 0 : x < y ? -1 : 1;
  }
  if (numericA !== numericB) return numericA ? -1 : 1;
  return a === b ? 0 : a < b ? -1 : 1;
}

/** What comes before a release is smaller than it. */
function beforeOrder(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0)
    return Math.sign(b.length - a.length) * (a.length === b.length ? 0 : 1);
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = partOrder(a[i] ?? "", b[i] ?? "");
    if (order !== 0) return order;
  }
  return Math.sign(a.length - b.length);
}

export function semverOrder(a: Semver, b: Semver): -1 | 0 | 1 {
  for (const part of ["major", "minor", "patch"] as const) {
    if (a[part] !== b[part]) return a[part] < b[part] ? -1 : 1;
  }
  return Math.sign(beforeOrder(a.before, b.before)) as -1 | 0 | 1;
}
