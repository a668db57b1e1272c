import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  planToEtcd,
  planToSqlite,
  type Seen,
  type SeenEtcd,
} from "../../../../src/main/migrate/plan.ts";

const file = { objects: 100, ceiling: 5_000, migration: 0 };
const empty: SeenEtcd = { objects: 0, revision: 7, place: undefined };
const words = { other: "DIR", since: "2026-01-01T00:00:00Z", migration: 3 };
const placed = (state: "ready" | "filling" | "leaving" | "moved", offset = 0): SeenEtcd => ({
  ...{ objects: 50, revision: 60, place: { state, offset, ...words } },
});
const seen = (over: Partial<Seen> = {}): Seen => ({
  ...{ file, fileMovedTo: undefined, etcd: empty, force: false },
  ...over,
});

describe("to etcd", () => {
  test("an empty one is lifted over all revisions that were given out", () => {
    expect(planToEtcd(seen())).toEqual({ offset: 4_993, clear: false });
  });

  test("one that has seen more needs nothing added", () => {
    const etcd = { ...empty, revision: 9_000 };
    expect(planToEtcd(seen({ etcd }))).toEqual({ offset: 0, clear: false });
  });

  test("what was begun is begun anew, also when the file is marked already", () => {
    const plan = planToEtcd(seen({ etcd: placed("filling"), fileMovedTo: "etcd" }));
    expect(plan).toEqual({ offset: 4_940, clear: true });
  });

  test("a cluster that is there is never overwritten", () => {
    for (const etcd of [placed("ready"), placed("leaving"), { ...empty, objects: 1 }]) {
      for (const force of [false, true]) {
        expect(planToEtcd(seen({ etcd, force }))).toMatchObject({
          refused: expect.stringContaining("has a cluster already"),
        });
      }
    }
  });

  test("what moved away is deleted when that is asked for", () => {
    expect(planToEtcd(seen({ etcd: placed("moved") }))).toMatchObject({
      refused: expect.stringContaining("moved to DIR"),
    });
    const plan = planToEtcd(seen({ etcd: placed("moved"), force: true }));
    expect(plan).toMatchObject({ clear: true });
  });

  test("a file that moved away is old, none is nothing", () => {
    expect(planToEtcd(seen({ fileMovedTo: "etcd=x" }))).toMatchObject({
      refused: expect.stringContaining("moved to etcd=x"),
    });
    expect(planToEtcd(seen({ file: undefined }))).toHaveProperty("refused");
  });

  test("revisions grow, whatever both ends have seen", () => {
    const number = fc.nat(2 ** 40);
    fc.assert(
      fc.property(number, number, number, (ceiling, revision, offset) => {
        const etcd = { ...placed("moved", offset), revision };
        const plan = planToEtcd(seen({ file: { ...file, ceiling }, etcd, force: true }));
        if ("refused" in plan) return false;
        // Whatever comes has a revision of etcd that is higher than its newest one now.
        const next = revision + 1 + plan.offset;
        return next > ceiling && next > revision + offset;
      }),
    );
  });
});

describe("to SQLite", () => {
  test("the file of before is set aside", () => {
    const etcd = placed("ready", 9_000);
    expect(planToSqlite(seen({ etcd }))).toEqual({ step: "copy", setAside: true });
    expect(planToSqlite(seen({ etcd, file: undefined }))).toEqual({
      ...{ step: "copy", setAside: false },
    });
  });

  test("a newer file is kept, but for one that was just put there", () => {
    expect(planToSqlite(seen({ etcd: placed("ready") }))).toMatchObject({
      refused: expect.stringContaining("newer"),
    });
    expect(planToSqlite(seen({ etcd: placed("ready"), force: true }))).toEqual({
      ...{ step: "copy", setAside: true },
    });
    expect(planToSqlite(seen({ etcd: placed("leaving") }))).toHaveProperty("refused");
    const fresh = { ...file, migration: 3 };
    expect(planToSqlite(seen({ file: fresh, etcd: placed("leaving") }))).toEqual({
      ...{ step: "finish", setAside: false },
    });
    // Marked as moved: that of the migration to etcd, however high its reserve was.
    expect(planToSqlite(seen({ etcd: placed("ready"), fileMovedTo: "etcd" }))).toEqual({
      ...{ step: "copy", setAside: true },
    });
  });

  test("what is not whole, not there or not the newest is left", () => {
    for (const etcd of [empty, placed("filling"), placed("moved", 9_000)]) {
      expect(planToSqlite(seen({ etcd }))).toHaveProperty("refused");
    }
    const forced = seen({ etcd: placed("moved", 9_000), force: true });
    expect(planToSqlite(forced)).toMatchObject({ step: "copy" });
  });
});
