/** Resource lists as they are stored: quantities in canonical form, no finer than milli. */
import { canonicalQuantity, milliValue } from "#resources/quantity.ts";
import { isCanonicalQuantity } from "#resources/shape/scalars.ts";

type Resources = Record<string, string>;

/** Finer than a thousandth: rounded up, as upstream does with every resource list. */
const FINE = /[nu]$|\.\d{4}|e-/i;

function stored(quantity: string): string {
  if (isCanonicalQuantity(quantity) && !FINE.test(quantity)) return quantity;
  try {
    const text = FINE.test(quantity) ? `${Math.ceil(milliValue(quantity))}m` : quantity;
    return canonicalQuantity(text);
  } catch {
    // Validation names what cannot be read.
    return quantity;
  }
}

/** In place. Values that are no quantities stay as they are. */
export function canonicalResources(resources: Resources | undefined): void {
  if (!resources) return;
  for (const [name, quantity] of Object.entries(resources)) {
    resources[name] = stored(String(quantity));
  }
}

/** Requests that are left out are as large as the limits; pods only, never templates. */
export function requestLimits(resources: { limits?: Resources; requests?: Resources }): void {
  if (!resources.limits) return;
  resources.requests = { ...resources.limits, ...resources.requests };
}
