/** JSONPath over plain JSON. What is not there gives nothing, and is no failure. */
import { type Operand, type Part, parseTemplate, type Step } from "#cli/jsonpath/parse.ts";

type Json = unknown;

const isMap = (value: Json): value is Record<string, Json> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function children(value: Json): Json[] {
  if (Array.isArray(value)) return value;
  if (!isMap(value)) return [];
  return Object.keys(value)
    .sort()
    .map((key) => value[key]);
}

function descendants(value: Json): Json[] {
  return [value, ...children(value).flatMap(descendants)];
}

function field(value: Json, name: string): Json[] {
  if (isMap(value)) return Object.hasOwn(value, name) ? [value[name]] : [];
  return [];
}

function slice(value: Json, step: Extract<Step, { kind: "slice" }>): Json[] {
  if (!Array.isArray(value)) return [];
  const stride = step.step ?? 1;
  const cut = value.slice(step.from ?? 0, step.to ?? value.length);
  return stride <= 1 ? cut : cut.filter((_, at) => at % stride === 0);
}

function operandOf(operand: Operand, value: Json, root: Json): Json[] {
  return "path" in operand ? evaluatePath(operand.path, [value], root) : [operand.literal];
}

function compare(left: Json, operator: string, right: Json): boolean {
  if (operator === "==") return left === right;
  if (operator === "!=") return left !== right;
  const comparable =
    (typeof left === "number" && typeof right === "number") ||
    (typeof left === "string" && typeof right === "string");
  if (!comparable) return false;
  if (operator === "<") return left < right;
  if (operator === ">") return left > right;
  return operator === "<=" ? left <= right : left >= right;
}

function passes(step: Extract<Step, { kind: "filter" }>, value: Json, root: Json): boolean {
  const left = operandOf(step.left, value, root);
  if (step.operator === "exists") return left.length > 0;
  const [right] = operandOf(step.right, value, root);
  const [only] = left;
  return left.length === 0 ? false : compare(only, step.operator, right);
}

function apply(step: Step, value: Json, root: Json): Json[] {
  switch (step.kind) {
    case "root":
      return [root];
    case "field":
      return field(value, step.name);
    case "wildcard":
      return children(value);
    case "descend":
      return descendants(value);
    case "slice":
      return slice(value, step);
    case "index": {
      const found = Array.isArray(value) ? value.at(step.at) : undefined;
      return found === undefined ? [] : [found];
    }
    case "union":
      return step.branches.flatMap((branch) => evaluatePath(branch, [value], root));
    case "filter":
      return children(value).filter((each) => passes(step, each, root));
  }
}

export function evaluatePath(steps: readonly Step[], values: readonly Json[], root: Json): Json[] {
  let current = [...values];
  for (const step of steps) current = current.flatMap((value) => apply(step, value, root));
  return current;
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isMap(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

/** A found value as text: strings bare, maps and lists as JSON with their keys sorted. */
export function valueText(value: Json): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return value === null ? "<nil>" : "";
  return typeof value === "object" ? JSON.stringify(sorted(value)) : String(value);
}

function render(parts: readonly Part[], value: Json, root: Json): string {
  return parts
    .map((part) => {
      if (part.kind === "text") return part.text;
      const found = evaluatePath(part.steps, [value], root);
      if (part.kind === "path") return found.map(valueText).join(" ");
      return found.map((each) => render(part.body, each, root)).join("");
    })
    .join("");
}

/** Compiled once, for many objects. @throws UsageError where the template is malformed. */
export function jsonPath(template: string): (object: Json) => string {
  const parts = parseTemplate(template);
  return (object) => render(parts, object, object);
}
