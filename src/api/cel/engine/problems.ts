/**
 * What is wrong with an expression, and where, shown as upstream shows it: the line, and a mark
 * below it.
 */

export interface Problem {
  /** Position in UTF-16 units. */
  readonly at: number;
  readonly message: string;
}

/** The expression cannot be read or does not fit together. */
export class CompileError extends Error {
  override name = "CompileError";
  readonly problems: readonly Problem[];
  constructor(source: string, problems: readonly Problem[]) {
    super(show(source, problems));
    this.problems = problems;
  }
}

/** Evaluating went wrong: the expression's fault or its data's. `&&` and `||` may swallow it. */
export class CelError extends Error {
  override name = "CelError";
}

/** Evaluating would take too long. Nothing in an expression can swallow it. */
export class CostError extends Error {
  override name = "CostError";
  constructor() {
    super("operation cancelled: actual cost limit exceeded");
  }
}

/** Evaluating is not over: it goes on later. Nothing in an expression can swallow it. */
export abstract class Suspended extends Error {}

/** It is the turn of others. */
export class Paused extends Suspended {
  override name = "Paused";
  constructor() {
    super("paused");
  }
}

const SNIPPET_CHARS_MAX = 16_384;

function showOne(source: string, { at, message }: Problem): string {
  const before = source.slice(0, at);
  const lineStart = before.lastIndexOf("\n") + 1;
  const line = before.split("\n").length;
  const column = [...source.slice(lineStart, at)].length;
  const text = source.slice(lineStart).split("\n", 1)[0] ?? "";
  const head = `ERROR: <input>:${line}:${column + 1}: ${message}`;
  if (text.length > SNIPPET_CHARS_MAX) return head;
  const dots = ".".repeat(column);
  return `${head}\n | ${text.replaceAll("\t", " ")}\n | ${dots}^`;
}

function show(source: string, problems: readonly Problem[]): string {
  const sorted = [...problems].sort((a, b) => a.at - b.at);
  return sorted.map((problem) => showOne(source, problem)).join("\n");
}
