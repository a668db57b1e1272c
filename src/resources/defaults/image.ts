/**
 * What an image's reference says about its tag (distribution/reference, as Kubernetes reads it).
 */

import { limits } from "#base/limits.ts";
import { Recent } from "#resources/recent.ts";

const REFERENCE =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?\/|\[[0-9a-fA-F:]+\](?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::(?<tag>\w[\w.-]{0,127}))?(?<digest>@[A-Za-z][\w+.-]*:[0-9a-fA-F]{32,})?$/;
const LENGTH_MAX = 512;

/** The tag; `latest` where neither tag nor digest is named; empty for what cannot be read. */
export function imageTag(reference: string): string {
  if (reference.length > LENGTH_MAX) return "";
  const groups = REFERENCE.exec(reference)?.groups;
  if (groups === undefined) return "";
  return groups["tag"] ?? (groups["digest"] === undefined ? "latest" : "");
}

/** Policies of the images that were asked for last. */
const policies = new Recent<string>({ entriesMax: limits.recentSpecsMax, charsMax: LENGTH_MAX });

/** Always for `:latest`, else IfNotPresent (Kubernetes, "Images", default pull policy). */
export function defaultPullPolicy(reference: string): string {
  const known = policies.get(reference);
  if (known !== undefined) return known;
  const policy = imageTag(reference) === "latest" ? "Always" : "IfNotPresent";
  policies.set(reference, policy);
  return policy;
}
