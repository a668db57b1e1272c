/** Tokens to a tree. https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax */
import type { Call, ListLiteral, MapLiteral, Node } from "#api/cel/engine/ast.ts";
import { type Token, tokenize } from "#api/cel/engine/lexer.ts";
import { expandMacro } from "#api/cel/engine/macros.ts";
import { CompileError } from "#api/cel/engine/problems.ts";
import { limits } from "#base/limits.ts";

const RESERVED = new Set(
  (
    "as break const continue else for function if import let loop package namespace " +
    "return var void while"
  ).split(" "),
);

/** Operators by how strongly they bind, weakest first. */
const LEVELS: ReadonlyArray<Readonly<Record<string, string>>> = [
  { "||": "_||_" },
  { "&&": "_&&_" },
  {
    "<": "_<_",
    "<=": "_<=_",
    ">": "_>_",
    ">=": "_>=_",
    "==": "_==_",
    "!=": "_!=_",
    in: "@in",
  },
  { "+": "_+_", "-": "_-_" },
  { "*": "_*_", "/": "_/_", "%": "_%_" },
];

class Parser {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokenize(source);
  }

  readonly #fail = (message: string, at: number): never => {
    throw new CompileError(this.#source, [{ at, message }]);
  };

  get #token(): Token {
    return this.#tokens[this.#at] ?? { kind: "end", text: "<EOF>", at: this.#source.length };
  }

  #unexpected(expected: string): never {
    const { text, at } = this.#token;
    return this.#fail(`Syntax error: mismatched input '${text}' expecting ${expected}`, at);
  }

  #is(text: string): boolean {
    const { kind } = this.#token;
    return this.#token.text === text && (kind === "punctuation" || kind === "ident");
  }

  #accept(text: string): Token | undefined {
    if (!this.#is(text)) return undefined;
    const token = this.#token;
    this.#at += 1;
    return token;
  }

  #expect(text: string): Token {
    return this.#accept(text) ?? this.#unexpected(`'${text}'`);
  }

  whole(): Node {
    const node = this.#expression();
    if (this.#token.kind !== "end") this.#unexpected("<EOF>");
    return node;
  }

  #deeper<T>(parse: () => T): T {
    this.#depth += 1;
    if (this.#depth > limits.celDepthMax) {
      this.#fail(`expression recursion limit exceeded: ${limits.celDepthMax}`, this.#token.at);
    }
    const result = parse();
    this.#depth -= 1;
    return result;
  }

  #expression(): Node {
    return this.#deeper(() => {
      const condition = this.#level(0);
      const mark = this.#accept("?");
      if (mark === undefined) return condition;
      const yes = this.#level(0);
      this.#expect(":");
      const no = this.#expression();
      return call(mark.at, "_?_:_", [condition, yes, no]);
    });
  }

  #level(level: number): Node {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#level(level + 1);
    for (let count = 0; ; count++) {
      const token = this.#token;
      const name = token.kind === "literal" ? undefined : operators[token.text];
      if (name === undefined) return left;
      if (count > limits.celChainMax) this.#fail("too many operators in a row", token.at);
      this.#at += 1;
      left = call(token.at, name, [left, this.#level(level + 1)]);
    }
  }

  #unary(): Node {
    const { text, at } = this.#token;
    if (text !== "!" && text !== "-") return this.#member();
    let count = 0;
    while (this.#accept(text) !== undefined) count += 1;
    const next = this.#token;
    // A minus belongs to the number behind it: the lowest integer has no positive twin.
    if (text === "-" && next.kind === "literal" && isNumber(next.value)) {
      const negative = this.#member(true);
      return count % 2 === 1 ? negative : call(at, "-_", [negative]);
    }
    const operand = this.#member();
    if (count % 2 === 0) return operand;
    return call(at, text === "!" ? "!_" : "-_", [operand]);
  }

  #member(negative = false): Node {
    let node = this.#primary(negative);
    for (let count = 0; ; count++) {
      if (count > limits.celChainMax) this.#fail("too many selections in a row", node.at);
      const dot = this.#accept(".");
      const bracket = dot === undefined ? this.#accept("[") : undefined;
      if (dot !== undefined) node = this.#afterDot(node, dot);
      else if (bracket !== undefined) node = this.#index(node, bracket);
      else return node;
    }
  }

  #afterDot(operand: Node, dot: Token): Node {
    const optional = this.#accept("?") !== undefined;
    const name = this.#token;
    if (name.kind !== "ident") this.#unexpected("IDENTIFIER");
    this.#at += 1;
    const open = optional ? undefined : this.#accept("(");
    if (open === undefined) {
      return { op: "select", at: dot.at, operand, field: name.text, test: false, optional };
    }
    const args = this.#arguments(")");
    return expandMacro(
      { op: "call", at: open.at, name: name.text, target: operand, args },
      this.#fail,
    );
  }

  #index(operand: Node, bracket: Token): Node {
    const optional = this.#accept("?") !== undefined;
    const key = this.#expression();
    this.#expect("]");
    return call(bracket.at, optional ? "_[?_]" : "_[_]", [operand, key]);
  }

  #arguments(close: string): Node[] {
    const args: Node[] = [];
    if (this.#accept(close) !== undefined) return args;
    do args.push(this.#expression());
    while (this.#accept(",") !== undefined);
    this.#expect(close);
    return args;
  }

  #primary(negative: boolean): Node {
    const token = this.#token;
    if (token.kind === "literal") return this.#literal(token, negative);
    if (token.kind === "ident") return this.#name();
    if (this.#accept("(") !== undefined) {
      const inner = this.#expression();
      this.#expect(")");
      return inner;
    }
    if (this.#accept("[") !== undefined) return this.#list(token.at);
    if (this.#accept("{") !== undefined) return this.#map(token.at);
    if (this.#accept(".") !== undefined) {
      if (this.#token.kind !== "ident") this.#unexpected("IDENTIFIER");
      return this.#name();
    }
    return this.#unexpected("an expression");
  }

  #literal(token: Token, negative: boolean): Node {
    this.#at += 1;
    const { at, value = null } = token;
    if (typeof value === "bigint") {
      const signed = negative ? -value : value;
      if (signed > 2n ** 63n - 1n) this.#fail("invalid int literal", at);
      return { op: "literal", at, value: signed };
    }
    if (typeof value === "number" && negative) return { op: "literal", at, value: -value };
    return { op: "literal", at, value };
  }

  #name(): Node {
    const { text, at } = this.#token;
    this.#at += 1;
    if (text === "true" || text === "false") return { op: "literal", at, value: text === "true" };
    if (text === "null") return { op: "literal", at, value: null };
    if (text === "in") return this.#fail("Syntax error: mismatched input 'in'", at);
    if (RESERVED.has(text)) return this.#fail(`reserved identifier: ${text}`, at);
    const open = this.#accept("(");
    if (open === undefined) return { op: "ident", at, name: text };
    const args = this.#arguments(")");
    return expandMacro(
      { op: "call", at: open.at, name: text, target: undefined, args },
      this.#fail,
    );
  }

  /** A comma may stand at the end. */
  #sequence(close: string, item: () => void): void {
    while (this.#accept(close) === undefined) {
      item();
      if (this.#accept(",") !== undefined) continue;
      this.#expect(close);
      return;
    }
  }

  #list(at: number): ListLiteral {
    const items: Array<{ value: Node; optional: boolean }> = [];
    this.#sequence("]", () => {
      const optional = this.#accept("?") !== undefined;
      items.push({ value: this.#expression(), optional });
    });
    return { op: "list", at, items };
  }

  #map(at: number): MapLiteral {
    const entries: Array<{ key: Node; value: Node; optional: boolean }> = [];
    this.#sequence("}", () => {
      const optional = this.#accept("?") !== undefined;
      const key = this.#expression();
      this.#expect(":");
      entries.push({ key, value: this.#expression(), optional });
    });
    return { op: "map", at, entries };
  }
}

const isNumber = (value: Token["value"]): boolean =>
  typeof value === "bigint" || typeof value === "number";

const call = (at: number, name: string, args: readonly Node[]): Call => ({
  op: "call",
  at,
  name,
  target: undefined,
  args,
});

/** @throws CompileError. */
export function parse(source: string): Node {
  if (source.length > limits.celExpressionCharsMax) {
    const message = `expression code point size exceeds limit: ${limits.celExpressionCharsMax}`;
    throw new CompileError(source, [{ at: 0, message }]);
  }
  return new Parser(source).whole();
}
