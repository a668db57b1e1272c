/**
 * Any interleaving of writes, watches, lists, compaction and crashes tells one history. The model
 * is the list of changes that a watch of everything saw; all else must follow from it.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type Change,
  ConflictError,
  GoneError,
  type Item,
  type Store,
  type Write,
} from "#store/store.ts";
import { fakeClock } from "#test/support/clock.ts";
import { type SimDisk, simDisk } from "#test/support/sim.ts";
import { openTestStore, tempDir } from "#test/support/store.ts";
import { record, testCodec, turn } from "#test/support/suites/store.ts";

const HISTORY_MAX = 12;
const BUCKETS = ["core/pods/", "apps/deployments/"];
const PREFIXES = [...BUCKETS, "core/pods/a/", "core/pods/b/"];
const KEYS = ["core/pods/a/x", "core/pods/a/y", "core/pods/b/x", "apps/deployments/a/x"];

type State = ReadonlyMap<string, Item>;

type Step =
  | { do: "write"; key: number; remove: boolean; basis: "known" | "old" | "none"; lazy: boolean }
  | { do: "turn" }
  | { do: "settle" }
  | { do: "watch"; prefix: number; back: number }
  | { do: "unwatch"; index: number }
  | { do: "list"; prefix: number; back: number; limit: number }
  | { do: "compact"; back: number }
  | { do: "crash"; how: "close" | "kill" | "power" };

const index = (length: number) => fc.nat(length - 1);
const back = fc.nat(HISTORY_MAX + 4);
const steps = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant("write" as const),
        key: index(KEYS.length),
        remove: fc.boolean(),
        basis: fc.constantFrom("known" as const, "known", "known", "old", "none"),
        lazy: fc.boolean(),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constantFrom("turn" as const, "turn", "settle" as const) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("watch" as const),
        prefix: index(PREFIXES.length),
        back,
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("unwatch" as const), index: fc.nat(5) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant("list" as const),
        prefix: index(PREFIXES.length),
        back,
        limit: fc.integer({ min: 1, max: 3 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("compact" as const), back }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("crash" as const),
        how: fc.constantFrom("close" as const, "kill" as const, "power" as const),
      }),
    },
  ),
  { minLength: 5, maxLength: 60 },
);

function fold(base: State, changes: readonly Change[], upTo = Number.POSITIVE_INFINITY): State {
  const state = new Map(base);
  for (const { type, revision, item } of changes) {
    if (revision > upTo) break;
    if (type === "put") state.set(item.key, item);
    else state.delete(item.key);
  }
  return state;
}

function sorted(state: State, prefix = ""): Item[] {
  const items = [...state.values()].filter((item) => item.key.startsWith(prefix));
  return items.sort((a, b) => (a.key < b.key ? -1 : 1));
}

interface Watched {
  readonly prefix: string;
  readonly after: number;
  readonly seen: readonly Change[];
  readonly close: () => void;
  open: boolean;
}

interface Answer {
  readonly write: Write;
  readonly result: Item | Error;
}

/** The life of one opened store, from what was on the disk to a crash. */
class Epoch {
  readonly #base: State;
  readonly #start: number;
  readonly #all: Array<ReturnType<typeof record>>;
  readonly #watches: Watched[] = [];
  readonly answers: Answer[] = [];
  #waiting: Array<Promise<void>> = [];
  #compacted = 0;
  readonly store: Store;
  readonly disk: SimDisk;

  constructor(store: Store, disk: SimDisk, base: State) {
    this.store = store;
    this.disk = disk;
    this.#base = base;
    this.#start = store.revision();
    this.#all = BUCKETS.map((prefix) => record(store, prefix, this.#start));
  }

  get changes(): Change[] {
    return this.#all.flatMap((all) => all.changes).sort((a, b) => a.revision - b.revision);
  }

  get #floor(): number {
    const last = this.changes.at(-1 - HISTORY_MAX)?.revision ?? 0;
    return Math.max(this.#start, this.#compacted, last);
  }

  write(step: Extract<Step, { do: "write" }>, text: string): void {
    const key = KEYS[step.key] ?? "";
    const known = this.changes.filter(({ item }) => item.key === key);
    const stood = fold(this.#base, this.changes).get(key)?.revision ?? 0;
    const expected = { known: stood, old: known.at(-2)?.revision ?? 0, none: 0 }[step.basis];
    const value = JSON.stringify({ text });
    const write: Write = {
      key,
      expect: expected,
      durability: step.lazy ? "lazy" : "disk",
      ...(!(step.remove && expected > 0) && { value, terms: testCodec.terms(key, value) }),
    };
    const note = (result: Item | Error) => void this.answers.push({ write, result });
    this.#waiting.push(this.store.write(write).then(note, note));
  }

  async settle(): Promise<void> {
    await Promise.all(this.#waiting);
    this.#waiting = [];
    await turn();
  }

  watch(step: Extract<Step, { do: "watch" }>): void {
    const prefix = PREFIXES[step.prefix] ?? "";
    const after = Math.max(0, this.store.revision() - step.back);
    try {
      const { changes, close } = record(this.store, prefix, after);
      expect(after).toBeGreaterThanOrEqual(this.#floor);
      this.#watches.push({ prefix, after, seen: changes, close, open: true });
    } catch (error) {
      expect(error).toBeInstanceOf(GoneError);
      expect(after).toBeLessThan(this.#floor);
    }
  }

  unwatch(at: number): void {
    const watch = this.#watches[at];
    watch?.close();
    if (watch) watch.open = false;
  }

  async list(step: Extract<Step, { do: "list" }>): Promise<void> {
    const prefix = PREFIXES[step.prefix] ?? "";
    const revision = Math.max(0, this.store.revision() - step.back);
    const expected = sorted(fold(this.#base, this.changes, revision), prefix);
    const known = revision >= this.#floor;
    const items: Item[] = [];
    let after: string | undefined;
    try {
      do {
        const options = { prefix, revision, limit: step.limit, ...(after && { after }) };
        const page = await this.store.list(options);
        expect(page.revision).toBe(revision);
        items.push(...page.items);
        expect(page.remaining ?? 0).toBe(expected.length - items.length);
        after = page.next;
      } while (after !== undefined);
      expect(known).toBe(true);
      expect(items).toEqual(expected);
    } catch (error) {
      if (!(error instanceof GoneError)) throw error;
      expect(known).toBe(false);
    }
  }

  async compact(step: Extract<Step, { do: "compact" }>): Promise<void> {
    const revision = Math.max(0, this.store.revision() - step.back);
    await this.store.compact(revision);
    this.#compacted = Math.max(this.#compacted, revision);
  }

  /** What was seen up to now is one history, in which each answer has its place. */
  check(): void {
    const changes = this.changes;
    let before = this.#start;
    const state = new Map(this.#base);
    for (const { type, revision, item, previous } of changes) {
      expect(revision).toBeGreaterThan(before);
      expect(item.revision).toBe(revision);
      expect(previous).toEqual(state.get(item.key) as Item);
      before = revision;
      if (type === "put") state.set(item.key, item);
      else state.delete(item.key);
    }
    const byRevision = new Map(changes.map((change) => [change.revision, change]));
    let successes = 0;
    for (const { write, result } of this.answers) {
      if (result instanceof Error) {
        expect(result).toBeInstanceOf(ConflictError);
        const { current } = result as ConflictError;
        expect(current?.revision ?? 0).not.toBe(write.expect);
      } else {
        successes++;
        const change = byRevision.get(result.revision);
        expect(change?.item).toEqual(result);
        expect(change?.type).toBe(write.value === undefined ? "delete" : "put");
        expect(change?.previous?.revision ?? 0).toBe(write.expect);
      }
    }
    expect(successes).toBe(changes.length);
    this.#checkWatches(changes);
  }

  #checkWatches(changes: readonly Change[]): void {
    for (const { prefix, after, seen, open } of this.#watches) {
      const due = changes.filter((c) => c.revision > after && c.item.key.startsWith(prefix));
      expect(seen).toEqual(open ? due : due.slice(0, seen.length));
    }
  }
}

/** What is there after the crash is what stood at one moment, no older than any promise. */
async function recovered(epoch: Epoch, base: State, promised: number, next: Store) {
  const lists = await Promise.all(BUCKETS.map((prefix) => next.list({ prefix })));
  const found = new Map(lists.flatMap(({ items }) => items).map((item) => [item.key, item]));
  const moments = [0, ...epoch.changes.map(({ revision }) => revision)];
  const match = moments
    .filter((moment) => moment >= promised || moment === moments.at(-1))
    .some((moment) => Bun.deepEquals(sorted(fold(base, epoch.changes, moment)), sorted(found)));
  expect(match).toBe(true);
  return found;
}

async function run(script: readonly Step[]): Promise<void> {
  const dir = tempDir();
  const clock = fakeClock();
  const opened: Store[] = [];
  let texts = 0;

  async function open(path: string, base: State): Promise<Epoch> {
    const disk = simDisk(dir.path);
    const limits = { watchHistoryEventsMax: HISTORY_MAX };
    const store = await openTestStore(path, { openDisk: disk.open, clock, limits });
    opened.push(store);
    return new Epoch(store, disk, base);
  }

  async function crash(epoch: Epoch, base: State, how: "close" | "kill" | "power") {
    const { store, disk } = epoch;
    if (how === "close") await epoch.settle();
    const shown = store.revision();
    const promised = Math.max(
      0,
      ...epoch.answers.map(({ write, result }) =>
        !(result instanceof Error) && (write.durability === "disk" || how === "close")
          ? result.revision
          : 0,
      ),
    );
    if (how === "close") await store.close();
    const path = how === "power" ? disk.powerCut() : disk.kill();
    // What was under way ends in the old files, so that the model knows all that may have landed.
    await epoch.settle();
    await store.close();
    epoch.check();
    const next = await open(path, new Map());
    expect(next.store.revision()).toBeGreaterThanOrEqual(shown);
    const found = await recovered(epoch, base, promised, next.store);
    return { epoch: new Epoch(next.store, next.disk, found), base: found as State };
  }

  try {
    let base: State = new Map();
    let epoch = await open(`${dir.path}/state.db`, base);
    for (const step of script) {
      if (step.do === "write") epoch.write(step, `t${texts++}`);
      else if (step.do === "turn") await turn();
      else if (step.do === "settle") await epoch.settle();
      else if (step.do === "unwatch") epoch.unwatch(step.index);
      else if (step.do === "crash") ({ epoch, base } = await crash(epoch, base, step.how));
      else {
        // Changes reach watchers a moment after readers; the model reads what watchers know.
        await Promise.resolve();
        if (step.do === "watch") epoch.watch(step);
        else if (step.do === "list") await epoch.list(step);
        else if (step.do === "compact") await epoch.compact(step);
      }
    }
    await epoch.settle();
    epoch.check();
  } finally {
    for (const store of opened) await store.close();
    dir.remove();
  }
}

test("any interleaving tells one history", async () => {
  await fc.assert(fc.asyncProperty(steps, run), { numRuns: 120 });
}, 360_000);
