import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { interfaceReader, interfaces } from "#base/interfaces.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "bramble-interfaces-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function counted(files: string[]) {
  let asked = 0;
  const read = interfaceReader(() => {
    asked++;
    return {};
  }, files);
  return { read, asked: () => asked };
}

test("the kernel is asked again only where one of its tables changed", () => {
  const files = [join(dir, "a"), join(dir, "b")];
  for (const path of files) writeFileSync(path, "one");
  const { read, asked } = counted(files);
  read();
  read();
  expect(asked()).toBe(1);
  writeFileSync(join(dir, "b"), "two");
  read();
  read();
  expect(asked()).toBe(2);
});

test("it is asked each time where a table cannot be read", () => {
  const { read, asked } = counted([join(dir, "missing")]);
  read();
  read();
  expect(asked()).toBe(2);
});

test("they are those of this machine", () => {
  expect(interfaces()).toEqual(networkInterfaces());
});
