/**
 * The grammar of label selectors in a request, with the messages of Kubernetes for what is wrong.
 */

import { labelValueErrors, qualifiedNameErrors } from "#resources/validate/text.ts";

export type Operator = "=" | "==" | "!=" | "in" | "notin" | "exists" | "!" | "<" | ">";

export interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

interface Token {
  readonly kind: "symbol" | "word" | "end" | "error";
  readonly text: string;
}

const SYMBOLS = new Set([")", ",", "!", "==", "=", ">", "<", "!=", "("]);
const BINARY = ["in", "notin", "=", "==", "!=", ">", "<"];
/** The operators as Kubernetes lists them in a message. */
const BINARY_LIST = "in, notin, =, ==, !=, gt, lt";
const SPECIAL = /[=!(),><]/;
const SPACE = /[ \t\r\n]/;

/** A run of special characters gives its longest known symbol; `==!` is `==` and then `!`. */
function symbolAt(text: string, start: number): Token {
  let end = start;
  let best = "";
  while (end < text.length && SPECIAL.test(text.charAt(end))) {
    end += 1;
    const run = text.slice(start, end);
    if (SYMBOLS.has(run)) best = run;
    else if (best !== "") break;
  }
  if (best !== "") return { kind: "symbol", text: best };
  return { kind: "error", text: `error expected: keyword found '${text.slice(start, end)}'` };
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (SPACE.test(text.charAt(at))) {
      at += 1;
    } else if (SPECIAL.test(text.charAt(at))) {
      const token = symbolAt(text, at);
      tokens.push(token);
      at += token.kind === "error" ? text.length : token.text.length;
    } else {
      let end = at;
      while (end < text.length && !SPECIAL.test(text.charAt(end)) && !SPACE.test(text.charAt(end)))
        end += 1;
      tokens.push({ kind: "word", text: text.slice(at, end) });
      at = end;
    }
  }
  return tokens;
}

const END: Token = { kind: "end", text: "" };

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;
  constructor(text: string) {
    this.#tokens = tokensOf(text);
  }
  peek(): Token {
    return this.#tokens[this.#at] ?? END;
  }
  next(): Token {
    const token = this.peek();
    this.#at += 1;
    return token;
  }
  /** Whether the next token is one of these symbols; the empty text stands for the end. */
  is(...symbols: string[]): boolean {
    const { kind, text } = this.peek();
    return (kind === "symbol" || kind === "end") && symbols.includes(text);
  }
}

/** Throws Error in the words of Kubernetes. */
export function parseLabelRequirements(text: string): Requirement[] {
  const reader = new Reader(text);
  const result: Requirement[] = [];
  if (reader.is("")) return result;
  if (reader.peek().kind !== "word" && !reader.is("!")) {
    fail(reader.peek(), ", expected: !, identifier, or 'end of string'");
  }
  for (;;) {
    try {
      result.push(requirement(reader));
    } catch (error) {
      throw new Error(`unable to parse requirement: ${(error as Error).message}`);
    }
    if (reader.is("")) return result;
    if (!reader.is(",")) fail(reader.peek(), ", expected: ',' or 'end of string'");
    reader.next();
    if (reader.peek().kind !== "word" && !reader.is("!")) {
      fail(reader.peek(), ", expected: identifier after ','");
    }
  }
}

function fail(token: Token, rest: string): never {
  throw new Error(`found '${token.text}'${rest}`);
}

function requirement(reader: Reader): Requirement {
  let negated = false;
  if (reader.is("!")) {
    negated = true;
    reader.next();
  }
  const key = reader.next();
  if (key.kind !== "word") fail(key, ", expected: identifier");
  const errors = qualifiedNameErrors(key.text);
  if (errors.length > 0) throw new Error(invalidText("<nil>", key.text, errors.join("; ")));
  if (negated) return { key: key.text, operator: "!", values: [] };
  if (reader.is("", ",")) return { key: key.text, operator: "exists", values: [] };
  const token = reader.next();
  if (!BINARY.includes(token.text) || token.kind === "error") {
    fail(token, `, expected: ${BINARY_LIST}`);
  }
  const operator = token.text as Operator;
  const set = operator === "in" || operator === "notin";
  const values = set ? parenthesised(reader) : [exact(reader)];
  const problems = valueErrors(key.text, operator, values);
  if (problems.length === 1) throw new Error(problems[0]);
  if (problems.length > 1) throw new Error(`[${problems.join(", ")}]`);
  return { key: key.text, operator, values };
}

function exact(reader: Reader): string {
  if (reader.is("", ",")) return "";
  const token = reader.next();
  if (token.kind !== "word") fail(token, ", expected: identifier");
  return token.text;
}

/** `(a,b)`; an empty place between commas is the empty value. */
function parenthesised(reader: Reader): string[] {
  const open = reader.next();
  if (open.kind !== "symbol" || open.text !== "(") fail(open, " expected: '('");
  const values = new Set<string>();
  let lastComma = 0;
  if (reader.peek().kind !== "word" && !reader.is(")", ",")) {
    fail(reader.peek(), ", expected: ',', ')' or identifier");
  }
  for (;;) {
    if (reader.is(")")) {
      // Kubernetes refuses an end after an even number of commas: `(a,,)`.
      if (values.size > 0 && lastComma === 2) fail(reader.peek(), ", expected: ',', or identifier");
      if (lastComma === 1 || values.size === 0) values.add("");
      reader.next();
      return [...values].sort();
    }
    const token = reader.next();
    if (token.kind === "word") {
      values.add(token.text);
      lastComma = 0;
      if (!reader.is(",", ")")) fail(reader.peek(), ", expected: ',' or ')'");
    } else if (token.kind === "symbol" && token.text === ",") {
      if (values.size === 0 || lastComma === 1) values.add("");
      lastComma = lastComma === 1 ? 2 : 1;
    } else fail(token, ", expected: ',', or identifier");
  }
}

const invalidText = (path: string, value: string, detail: string): string =>
  `${path}: Invalid value: ${JSON.stringify(value)}: ${detail}`;

function valueErrors(key: string, operator: Operator, values: readonly string[]): string[] {
  const errors: string[] = [];
  values.forEach((value, index) => {
    if (operator !== "<" && operator !== ">") return;
    const rule = "for 'Gt', 'Lt' operators, the value must be an integer";
    if (!/^[+-]?\d+$/.test(value)) errors.push(invalidText(`values[${index}]`, value, rule));
  });
  values.forEach((value, index) => {
    const problems = labelValueErrors(value);
    if (problems.length > 0) {
      errors.push(invalidText(`values[${index}][${key}]`, value, problems.join("; ")));
    }
  });
  return errors;
}
