/** Numbers that may be shares. */

/** `3`, `"3"` or `"25%"` of a total, rounded up or down (apimachinery util/intstr). */
export function scaledValue(
  value: number | string | undefined,
  total: number,
  round: "up" | "down",
  fallback = 0,
): number {
  if (value === undefined) return fallback;
  if (typeof value === "number") return value;
  if (!value.endsWith("%")) return Number.parseInt(value, 10) || 0;
  const share = ((Number.parseInt(value, 10) || 0) * total) / 100;
  return round === "up" ? Math.ceil(share) : Math.floor(share);
}
