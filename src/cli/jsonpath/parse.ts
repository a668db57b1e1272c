/**
 * The JSONPath templates of kubectl, parsed: `{range .items[*]}{.metadata.name}{"\n"}{end}`.
 * kubernetes.io/docs/reference/kubectl/jsonpath
 */
import { UsageError } from "#base/errors.ts";

export type Step =
  | { kind: "root" }
  | { kind: "field"; name: string }
  | { kind: "wildcard" }
  | { kind: "descend" }
  | { kind: "slice"; from?: number; to?: number; step?: number }
  | { kind: "index"; at: number }
  | { kind: "union"; branches: Step[][] }
  | { kind: "filter"; left: Operand; operator: string; right: Operand };

export type Operand = { path: Step[] } | { literal: unknown };

export type Part =
  | { kind: "text"; text: string }
  | { kind: "path"; steps: Step[] }
  | { kind: "range"; steps: Step[]; body: Part[] };

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
const OPERATORS = ["==", "!=", "<=", ">=", "<", ">"];

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  #fail(why: string): never {
    throw new UsageError(`error parsing jsonpath ${this.#text}, ${why}`);
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  peek(length = 1): string {
    return this.#text.substr(this.#at, length);
  }

  take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #space(): void {
    while (/\s/.test(this.peek())) this.#at += 1;
  }

  #match(pattern: RegExp): string | undefined {
    const sticky = new RegExp(pattern, "y");
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #quoted(): string {
    const quote = this.peek();
    this.#at += 1;
    let out = "";
    for (;;) {
      if (this.done) this.#fail("unterminated quoted string");
      const char = this.peek();
      this.#at += 1;
      if (char === quote) return out;
      if (char !== "\\") out += char;
      else {
        const next = this.peek();
        this.#at += 1;
        out += ESCAPES[next] ?? next;
      }
    }
  }

  /** Text and blocks up to the end, or to `{end}` within a range. */
  template(inRange: boolean): Part[] {
    const parts: Part[] = [];
    while (!this.done) {
      if (!this.take("{")) {
        parts.push({ kind: "text", text: this.#match(/[^{]+/) ?? "" });
        continue;
      }
      this.#space();
      if (this.#match(/end\s*\}/) !== undefined) {
        if (!inRange) this.#fail("not in range, nothing to end");
        return parts;
      }
      this.#block(parts);
    }
    if (inRange) this.#fail("unexpected end of range: {end} is missing");
    return parts;
  }

  #block(parts: Part[]): void {
    if (this.#match(/range\b\s*/) !== undefined) {
      const steps = this.path();
      this.#space();
      if (!this.take("}")) this.#fail("unclosed action");
      parts.push({ kind: "range", steps, body: this.template(true) });
      return;
    }
    for (;;) {
      this.#space();
      if (this.take("}")) return;
      if (this.done) this.#fail("unclosed action");
      const literal = this.#literal();
      if (literal !== undefined) parts.push({ kind: "text", text: String(literal.literal) });
      else parts.push({ kind: "path", steps: this.path() });
    }
  }

  #literal(): { literal: unknown } | undefined {
    if (this.peek() === '"' || this.peek() === "'") return { literal: this.#quoted() };
    const number = this.#match(/-?\d+(\.\d+)?/);
    if (number !== undefined) return { literal: Number(number) };
    const word = this.#match(/(true|false|null)\b/);
    return word === undefined ? undefined : { literal: JSON.parse(word) as unknown };
  }

  path(): Step[] {
    const steps: Step[] = [];
    const start = this.#at;
    for (;;) {
      if (this.take("$")) steps.push({ kind: "root" });
      else if (this.take("@")) continue;
      else if (this.take("..")) {
        steps.push({ kind: "descend" });
        if (this.peek() !== "[" && !this.done) this.#named(steps);
      } else if (this.take(".")) this.#named(steps);
      else if (this.take("[")) this.#bracket(steps);
      else if (this.#at === start) this.#fail(`unrecognized character in action: ${this.peek()}`);
      else return steps;
    }
  }

  #named(steps: Step[]): void {
    if (this.take("*")) {
      steps.push({ kind: "wildcard" });
      return;
    }
    const name = this.#match(/(\\.|[^\s{}[\].,'"$@()=!<>|&*?:\\])+/);
    if (name !== undefined) steps.push({ kind: "field", name: name.replace(/\\(.)/g, "$1") });
  }

  #bracket(steps: Step[]): void {
    this.#space();
    if (this.take("?(")) {
      steps.push(this.#filter());
    } else {
      const branches: Step[][] = [];
      do {
        this.#space();
        branches.push(this.#selector());
        this.#space();
      } while (this.take(","));
      const [only] = branches;
      if (only !== undefined && branches.length === 1) steps.push(...only);
      else steps.push({ kind: "union", branches });
    }
    this.#space();
    if (!this.take("]")) this.#fail("unterminated array");
  }

  #selector(): Step[] {
    if (this.take("*")) return [{ kind: "wildcard" }];
    if (this.peek() === "'" || this.peek() === '"')
      return [{ kind: "field", name: this.#quoted() }];
    if (this.peek() === "." || this.peek() === "@" || this.peek() === "$") return this.path();
    const text = this.#match(/-?\d*(:-?\d*){0,2}/) ?? "";
    if (text === "") this.#fail(`invalid array index ${this.peek(8)}`);
    if (!text.includes(":")) return [{ kind: "index", at: Number(text) }];
    const [from, to, step] = text.split(":").map((n) => (n === "" ? undefined : Number(n)));
    return [
      {
        kind: "slice",
        ...(from !== undefined && { from }),
        ...(to !== undefined && { to }),
        ...(step !== undefined && { step }),
      },
    ];
  }

  #operand(): Operand {
    this.#space();
    return this.#literal() ?? { path: this.path() };
  }

  #filter(): Step {
    const left = this.#operand();
    this.#space();
    const operator = OPERATORS.find((each) => this.take(each));
    const right = operator === undefined ? { literal: undefined } : this.#operand();
    this.#space();
    if (!this.take(")")) this.#fail("unterminated filter");
    return { kind: "filter", left, operator: operator ?? "exists", right };
  }
}

/** @throws UsageError in kubectl's words. */
export const parseTemplate = (text: string): Part[] => new Parser(text).template(false);

/**
 * `.metadata.name`, `metadata.name`, `{.metadata.name}`: one path, as sort-by and custom-columns
 * take it.
 */
export function parsePath(text: string): Step[] {
  const bare = text.trim().replace(/^\{(.*)\}$/s, "$1");
  const parser = new Parser(/^[.[$@]/.test(bare) ? bare : `.${bare}`);
  const steps = parser.path();
  if (parser.done) return steps;
  throw new UsageError(
    `unexpected path string, expected a 'name1.name2' or '.name1.name2': ${text}`,
  );
}
