/**
 * Whether what clients saw of one key could have happened one after the other, each operation at a
 * moment between its call and its answer: the search of Wing and Gong, with what was tried
 * remembered. Each written value is unique, so that a compare-and-set is known by what it replaced.
 */

export type Operation =
  | { readonly kind: "create"; readonly value: string }
  | { readonly kind: "get" }
  /** Replaces `before`, and nothing else. */
  | { readonly kind: "update"; readonly before: string; readonly value: string }
  /** Deletes `before`, and nothing else. */
  | { readonly kind: "delete"; readonly before: string };

/**
 * `done`: carried out; of a get: `value` was read. `refused`: something else stood there. `absent`:
 * nothing did. `unknown`: no answer came, it may have been carried out then, later or never.
 */
export interface Event {
  readonly operation: Operation;
  readonly outcome: "done" | "refused" | "absent" | "unknown";
  /** Of a get that is done. */
  readonly value?: string;
  /** Any clock of one process. */
  readonly calledAt: number;
  readonly answeredAt: number;
}

type State = string | undefined;

/** What stands there after it; undefined: it cannot have had this outcome. */
function after({ operation, outcome, value }: Event, state: State): { state: State } | undefined {
  const same = { state };
  if (outcome === "absent") return state === undefined ? same : undefined;
  if (outcome === "refused") {
    if (state === undefined) return undefined;
    const fits = operation.kind === "update" || operation.kind === "delete";
    return fits && state === operation.before ? undefined : same;
  }
  switch (operation.kind) {
    case "get":
      return state !== undefined && state === value ? same : undefined;
    case "create":
      return state === undefined ? { state: operation.value } : undefined;
    case "update":
      return state === operation.before ? { state: operation.value } : undefined;
    case "delete":
      return state === operation.before ? { state: undefined } : undefined;
  }
}

interface Node {
  readonly state: State;
  /** Events that have their place already, a bit each. */
  readonly placed: bigint;
}

function search(events: readonly Event[]): boolean {
  const ends = events.map(({ outcome, answeredAt }) =>
    outcome === "unknown" ? Number.POSITIVE_INFINITY : answeredAt,
  );
  const isKnown = events.map(({ outcome }) => outcome !== "unknown");
  const tried = new Set<string>();
  const stack: Node[] = [{ state: undefined, placed: 0n }];

  /** Those that may come next: called before any other one that waits was answered. */
  function candidates(placed: bigint): { next: number[]; isOver: boolean } {
    const next: number[] = [];
    let firstEnd = Number.POSITIVE_INFINITY;
    let isOver = true;
    for (const [i, { calledAt }] of events.entries()) {
      if (calledAt > firstEnd) break;
      if ((placed >> BigInt(i)) & 1n) continue;
      next.push(i);
      firstEnd = Math.min(firstEnd, ends[i] ?? 0);
      if (isKnown[i]) isOver = false;
    }
    const mayBeNext = (i: number) => (events[i]?.calledAt ?? 0) <= firstEnd;
    return { next: next.filter(mayBeNext), isOver };
  }

  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const id = `${node.placed.toString(36)} ${node.state}`;
    if (tried.has(id)) continue;
    tried.add(id);
    const { next, isOver } = candidates(node.placed);
    if (isOver) return true;
    const ways = next.flatMap((i): Array<Node & { changes: boolean }> => {
      const event = events[i];
      const then = event && after(event, node.state);
      if (then === undefined) return [];
      const placed = node.placed | (1n << BigInt(i));
      return [{ ...then, placed, changes: then.state !== node.state }];
    });
    // What changes nothing and fits now can only be in the way later.
    const quiet = ways.find(({ changes }) => !changes);
    stack.push(...(quiet === undefined ? ways : [quiet]));
  }
  return false;
}

/** The history of one key, which does not exist in the beginning; events in any order. */
export function isLinearizable(events: readonly Event[]): boolean {
  // A read without an answer says nothing.
  const telling = events.filter((e) => e.outcome !== "unknown" || e.operation.kind !== "get");
  return search(telling.toSorted((a, b) => a.calledAt - b.calledAt));
}
