import { expect, test } from "bun:test";
import { routeOf } from "../../../../src/main/migrate/args.ts";

const ETCD = "etcd=http://10.0.0.1:2379,http://10.0.0.2:2379";

test("to etcd the datastore's file is the other end, whatever the settings say already", () => {
  expect(routeOf(ETCD, "sqlite")).toEqual({ to: "etcd", etcd: ETCD });
  expect(routeOf(ETCD, ETCD)).toEqual({ to: "etcd", etcd: ETCD });
});

test("to SQLite the settings say which etcd", () => {
  expect(routeOf("sqlite", ETCD)).toEqual({ to: "sqlite", etcd: ETCD });
  expect(routeOf("sqlite", "sqlite")).toHaveProperty("refused");
});

for (const to of ["etcd", "etcd=", "etcd=a,", "postgres", ""]) {
  test(`${JSON.stringify(to)} is no end`, () => {
    expect(routeOf(to, "sqlite")).toMatchObject({ refused: expect.stringContaining("--to") });
  });
}
