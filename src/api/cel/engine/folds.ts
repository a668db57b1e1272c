/** Macros that walk lists and maps, with the cost of the loops that upstream makes of them. */
import type { FoldKind } from "#api/cel/engine/ast.ts";
import { compare } from "#api/cel/engine/compare.ts";
import type { Code, Frame, Kept } from "#api/cel/engine/frame.ts";
import { CelError, Suspended } from "#api/cel/engine/problems.ts";
import { CelMap, List, LiteralMap, type Value } from "#api/cel/engine/values.ts";

export interface FoldParts {
  readonly kind: FoldKind;
  readonly range: Code;
  /** Places of the variables: one, or two. */
  readonly slots: readonly number[];
  readonly predicate: Code | undefined;
  readonly transform: Code | undefined;
  /** Where its progress is kept. */
  readonly place: number;
  /** Places of what is done anew in each round: from, to. */
  readonly inside: readonly [number, number];
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

/** What a loop walks over. */
interface Items {
  readonly size: number;
  at(index: number): Value;
  key(index: number): Value;
}

function itemsOf(range: Value, two: boolean): Items {
  if (range instanceof List) {
    return { size: range.size, at: (index) => range.at(index), key: (index) => BigInt(index) };
  }
  if (!(range instanceof CelMap) || range.type !== undefined)
    throw new CelError("no such overload");
  const keys = [...range.keys()];
  const key = (index: number): Value => keys[index] ?? null;
  const at = two ? (index: number): Value => range.get(key(index)) ?? null : key;
  return { size: keys.length, at, key };
}

/** One round of a loop, as what a kind of loop makes of it. */
interface Round {
  readonly holds: () => boolean;
  readonly made: (() => Value) | undefined;
  key: Value;
  value: Value;
}

interface FoldShape<S> {
  begin(): S;
  /**
   * Answers whether the loop goes on. It may be suspended and begun again: the state is changed
   * last.
   */
  round(state: S, round: Round): boolean;
  /** @throws CelError. */
  end(state: S, frame: Frame): Value;
}

/** A loop under way; what was spent is that of the beginning of its next round. */
interface Loop<S> extends Kept {
  readonly items: Items;
  readonly state: S;
  next: number;
}

function roundOf({ predicate, transform, kind }: FoldParts, frame: Frame): Round {
  const { hit } = FOLD_COSTS[kind];
  const holds = (): boolean => {
    const value = predicate === undefined ? true : predicate(frame);
    if (typeof value !== "boolean") throw new CelError("no such overload");
    if (value) frame.spend(hit);
    return value;
  };
  const made = transform && (() => transform(frame));
  return { holds, made, key: null, value: null };
}

/** Walks on to the end, or until the loop is suspended. */
function walk<S>(parts: FoldParts, shape: FoldShape<S>, loop: Loop<S>, frame: Frame): void {
  const { kind, slots, inside } = parts;
  const cost = FOLD_COSTS[kind].round;
  const two = slots.length === 2;
  const [first = 0, second = first] = slots;
  const { items, state } = loop;
  const round = roundOf(parts, frame);
  while (loop.next < items.size) {
    loop.cost = frame.cost;
    loop.steps = frame.steps;
    frame.spend(cost);
    round.key = items.key(loop.next);
    round.value = items.at(loop.next);
    if (two) frame.locals[first] = round.key;
    frame.locals[second] = round.value;
    const more = shape.round(state, round);
    loop.next = more ? loop.next + 1 : items.size;
    loop.cost = frame.cost;
    loop.steps = frame.steps;
    frame.forget(inside[0], inside[1]);
    frame.rest();
  }
}

function fold<S>(parts: FoldParts, shape: FoldShape<S>): Code {
  const cost = FOLD_COSTS[parts.kind];
  const begin = (frame: Frame): Loop<S> => {
    frame.spend(cost.start);
    const items = itemsOf(parts.range(frame), parts.slots.length === 2);
    return { items, state: shape.begin(), next: 0, cost: frame.cost, steps: frame.steps };
  };
  return (frame) => {
    const before = frame.cost + frame.steps;
    const kept = frame.recall(parts.place);
    if (kept?.value !== undefined) return kept.value;
    const loop = kept === undefined ? begin(frame) : (kept as Loop<S>);
    try {
      walk(parts, shape, loop, frame);
    } catch (error) {
      if (error instanceof Suspended) frame.keep(parts.place, loop);
      throw error;
    }
    frame.spend(cost.end);
    const value = shape.end(loop.state, frame);
    frame.keepResult(parts.place, value, before);
    return value;
  };
}

interface Found {
  result: boolean;
  error: CelError | undefined;
}

/** One item decides, whatever errors the others make. */
const quantifier = (decisive: boolean): FoldShape<Found> => ({
  begin: () => ({ result: !decisive, error: undefined }),
  round: (found, { holds }) => {
    try {
      if (holds() === decisive) found.result = decisive;
    } catch (caught) {
      if (!(caught instanceof CelError)) throw caught;
      found.error ??= caught;
    }
    return found.result !== decisive;
  },
  end: ({ result, error }) => {
    if (error !== undefined && result !== decisive) throw error;
    return result;
  },
});

const existsOne: FoldShape<{ count: number }> = {
  begin: () => ({ count: 0 }),
  round: (state, { holds }) => {
    if (holds()) state.count += 1;
    return true;
  },
  end: ({ count }) => count === 1,
};

const collect: FoldShape<Value[]> = {
  begin: () => [],
  round: (out, { holds, made, value }) => {
    if (holds()) out.push(made === undefined ? value : made());
    return true;
  },
  end: (out) => new List(out),
};

const filter = (two: boolean): FoldShape<Value[]> => ({
  begin: () => [],
  round: (out, { holds, key, value }) => {
    if (holds()) out.push(two ? key : value);
    return true;
  },
  end: (out) => new List(out),
});

function putAll(out: LiteralMap, entries: Value): void {
  if (!(entries instanceof CelMap)) throw new CelError("no such overload");
  const pairs = [...entries.keys()].map((key) => [key, entries.get(key) ?? null] as const);
  for (const [key, value] of pairs) {
    if (!out.put(key, value)) {
      throw new CelError(`insert failed: key ${String(key)} already exists`);
    }
  }
}

const toMap = (put: (out: LiteralMap, key: Value, made: Value) => void): FoldShape<LiteralMap> => ({
  begin: () => new LiteralMap(),
  round: (out, { holds, made, key }) => {
    if (holds() && made !== undefined) put(out, key, made());
    return true;
  },
  end: (out) => out,
});

const sortBy: FoldShape<Array<{ key: Value; value: Value }>> = {
  begin: () => [],
  round: (pairs, { made, value }) => {
    pairs.push({ key: made === undefined ? value : made(), value });
    return true;
  },
  end: (pairs, frame) => {
    frame.spend(Math.ceil(pairs.length * Math.log2(pairs.length + 1)));
    const sorted = [...pairs].sort((a, b) => compare(a.key, b.key));
    return new List(sorted.map(({ value }) => value));
  },
};

export function foldCode(parts: FoldParts): Code {
  switch (parts.kind) {
    case "all":
      return fold(parts, quantifier(false));
    case "exists":
      return fold(parts, quantifier(true));
    case "existsOne":
      return fold(parts, existsOne);
    case "map":
    case "transformList":
      return fold(parts, collect);
    case "filter":
      return fold(parts, filter(parts.slots.length === 2));
    case "transformMap":
      return fold(
        parts,
        toMap((out, key, made) => {
          out.put(key, made);
        }),
      );
    case "transformMapEntry":
      return fold(
        parts,
        toMap((out, _key, made) => putAll(out, made)),
      );
    case "sortBy":
      return fold(parts, sortBy);
  }
}
