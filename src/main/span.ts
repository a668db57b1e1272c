const UNIT_MS: Readonly<Record<string, number>> = { s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 };

/** Milliseconds of `90s`, `10m`: a number and one of these units. Undefined where it is no such. */
export function spanMs(text: string, units: string): number | undefined {
  const [, count, unit = ""] = /^(\d+)([smhd])$/.exec(text) ?? [];
  if (count === undefined || !units.includes(unit)) return undefined;
  return Number(count) * (UNIT_MS[unit] ?? 0);
}
