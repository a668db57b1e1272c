/** Bytes come in whole numbers. */
import { parseQuantity } from "#resources/quantity.ts";
import type { PersistentVolumeClaimSpec } from "#resources/types.gen.ts";

const MICRO_PER_MILLI = 1_000_000n;

/** Thousandths, what is smaller rounded up, as Go's MilliValue. */
function isWhole(text: string): boolean {
  try {
    const { nano } = parseQuantity(text);
    const milli = nano / MICRO_PER_MILLI + (nano % MICRO_PER_MILLI > 0n ? 1n : 0n);
    return milli % 1000n === 0n;
  } catch {
    return true;
  }
}

export function fractionWarnings(
  amounts: Readonly<Record<string, string>> | undefined,
  names: readonly string[],
  path: string,
): string[] {
  return names.flatMap((name) => {
    const text = amounts?.[name];
    if (text === undefined || isWhole(text)) return [];
    return [`${path}[${name}]: fractional byte value "${text}" is invalid, must be an integer`];
  });
}

export function claimSpecWarnings(
  spec: PersistentVolumeClaimSpec | undefined,
  path: string,
): string[] {
  const { requests, limits } = spec?.resources ?? {};
  return [
    ...fractionWarnings(requests, ["storage"], `${path}.resources.requests`),
    ...fractionWarnings(limits, ["storage"], `${path}.resources.limits`),
  ];
}
