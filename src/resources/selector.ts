/**
 * Label and field selectors, as text of a request (`app=web,tier in (a,b),!old`) and as objects.
 * https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
 */
import { parseLabelRequirements, type Requirement } from "#resources/selector/parse.ts";
import type { LabelSelector } from "#resources/types.gen.ts";

export type Labels = Readonly<Record<string, string>>;
export type LabelMatch = (labels: Labels) => boolean;

/** Throws Error in the words of Kubernetes. An empty text selects everything. */
export function parseLabelSelector(text: string): LabelMatch {
  return all(parseLabelRequirements(text).map(matcher));
}

/** Undefined selects nothing, `{}` everything. Throws where an operator is unknown. */
export function matchLabelSelector(selector: LabelSelector | undefined): LabelMatch {
  if (selector === undefined) return () => false;
  return all(requirementsOf(selector).map(matcher));
}

/** The selector as text with its keys sorted, as the scale subresource shows it. */
export function labelSelectorText(selector: LabelSelector): string {
  return requirementsOf(selector)
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(requirementText)
    .join(",");
}

const OPERATORS: Readonly<Record<string, Requirement["operator"]>> = {
  In: "in",
  NotIn: "notin",
  Exists: "exists",
  DoesNotExist: "!",
};

function requirementsOf(selector: LabelSelector): Requirement[] {
  const result: Requirement[] = [];
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    result.push({ key, operator: "=", values: [value] });
  }
  for (const { key, operator, values } of selector.matchExpressions ?? []) {
    const known = Object.hasOwn(OPERATORS, operator) ? OPERATORS[operator] : undefined;
    if (known === undefined) {
      throw new Error(`${JSON.stringify(operator)} is not a valid label selector operator`);
    }
    result.push({ key, operator: known, values: values ?? [] });
  }
  return result;
}

function requirementText({ key, operator, values }: Requirement): string {
  if (operator === "exists") return key;
  if (operator === "!") return `!${key}`;
  if (operator === "in" || operator === "notin") {
    return `${key} ${operator} (${[...values].sort().join(",")})`;
  }
  return `${key}${operator}${values[0] ?? ""}`;
}

function all(matches: readonly LabelMatch[]): LabelMatch {
  const [first, second] = matches;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  if (matches.length === 2) return (labels) => first(labels) && second(labels);
  return (labels) => matches.every((match) => match(labels));
}

// A label's value is looked at only where it is a string: `labels["constructor"]` is a function.
function matcher({ key, operator, values }: Requirement): LabelMatch {
  const [only = ""] = values;
  const many = values.length === 1 ? undefined : new Set(values);
  switch (operator) {
    case "exists":
      return (labels) => typeof labels[key] === "string";
    case "!":
      return (labels) => typeof labels[key] !== "string";
    case "=":
    case "==":
    case "in":
      if (many === undefined) return (labels) => labels[key] === only;
      return (labels) => many.has(labels[key] as string);
    case "!=":
    case "notin":
      if (many === undefined) return (labels) => labels[key] !== only;
      return (labels) => !many.has(labels[key] as string);
    case "<":
    case ">":
      return compare(key, operator, only);
  }
}

const INTEGER = /^[+-]?\d+$/;

function compare(key: string, operator: "<" | ">", limit: string): LabelMatch {
  const bound = BigInt(limit);
  return (labels) => {
    const value = labels[key];
    if (typeof value !== "string" || !INTEGER.test(value)) return false;
    return operator === "<" ? BigInt(value) < bound : BigInt(value) > bound;
  };
}

export interface FieldSelector {
  /** A field that is not there counts as the empty string. */
  matches(fields: Readonly<Record<string, string>>): boolean;
  /** The fields that it asks for, so that a caller can refuse those it does not know. */
  readonly fields: string[];
  readonly terms: ReadonlyArray<{ field: string; value: string; equal: boolean }>;
}

/** Splits at commas that no backslash protects. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === ",") {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms.filter((term) => term !== "");
}

const ESCAPE = "invalid field selector: invalid escape sequence: ";

function unescaped(value: string): string {
  let out = "";
  for (let i = 0; i < value.length; i++) {
    const char = value.charAt(i);
    if (char === "\\") {
      i += 1;
      const next = value.charAt(i);
      if (next === "" || !"\\,=".includes(next)) throw new Error(`${ESCAPE}\\${next}`);
      out += next;
    } else if (char === "," || char === "=") {
      const code = char.charCodeAt(0);
      throw new Error(`invalid field selector: unescaped character in value: ${code}`);
    } else out += char;
  }
  return out;
}

/** `metadata.name=a,spec.nodeName!=b`. Throws Error in the words of Kubernetes. */
export function parseFieldSelector(text: string): FieldSelector {
  const terms = splitTerms(text).map((term) => {
    const match = /^(.*?)(!=|==|=)(.*)$/s.exec(term);
    if (match === null) {
      throw new Error(`invalid selector: '${text}'; can't understand '${term}'`);
    }
    const [, field = "", operator, value = ""] = match;
    return { field, value: unescaped(value), equal: operator !== "!=" };
  });
  return {
    terms,
    fields: terms.map((term) => term.field),
    matches: (fields) =>
      terms.every(({ field, value, equal }) => ((fields[field] ?? "") === value) === equal),
  };
}
