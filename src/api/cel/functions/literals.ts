/**
 * Literals that can never work, found when the expression is compiled: patterns, times, durations.
 */
import type { Call, Node } from "#api/cel/engine/ast.ts";
import { CelError, type Problem } from "#api/cel/engine/problems.ts";
import { parseDuration, parseTime } from "#api/cel/functions/clockwords.ts";
import { patternOf } from "#api/cel/functions/patterns.ts";

const CHECKS: Readonly<Record<string, (value: string) => unknown>> = {
  matches: patternOf,
  find: patternOf,
  findAll: patternOf,
  timestamp: parseTime,
  duration: parseDuration,
};

function childrenOf(node: Node): readonly Node[] {
  switch (node.op) {
    case "literal":
    case "ident":
      return [];
    case "select":
      return [node.operand];
    case "call":
      return node.target === undefined ? node.args : [node.target, ...node.args];
    case "list":
      return node.items.map(({ value }) => value);
    case "map":
      return node.entries.flatMap(({ key, value }) => [key, value]);
    case "bind":
      return [node.value, node.body];
    case "fold":
      return [node.range, node.predicate, node.transform].filter((each) => each !== undefined);
  }
}

function problemOf({ name, args }: Call): Problem | undefined {
  const check = CHECKS[name];
  const [first] = args;
  if (check === undefined || first?.op !== "literal" || typeof first.value !== "string") {
    return undefined;
  }
  try {
    check(first.value);
    return undefined;
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return { at: first.at, message: `invalid ${name} argument: ${error.message}` };
  }
}

export function literalProblems(node: Node): Problem[] {
  const own = node.op === "call" ? problemOf(node) : undefined;
  const inside = childrenOf(node).flatMap(literalProblems);
  return own === undefined ? inside : [own, ...inside];
}
