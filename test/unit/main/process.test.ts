/** Whether lines tell journald how much they matter. */
import { expect, test } from "bun:test";
import { closeSync, fstatSync, openSync } from "node:fs";
import { goesToJournal } from "../../../src/main/process.ts";

test("only to the stream that systemd named, not to a file that a shell put in its place", () => {
  const fd = openSync(import.meta.path, "r");
  try {
    const { dev, ino } = fstatSync(fd);
    expect(goesToJournal(`${dev}:${ino}`, fd)).toBe(true);
    expect(goesToJournal(`${dev}:${ino + 1}`, fd)).toBe(false);
    expect(goesToJournal(undefined, fd)).toBe(false);
  } finally {
    closeSync(fd);
  }
});
