/** A program is known by its header, before a node is emptied for it. */
import { expect, test } from "bun:test";
import { pauseProgram } from "#agents/kubelet/pause.ts";
import { architectureIn } from "../../../../src/main/upgrade/program.ts";

test("a program says which machine it is for, and nothing else does", () => {
  expect(architectureIn(pauseProgram("amd64"))).toBe("amd64");
  expect(architectureIn(pauseProgram("arm64"))).toBe("arm64");
  expect(architectureIn(pauseProgram("arm64").subarray(0, 19))).toBeUndefined();
  const other = pauseProgram("arm64");
  other.writeUInt16LE(243, 18);
  expect(architectureIn(other)).toBeUndefined();
  expect(architectureIn(Buffer.from("#!/bin/sh\necho a script is for any\n"))).toBeUndefined();
});
