/** Labels, taints and reservations of a node as flags give them. */
import { UsageError } from "#base/errors.ts";
import { milliValue, quantityValue } from "#resources/quantity.ts";

export function parseLabels(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at <= 0) throw new UsageError(`--node-labels: "${pair}" must be KEY=VALUE`);
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

const EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

export function parseTaints(
  texts: readonly string[],
): Array<{ key: string; value?: string; effect: string }> {
  return texts.map((text) => {
    const match = /^([^=:]+)(?:=([^:]*))?:(\w+)$/.exec(text);
    const [, key = "", value, effect = ""] = match ?? [];
    if (match === null || !EFFECTS.includes(effect)) {
      throw new UsageError(`--node-taints: "${text}" must be KEY[=VALUE]:${EFFECTS.join("|")}`);
    }
    return { key, effect, ...(value !== undefined && { value }) };
  });
}

/** What pods do not get. @throws UsageError for what is not an amount of `cpu` or `memory`. */
export function parseReserved(pairs: readonly string[]): {
  cpuMillis: number;
  memoryBytes: number;
} {
  const reserved = { cpuMillis: 0, memoryBytes: 0 };
  for (const pair of pairs) {
    const [, resource, amount = ""] = /^(cpu|memory)=([\d.].*)$/.exec(pair) ?? [];
    try {
      // Throws for "", too.
      if (resource === "cpu") reserved.cpuMillis = milliValue(amount);
      else reserved.memoryBytes = quantityValue(amount);
    } catch {
      throw new UsageError(`--system-reserved: "${pair}" must be cpu=AMOUNT or memory=AMOUNT`);
    }
  }
  return reserved;
}
