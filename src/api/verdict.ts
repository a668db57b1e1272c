/** What a kind says of an object: why it is refused, or what its author should know of it. */
import type { Attributes } from "#api/admission.ts";
import type { Cause } from "#resources/field.ts";
import type { Kind } from "#resources/kind.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";

/** Rules run where all else is right. */
export async function causesOf(
  kind: Kind,
  object: ApiObject,
  old: Stored | undefined,
  subresource?: string,
): Promise<Cause[]> {
  const causes = kind.validate(object, old, subresource);
  if (causes.length > 0 || kind.rules === undefined) return causes;
  return kind.rules(object, old);
}

/** More than fit into an answer's headers. */
const WARNINGS_MAX = 200;

/** Each once, however often a write is tried (Kubernetes' API reference: API warnings). */
export function warn(
  kind: Kind,
  { warnings }: Attributes,
  object: ApiObject,
  old: Stored | undefined,
): void {
  for (const warning of (kind.warnings?.(object, old) ?? []).slice(0, WARNINGS_MAX)) {
    if (!warnings.includes(warning)) warnings.push(warning);
  }
}
