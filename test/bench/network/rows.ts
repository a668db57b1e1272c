/** Figures as rows of one table: what, measured, asked for, and what others take in the same run. */
export interface Row {
  what: string;
  measured: string;
  floor: string;
  yardstick: string;
  /** Undefined where nothing is asked for. */
  met?: boolean;
}

const HEAD = ["what", "measured", "floor", "yardstick", "met"] as const;

const met = ({ met }: Row): string => (met === undefined ? "" : met ? "yes" : "NO");

export function tableOf(rows: readonly Row[]): string {
  const lines = [
    [...HEAD],
    HEAD.map(() => "---"),
    ...rows.map((row) => [row.what, row.measured, row.floor, row.yardstick, met(row)]),
  ];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** `12.3 ms` of milliseconds, `45 µs` below one. */
export const time = (ms: number): string =>
  ms < 1 ? `${Math.round(ms * 1_000)} µs` : `${ms.toFixed(1)} ms`;

/** `82 %` of a share; `digits` behind the point. */
export const percent = (share: number, digits = 0): string => `${(share * 100).toFixed(digits)} %`;

/** The value below which a share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const p99Of = (values: readonly number[]): number => quantile(values, 0.99);

const DRAWS = 3;

/** What hangs on chance is drawn several times. */
export async function drawn<T>(once: () => Promise<T>): Promise<T[]> {
  const draws: T[] = [];
  while (draws.length < DRAWS) draws.push(await once());
  return draws;
}

/** Of several draws the middle one, which counts, its figure, and those of all, the least first. */
export function middleOf<T>(draws: readonly T[], figureOf: (draw: T) => number) {
  const sorted = draws
    .map((draw) => ({ draw, figure: figureOf(draw) }))
    .sort((a, b) => a.figure - b.figure);
  const middle = sorted[sorted.length >> 1];
  if (middle === undefined) throw new Error("nothing was drawn");
  return { ...middle, figures: sorted.map(({ figure }) => figure) };
}
