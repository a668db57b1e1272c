/** The name under which a request sets fields. */
import { optionsOf } from "#api/body.ts";
import type { Call } from "#api/core.ts";
import { refuse } from "#api/errors.ts";

const MANAGER_CHARS_MAX = 128;

/** @throws ApiError 422 for a name that is too long. */
export function checkedManager(call: Call, named: string): string {
  if (named.length <= MANAGER_CHARS_MAX) return named;
  const message = `Too long: may not be more than ${MANAGER_CHARS_MAX} bytes`;
  throw refuse.invalid(optionsOf(call), "", [
    { reason: "FieldValueTooLong", field: "fieldManager", message },
  ]);
}

/** Who owns the fields that this request sets. */
export function managerOf(call: Call): string {
  const named = call.query.size > 0 ? call.query.get("fieldManager") : "";
  if (named) return checkedManager(call, named);
  const agent = call.request.headers.get("user-agent") ?? "";
  const slash = agent.indexOf("/");
  const name = slash < 0 ? agent : agent.slice(0, slash);
  return name.slice(0, MANAGER_CHARS_MAX) || "unknown";
}
