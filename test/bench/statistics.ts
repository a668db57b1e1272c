/** The middle of several runs: one run alone says little on a machine that others use too. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const [left = Number.NaN, right = Number.NaN] = [sorted[half - 1], sorted[half]];
  return sorted.length % 2 === 1 ? right : (left + right) / 2;
}
