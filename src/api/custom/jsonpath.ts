/**
 * The JSONPath of printer columns and selectable fields: fields, indexes, wildcards and equality
 * filters.
 */
import { isObject } from "#api/json.ts";

type Step =
  | { readonly kind: "field"; readonly name: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "all" }
  | { readonly kind: "filter"; readonly path: readonly string[]; readonly value: unknown };

const FILTER = /^\?\(\s*@((?:\.[\w/-]+)+)\s*==\s*(?:"([^"]*)"|'([^']*)'|(\w+))\s*\)$/;

function literal(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

function bracket(text: string): Step {
  if (text === "*") return { kind: "all" };
  if (/^-?\d+$/.test(text)) return { kind: "index", index: Number(text) };
  const name = /^['"](.*)['"]$/.exec(text)?.[1];
  if (name !== undefined) return { kind: "field", name };
  const filter = FILTER.exec(text);
  if (filter === null) throw new Error(`unsupported JSONPath step [${text}]`);
  const [, path = "", double, single, bare] = filter;
  const value = double ?? single ?? literal(bare ?? "");
  return { kind: "filter", path: path.slice(1).split("."), value };
}

/** End of a bracket: quotes may hold one too. */
function closing(text: string, from: number): number {
  let quote = "";
  for (let at = from; at < text.length; at++) {
    const char = text[at];
    if (quote !== "") {
      if (char === quote) quote = "";
    } else if (char === '"' || char === "'") quote = char;
    else if (char === "]") return at;
  }
  throw new Error("unterminated JSONPath bracket");
}

function parse(path: string): Step[] {
  const text = path.replace(/^\{|\}$/g, "").replace(/^\$/, "");
  const steps: Step[] = [];
  let at = 0;
  while (at < text.length) {
    if (text[at] === "[") {
      const end = closing(text, at + 1);
      steps.push(bracket(text.slice(at + 1, end)));
      at = end + 1;
      continue;
    }
    if (text[at] === ".") at += 1;
    let name = "";
    // A dot that is part of a name is escaped.
    for (; at < text.length && text[at] !== "." && text[at] !== "["; at++) {
      if (text[at] === "\\") at += 1;
      name += text[at] ?? "";
    }
    if (name === "*") steps.push({ kind: "all" });
    else if (name !== "") steps.push({ kind: "field", name });
  }
  return steps;
}

const at = (value: unknown, name: string): unknown => (isObject(value) ? value[name] : undefined);

function take(values: unknown[], step: Step): unknown[] {
  switch (step.kind) {
    case "field":
      return values.flatMap((value) => {
        const found = at(value, step.name);
        return found === undefined ? [] : [found];
      });
    case "index":
      return values.flatMap((value) => {
        const found = Array.isArray(value) ? value.at(step.index) : undefined;
        return found === undefined ? [] : [found];
      });
    case "all":
      return values.flatMap((value) => {
        if (Array.isArray(value)) return value;
        return isObject(value) ? Object.values(value) : [];
      });
    case "filter":
      return values.flatMap((value) =>
        Array.isArray(value)
          ? value.filter((each) => step.path.reduce<unknown>(at, each) === step.value)
          : [],
      );
  }
}

/** Everything that the path leads to. @throws Error for a path that it does not understand. */
export function compileJsonPath(path: string): (object: unknown) => unknown[] {
  const steps = parse(path);
  return (object) => steps.reduce<unknown[]>(take, [object]);
}
