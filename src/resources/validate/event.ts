/** Events (core validation; the rules of the older API hold for both). */
import { type Cause, invalid, required } from "#resources/field.ts";
import type { Event } from "#resources/types.gen.ts";
import { byRule, present } from "#resources/validate/basic.ts";
import { qualifiedNameErrors, subdomainErrors } from "#resources/validate/text.ts";

const WORD_MAX = 128;
const MESSAGE_MAX = 1024;

/**
 * Where the event is must be where its object is; cluster-scoped objects have theirs in `default`.
 */
function placeCauses(event: Event): Cause[] {
  const own = event.metadata?.namespace ?? "";
  const other = event.involvedObject?.namespace ?? "";
  const free = event.eventTime ? ["default", "kube-system"] : ["", "default"];
  const fits = other === "" ? free.includes(own) : event.eventTime !== undefined || own === other;
  if (fits) return [];
  return [invalid("involvedObject.namespace", other, "does not match event.namespace")];
}

function wordCauses(
  value: string | undefined,
  field: string,
  { max, needed }: { max: number; needed: boolean },
): Cause[] {
  if (!value) return needed ? [required(field)] : [];
  return value.length > max ? [invalid(field, "", `can have at most ${max} characters`)] : [];
}

export function validateEvent(event: Event): Cause[] {
  const causes = placeCauses(event);
  const namespace = byRule(subdomainErrors, event.metadata?.namespace ?? "", "namespace");
  // Only events of the newer API have a time of their own.
  if (!event.eventTime) return [...causes, ...namespace];
  const word = { max: WORD_MAX, needed: true };
  return [
    ...causes,
    ...present(event.reportingComponent, "reportingComponent"),
    ...byRule(qualifiedNameErrors, event.reportingComponent, "reportingComponent"),
    ...wordCauses(event.reportingInstance, "reportingInstance", word),
    ...wordCauses(event.action, "action", word),
    ...wordCauses(event.reason, "reason", word),
    ...wordCauses(event.message, "message", { max: MESSAGE_MAX, needed: false }),
    ...namespace,
  ];
}
