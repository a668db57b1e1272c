/**
 * What the selectors of a request require of every object that it reaches. Only collections have
 * selectors: for other verbs the query of a request says nothing about the object.
 */

import { parseLabelRequirements } from "#resources/selector/parse.ts";
import { parseFieldSelector } from "#resources/selector.ts";

const COLLECTION_VERBS: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

interface Selected {
  readonly verb: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

/** A selector that cannot be read requires nothing: the request fails later. */
function tolerant<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

/** The one value that the field selector lets a field have. */
export function requiredField(access: Selected, field: string): string | undefined {
  const { verb, fieldSelector = "" } = access;
  if (fieldSelector === "" || !COLLECTION_VERBS.has(verb)) return undefined;
  const selector = tolerant(() => parseFieldSelector(fieldSelector));
  return selector?.terms.find((term) => term.equal && term.field === field)?.value;
}

/** The one value that the label selector lets a label have. */
export function requiredLabel(access: Selected, label: string): string | undefined {
  const { verb, labelSelector = "" } = access;
  if (labelSelector === "" || !COLLECTION_VERBS.has(verb)) return undefined;
  const requirements = tolerant(() => parseLabelRequirements(labelSelector)) ?? [];
  const exact = requirements.find(
    ({ key, operator, values }) =>
      key === label && values.length === 1 && ["=", "==", "in"].includes(operator),
  );
  return exact?.values[0];
}

interface Attribute {
  readonly rawSelector?: string;
  readonly requirements?: ReadonlyArray<{ key: string; operator: string; values?: string[] }>;
}

const escaped = (value: string): string => value.replace(/[\\,=]/g, "\\$&");

/** A review's selector as a request would have it; what demands no single value is left out. */
export function selectorOf(attribute: Attribute | undefined): string {
  if (attribute === undefined) return "";
  const { rawSelector = "", requirements = [] } = attribute;
  if (rawSelector !== "") return rawSelector;
  return requirements
    .filter(({ operator, values = [] }) => operator === "In" && values.length === 1)
    .map(({ key, values = [] }) => `${key}=${escaped(values[0] ?? "")}`)
    .join(",");
}
