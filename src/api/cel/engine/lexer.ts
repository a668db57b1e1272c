/** Text to tokens. https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax */
import { CompileError } from "#api/cel/engine/problems.ts";
import { Uint } from "#api/cel/engine/values.ts";

export type TokenKind = "ident" | "literal" | "punctuation" | "end";

export interface Token {
  readonly kind: TokenKind;
  /** As written. */
  readonly text: string;
  readonly at: number;
  readonly value?: bigint | number | string | Uint8Array | Uint;
}

const SPACE = /(?:[ \t\r\n\f]+|\/\/[^\n]*)+/y;
const IDENT = /[_a-zA-Z][_a-zA-Z0-9]*/y;
const NUMBER =
  /0x([0-9a-fA-F]+)([uU]?)|(\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)|(\d+)([uU]?)/y;
const PUNCTUATION = /==|!=|<=|>=|&&|\|\||[<>!+\-*/%?:.,()[\]{}]/y;
const STRING = /([bB]?[rR]?|[rR][bB])("""|'''|"|')/y;

const SIMPLE: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "?": "?",
  '"': '"',
  "'": "'",
  "`": "`",
};

const ESCAPE =
  /\\(?:([abfnrtv\\?"'`])|x([0-9a-fA-F]{2})|X([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))/y;

class Lexer {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  #fail(message: string, at = this.#at): never {
    throw new CompileError(this.#source, [{ at, message: `Syntax error: ${message}` }]);
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source);
  }

  next(): Token {
    const space = this.#match(SPACE);
    if (space !== null) this.#at += space[0].length;
    const at = this.#at;
    if (at >= this.#source.length) return { kind: "end", text: "<EOF>", at };
    const quote = this.#match(STRING);
    if (quote !== null) return this.#string(quote);
    const ident = this.#match(IDENT);
    if (ident !== null) return this.#take("ident", ident[0]);
    const number = this.#match(NUMBER);
    if (number !== null) return this.#number(number);
    const punctuation = this.#match(PUNCTUATION);
    if (punctuation !== null) return this.#take("punctuation", punctuation[0]);
    return this.#fail(`token recognition error at: '${this.#source[at]}'`);
  }

  #take(kind: TokenKind, text: string, value?: Token["value"]): Token {
    const at = this.#at;
    this.#at += text.length;
    return { kind, text, at, ...(value !== undefined && { value }) };
  }

  #number(match: RegExpExecArray): Token {
    const [text, hex, hexUnsigned, double, digits, unsigned] = match;
    if (double !== undefined) return this.#take("literal", text, Number(double));
    const value = hex === undefined ? BigInt(digits ?? "0") : BigInt(`0x${hex}`);
    if ((hexUnsigned || unsigned) !== "" && (hexUnsigned || unsigned) !== undefined) {
      if (value > 2n ** 64n - 1n) this.#fail("invalid uint literal");
      return this.#take("literal", text, new Uint(value));
    }
    // The lowest integer is written with a minus, which is a token of its own.
    if (value > 2n ** 63n) this.#fail("invalid int literal");
    return this.#take("literal", text, value);
  }

  #string(open: RegExpExecArray): Token {
    const start = this.#at;
    const [head, prefix = "", quote = ""] = open;
    const raw = /r/i.test(prefix);
    const bytes = /b/i.test(prefix);
    const parts: Array<string | number> = [];
    this.#at += head.length;
    for (;;) {
      if (this.#source.startsWith(quote, this.#at)) break;
      const char = this.#source[this.#at];
      if (char === undefined || (quote.length === 1 && (char === "\n" || char === "\r"))) {
        this.#fail(`token recognition error at: '${this.#source.slice(start)}'`, start);
      }
      if (char === "\\" && !raw) parts.push(this.#escape(bytes));
      else {
        parts.push(char);
        this.#at += 1;
      }
    }
    this.#at += quote.length;
    const text = this.#source.slice(start, this.#at);
    const value = bytes ? bytesOf(parts) : parts.join("");
    return { kind: "literal", text, at: start, value };
  }

  /** A byte in bytes, else text. */
  #escape(bytes: boolean): string | number {
    const match = this.#match(ESCAPE);
    if (match === null) this.#fail("invalid escape sequence");
    const [text, simple, x, bigX, u, bigU, octal] = match;
    this.#at += text.length;
    if (simple !== undefined) return SIMPLE[simple] ?? simple;
    const code =
      octal === undefined
        ? Number.parseInt(x ?? bigX ?? u ?? bigU ?? "0", 16)
        : Number.parseInt(octal, 8);
    const unicode = u !== undefined || bigU !== undefined;
    if (bytes && unicode) this.#fail("unable to unescape string");
    if (bytes) return code;
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
      this.#fail("invalid unicode code point");
    }
    return String.fromCodePoint(code);
  }
}

function bytesOf(parts: ReadonlyArray<string | number>): Uint8Array {
  const out: number[] = [];
  let text = "";
  const flush = (): void => {
    out.push(...Buffer.from(text));
    text = "";
  };
  for (const part of parts) {
    if (typeof part === "string") text += part;
    else {
      flush();
      out.push(part);
    }
  }
  flush();
  return Uint8Array.from(out);
}

/** @throws CompileError. */
export function tokenize(source: string): Token[] {
  const lexer = new Lexer(source);
  const tokens: Token[] = [];
  for (;;) {
    const token = lexer.next();
    tokens.push(token);
    if (token.kind === "end") return tokens;
  }
}
