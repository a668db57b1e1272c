/** Parts of statuses that many kinds have (apimachinery meta/v1, core validation). */
import { isIP } from "node:net";
import {
  type Cause,
  duplicate,
  invalid,
  notSupported,
  required,
  tooLong,
} from "#resources/field.ts";
import type { Condition } from "#resources/types.gen.ts";
import { byRule, each } from "#resources/validate/basic.ts";
import { checkIp } from "#resources/validate/ip.ts";
import { mustMatch, qualifiedNameErrors, subdomainErrors } from "#resources/validate/text.ts";

const REASON_MAX = 1024;
const MESSAGE_MAX = 32 * 1024;
const REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?";
const REASON_REGEXP = new RegExp(`^${REASON}$`);
const REASON_ERROR = mustMatch(
  "a condition reason must start with alphabetic character, optionally followed by a string of " +
    "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'",
  REASON,
  "my_name",
  "MY_NAME",
  "MyName",
  "ReasonA,ReasonB",
  "ReasonA:ReasonB",
);

function reasonCauses(reason: string, path: string): Cause[] {
  if (reason === "") return [required(path)];
  return [
    ...(REASON_REGEXP.test(reason) ? [] : [invalid(path, reason, REASON_ERROR)]),
    ...(reason.length > REASON_MAX ? [tooLong(path, REASON_MAX)] : []),
  ];
}

export function checkConditions(
  conditions: readonly Condition[] | undefined,
  path: string,
): Cause[] {
  const seen = new Set<string>();
  return each(conditions, path, (condition, at) => {
    const { type = "", status = "", reason = "", message = "" } = condition;
    const { observedGeneration = 0, lastTransitionTime } = condition;
    const causes = seen.has(type) ? [duplicate(`${at}.type`, type)] : [];
    seen.add(type);
    causes.push(...byRule(qualifiedNameErrors, type, `${at}.type`));
    const statuses = ["False", "True", "Unknown"];
    if (!statuses.includes(status)) causes.push(notSupported(`${at}.status`, status, statuses));
    if (observedGeneration < 0) {
      const detail = "must be greater than or equal to zero";
      causes.push(invalid(`${at}.observedGeneration`, observedGeneration, detail));
    }
    if (!lastTransitionTime) causes.push(required(`${at}.lastTransitionTime`));
    causes.push(...reasonCauses(reason, `${at}.reason`));
    if (message.length > MESSAGE_MAX) causes.push(tooLong(`${at}.message`, MESSAGE_MAX));
    return causes;
  });
}

/** Where a load balancer can be reached. */
export const checkBalancerPoint = (
  { ip, hostname }: { ip?: string; hostname?: string },
  path: string,
): Cause[] => [
  ...(ip ? checkIp(ip, `${path}.ip`) : []),
  ...(hostname ? byRule(subdomainErrors, hostname, `${path}.hostname`) : []),
  ...(hostname && isIP(hostname) !== 0
    ? [invalid(`${path}.hostname`, hostname, "must be a DNS name, not an IP address")]
    : []),
];
