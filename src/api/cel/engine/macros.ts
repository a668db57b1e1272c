/** Macros: calls whose arguments are not values but variables and expressions. */
import type { Bind, Call, Fold, FoldKind, Node } from "#api/cel/engine/ast.ts";

type Fail = (message: string, at: number) => never;

/** Name -> number of arguments -> what it does with (variables..., predicate?, transform?). */
interface Shape {
  readonly kind: FoldKind;
  readonly variables: 1 | 2;
  readonly predicate: boolean;
  readonly transform: boolean;
}

const shape = (
  kind: FoldKind,
  variables: 1 | 2,
  predicate: boolean,
  transform: boolean,
): Shape => ({ kind, variables, predicate, transform });

const FOLDS: ReadonlyMap<string, Shape> = new Map([
  ["all/2", shape("all", 1, true, false)],
  ["exists/2", shape("exists", 1, true, false)],
  ["exists_one/2", shape("existsOne", 1, true, false)],
  ["existsOne/2", shape("existsOne", 1, true, false)],
  ["map/2", shape("map", 1, false, true)],
  ["map/3", shape("map", 1, true, true)],
  ["filter/2", shape("filter", 1, true, false)],
  ["all/3", shape("all", 2, true, false)],
  ["exists/3", shape("exists", 2, true, false)],
  ["existsOne/3", shape("existsOne", 2, true, false)],
  ["exists_one/3", shape("existsOne", 2, true, false)],
  ["transformList/3", shape("transformList", 2, false, true)],
  ["transformList/4", shape("transformList", 2, true, true)],
  ["transformMap/3", shape("transformMap", 2, false, true)],
  ["transformMap/4", shape("transformMap", 2, true, true)],
  ["transformMapEntry/3", shape("transformMapEntry", 2, false, true)],
  ["transformMapEntry/4", shape("transformMapEntry", 2, true, true)],
  ["sortBy/2", shape("sortBy", 1, false, true)],
]);

function variableOf(node: Node | undefined, at: number, fail: Fail): string {
  if (node?.op === "ident") return node.name;
  return fail("argument must be a simple name", node?.at ?? at);
}

function foldOf(call: Call, range: Node, form: Shape, fail: Fail): Fold {
  const { args, at } = call;
  const variables = args.slice(0, form.variables).map((arg) => variableOf(arg, at, fail));
  if (variables[0] === variables[1]) fail("duplicate variable name in macro", at);
  const rest = args.slice(form.variables);
  return {
    op: "fold",
    at,
    kind: form.kind,
    range,
    variables,
    predicate: form.predicate ? rest[0] : undefined,
    transform: form.transform ? rest.at(-1) : undefined,
  };
}

function bindOf(call: Call, value: Node, optional: Bind["optional"], fail: Fail): Bind | undefined {
  const at = call.at;
  const [name, first, second] = call.args;
  if (optional === "none") {
    if (first === undefined || second === undefined || call.args.length !== 3) return undefined;
    return {
      op: "bind",
      at,
      name: variableOf(name, at, fail),
      value: first,
      body: second,
      optional,
    };
  }
  if (first === undefined || call.args.length !== 2) return undefined;
  return { op: "bind", at, name: variableOf(name, at, fail), value, body: first, optional };
}

function expandHas(call: Call, fail: Fail): Node {
  const [arg] = call.args;
  if (arg?.op !== "select" || arg.test || arg.optional) {
    return fail("invalid argument to has() macro", arg?.at ?? call.at);
  }
  return { ...arg, test: true };
}

/** What a call stands for: itself, where it is no macro. */
export function expandMacro(call: Call, fail: Fail): Node {
  const { name, target, args } = call;
  if (target === undefined) {
    return name === "has" && args.length === 1 ? expandHas(call, fail) : call;
  }
  const fold = FOLDS.get(`${name}/${args.length}`);
  if (fold !== undefined) return foldOf(call, target, fold, fail);
  if (name === "bind" && target.op === "ident" && target.name === "cel") {
    return bindOf(call, target, "none", fail) ?? call;
  }
  if (name === "optMap") return bindOf(call, target, "map", fail) ?? call;
  if (name === "optFlatMap") return bindOf(call, target, "flatMap", fail) ?? call;
  return call;
}
