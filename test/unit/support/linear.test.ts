/** The checker itself: against every order by brute force, and on histories of a perfect register. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Event, isLinearizable, type Operation } from "#test/support/linear.ts";
import { tries } from "#test/support/property.ts";

const create = (value: string): Operation => ({ kind: "create", value });
const update = (before: string, value: string): Operation => ({ kind: "update", before, value });
const get: Operation = { kind: "get" };

function event(operation: Operation, at: [number, number], over: Partial<Event> = {}): Event {
  return { operation, outcome: "done", calledAt: at[0], answeredAt: at[1], ...over };
}
const read = (value: string | undefined, at: [number, number]): Event =>
  event(get, at, value === undefined ? { outcome: "absent" } : { value });

describe("by hand", () => {
  const made = event(create("a"), [0, 1]);
  const changed = event(update("a", "b"), [2, 5]);

  test("while a write is under way both may be read, but never back again", () => {
    expect(isLinearizable([made, changed, read("a", [3, 4]), read("b", [3, 4])])).toBe(true);
    expect(isLinearizable([made, changed, read("b", [2.5, 3]), read("a", [3.5, 4])])).toBe(false);
  });

  test("an acknowledged write that nobody sees is a violation", () => {
    expect(isLinearizable([made, read(undefined, [2, 3])])).toBe(false);
    expect(isLinearizable([made, changed, read("a", [6, 7])])).toBe(false);
  });

  test("two that replaced the same are one too many", () => {
    expect(isLinearizable([made, changed, event(update("a", "c"), [2, 5])])).toBe(false);
    const loser = event(update("a", "c"), [2, 5], { outcome: "refused" });
    expect(isLinearizable([made, changed, loser])).toBe(true);
    expect(isLinearizable([made, loser])).toBe(false);
  });

  test("what got no answer may come late, once, or never", () => {
    const unknown = event(create("a"), [0, 1], { outcome: "unknown" });
    expect(isLinearizable([unknown, read(undefined, [2, 3]), read("a", [8, 9])])).toBe(true);
    expect(isLinearizable([unknown, read(undefined, [2, 3])])).toBe(true);
    const wavering = [read("a", [2, 3]), read(undefined, [4, 5])];
    expect(isLinearizable([unknown, ...wavering])).toBe(false);
  });
});

/** What a register would answer, one operation after the other. */
class Register {
  state: string | undefined;
  apply(operation: Operation): Pick<Event, "outcome" | "value"> {
    const { state } = this;
    if (operation.kind === "create") {
      if (state !== undefined) return { outcome: "refused" };
      this.state = operation.value;
      return { outcome: "done" };
    }
    if (state === undefined) return { outcome: "absent" };
    if (operation.kind === "get") return { outcome: "done", value: state };
    if (state !== operation.before) return { outcome: "refused" };
    this.state = operation.kind === "update" ? operation.value : undefined;
    return { outcome: "done" };
  }
}

/** Every order of every choice of the unknown ones. */
function byBruteForce(events: readonly Event[]): boolean {
  const place = (left: readonly Event[], state: string | undefined): boolean => {
    if (left.every(({ outcome }) => outcome === "unknown")) return true;
    return left.some((event) => {
      const others = left.filter((other) => other !== event);
      const answeredFirst = others.some(
        (other) => other.outcome !== "unknown" && other.answeredAt < event.calledAt,
      );
      if (answeredFirst) return false;
      const register = new Register();
      register.state = state;
      const { outcome, value } = register.apply(event.operation);
      const fits =
        event.outcome === "unknown" || (outcome === event.outcome && value === event.value);
      return fits && place(others, register.state);
    });
  };
  return place(events, undefined);
}

const value = fc.constantFrom("a", "b", "c");
const anyOperation: fc.Arbitrary<Operation> = fc.oneof(
  value.map(create),
  fc.constant(get),
  fc.tuple(value, value).map(([before, next]) => update(before, next)),
  value.map((before): Operation => ({ kind: "delete", before })),
);

const anyEvent: fc.Arbitrary<Event> = fc
  .record({
    operation: anyOperation,
    outcome: fc.constantFrom("done", "done", "refused", "absent", "unknown"),
    read: value,
    calledAt: fc.nat(12),
    tookMs: fc.nat(6),
  })
  .filter(({ operation: { kind }, outcome }) => {
    if (kind === "get") return outcome !== "refused";
    return kind !== "create" || outcome !== "absent";
  })
  .map(({ operation, outcome, read, calledAt, tookMs }): Event => {
    const isRead = operation.kind === "get" && outcome === "done";
    const base = { operation, outcome, calledAt, answeredAt: calledAt + tookMs };
    return isRead ? { ...base, value: read } : base;
  });

test("it answers as trying every order does, for any small history", () => {
  let linearizable = 0;
  const history = fc.array(anyEvent, { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(history, (events) => {
      const expected = byBruteForce(events);
      if (expected) linearizable++;
      return isLinearizable(events) === expected;
    }),
    { numRuns: 3_000 },
  );
  expect(linearizable).toBeGreaterThan(50);
  expect(linearizable).toBeLessThan(2_950);
});

interface Step {
  kind: number;
  before: number;
  lead: number;
  tail: number;
  isUnknown: boolean;
}
const anyStep: fc.Arbitrary<Step> = fc.record({
  ...{ kind: fc.nat(5), before: fc.nat(2), lead: fc.nat(30), tail: fc.nat(30) },
  isUnknown: fc.nat(9).map((chance) => chance === 0),
});

/** What clients see of a perfect register: step i happens at 10 i, seen around that. */
function historyOf(steps: readonly Step[]): { events: Event[]; last: string | undefined } {
  const register = new Register();
  const values: string[] = ["none"];
  const events = steps.map(({ kind, before, lead, tail, isUnknown }, i): Event => {
    const fresh = `v${i}`;
    const known = register.state ?? "none";
    const expected = before === 0 ? (values.at(-2) ?? "none") : known;
    const operations = [create(fresh), get, get, update(expected, fresh), update(expected, fresh)];
    const operation = operations[kind] ?? { kind: "delete", before: expected };
    const seen = register.apply(operation);
    if (register.state === fresh) values.push(fresh);
    const at = { calledAt: i * 10 - lead, answeredAt: i * 10 + tail };
    if (isUnknown) return { operation, outcome: "unknown", ...at };
    return { operation, ...seen, ...at };
  });
  return { events, last: register.state };
}

const steps = fc.array(anyStep, { minLength: 1, maxLength: 200 });

test("property: what a perfect register answers is linearizable, however long", () => {
  fc.assert(
    fc.property(steps, (all) => isLinearizable(historyOf(all).events)),
    tries(100),
  );
});

test("property: a value that was replaced for good is never read again unseen", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const { events } = historyOf(all.map((step) => ({ ...step, isUnknown: false })));
      const at = all.length * 10 + 100;
      const first = event(create("first"), [at, at + 1]);
      const clear = { ...event({ kind: "get" }, [0, 0]), calledAt: -100, answeredAt: -99 };
      const before: Event = { ...clear, outcome: "absent" };
      const last = historyOf(all).last;
      const gone =
        last === undefined ? [] : [event({ kind: "delete", before: last }, [at - 9, at])];
      const lost = [...gone, first, event(update("first", "next"), [at + 2, at + 3])];
      const history = [before, ...events, ...lost];
      return (
        isLinearizable([...history, read("next", [at + 4, at + 5])]) === isLinearizable(history) &&
        !isLinearizable([...history, read("first", [at + 4, at + 5])])
      );
    }),
    tries(100),
  );
});
