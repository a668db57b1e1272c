/** Macros that walk lists and maps, with the cost of the loops that upstream makes of them. */
import type { FoldKind } from "#api/cel/engine/ast.ts";
import { compare } from "#api/cel/engine/compare.ts";
import type { Code, Frame } from "#api/cel/engine/frame.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { CelMap, List, LiteralMap, type Value } from "#api/cel/engine/values.ts";

export interface FoldParts {
  readonly kind: FoldKind;
  readonly range: Code;
  /** Places of the variables: one, or two. */
  readonly slots: readonly number[];
  readonly predicate: Code | undefined;
  readonly transform: Code | undefined;
}

/** What the loop costs beside what stands in it: at its start, each round, its end. */
interface LoopCost {
  readonly start: number;
  readonly round: number;
  /** A round more where the predicate held. */
  readonly hit: number;
  readonly end: number;
}

export const FOLD_COSTS: Readonly<Record<FoldKind, LoopCost>> = {
  all: { start: 0, round: 3, hit: 0, end: 1 },
  exists: { start: 0, round: 4, hit: 0, end: 1 },
  existsOne: { start: 0, round: 0, hit: 2, end: 2 },
  map: { start: 10, round: 0, hit: 12, end: 1 },
  filter: { start: 10, round: 0, hit: 13, end: 1 },
  transformList: { start: 10, round: 0, hit: 12, end: 1 },
  transformMap: { start: 30, round: 0, hit: 2, end: 1 },
  transformMapEntry: { start: 30, round: 0, hit: 2, end: 1 },
  sortBy: { start: 10, round: 0, hit: 12, end: 1 },
};

type Visit = (key: Value, value: Value) => boolean;

/** Goes on while `visit` answers true. */
function walk(range: Value, two: boolean, visit: Visit): void {
  if (range instanceof List) {
    for (let i = 0; i < range.size; i++) if (!visit(BigInt(i), range.at(i))) return;
    return;
  }
  if (!(range instanceof CelMap) || range.type !== undefined)
    throw new CelError("no such overload");
  for (const key of range.keys()) {
    if (!visit(key, two ? (range.get(key) ?? null) : key)) return;
  }
}

/** Runs the loop; `each` answers whether it goes on. */
function loop(
  parts: FoldParts,
  frame: Frame,
  each: (holds: () => boolean, key: Value, value: Value) => boolean,
): void {
  const { kind, slots, predicate } = parts;
  const cost = FOLD_COSTS[kind];
  const two = slots.length === 2;
  const [first = 0, second = first] = slots;
  frame.spend(cost.start);
  const holds = (): boolean => {
    const value = predicate === undefined ? true : predicate(frame);
    if (typeof value !== "boolean") throw new CelError("no such overload");
    if (value) frame.spend(cost.hit);
    return value;
  };
  walk(parts.range(frame), two, (key, value) => {
    frame.spend(cost.round);
    if (two) frame.locals[first] = key;
    frame.locals[second] = value;
    return each(holds, key, value);
  });
  frame.spend(cost.end);
}

/** One item decides, whatever errors the others make. */
function quantifier(parts: FoldParts, decisive: boolean): Code {
  return (frame) => {
    let result = !decisive;
    let error: CelError | undefined;
    loop(parts, frame, (holds) => {
      try {
        if (holds() === decisive) result = decisive;
      } catch (caught) {
        if (!(caught instanceof CelError)) throw caught;
        error ??= caught;
      }
      return result !== decisive;
    });
    if (error !== undefined && result !== decisive) throw error;
    return result;
  };
}

function existsOne(parts: FoldParts): Code {
  return (frame) => {
    let count = 0;
    loop(parts, frame, (holds) => {
      if (holds()) count += 1;
      return true;
    });
    return count === 1;
  };
}

function collect(parts: FoldParts): Code {
  const { transform } = parts;
  return (frame) => {
    const out: Value[] = [];
    loop(parts, frame, (holds, _key, value) => {
      if (holds()) out.push(transform === undefined ? value : transform(frame));
      return true;
    });
    return new List(out);
  };
}

function filter(parts: FoldParts): Code {
  return (frame) => {
    const out: Value[] = [];
    loop(parts, frame, (holds, key, value) => {
      if (holds()) out.push(parts.slots.length === 2 ? key : value);
      return true;
    });
    return new List(out);
  };
}

function putAll(out: LiteralMap, entries: Value): void {
  if (!(entries instanceof CelMap)) throw new CelError("no such overload");
  for (const key of entries.keys()) {
    if (!out.put(key, entries.get(key) ?? null)) {
      throw new CelError(`insert failed: key ${String(key)} already exists`);
    }
  }
}

function toMap(parts: FoldParts): Code {
  const { kind, transform } = parts;
  return (frame) => {
    const out = new LiteralMap();
    loop(parts, frame, (holds, key) => {
      if (!holds() || transform === undefined) return true;
      const made = transform(frame);
      if (kind === "transformMap") out.put(key, made);
      else putAll(out, made);
      return true;
    });
    return out;
  };
}

function sortBy(parts: FoldParts): Code {
  const { transform } = parts;
  return (frame) => {
    const pairs: Array<{ key: Value; value: Value }> = [];
    loop(parts, frame, (_holds, _key, value) => {
      pairs.push({ key: transform === undefined ? value : transform(frame), value });
      return true;
    });
    frame.spend(Math.ceil(pairs.length * Math.log2(pairs.length + 1)));
    pairs.sort((a, b) => compare(a.key, b.key));
    return new List(pairs.map(({ value }) => value));
  };
}

export function foldCode(parts: FoldParts): Code {
  switch (parts.kind) {
    case "all":
      return quantifier(parts, false);
    case "exists":
      return quantifier(parts, true);
    case "existsOne":
      return existsOne(parts);
    case "map":
    case "transformList":
      return collect(parts);
    case "filter":
      return filter(parts);
    case "transformMap":
    case "transformMapEntry":
      return toMap(parts);
    case "sortBy":
      return sortBy(parts);
  }
}
