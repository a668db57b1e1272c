/** Which machines a program file is for, by its ELF header (elf(5)). */
import { closeSync, openSync, readSync } from "node:fs";
import { messageOf, OperatorError } from "#base/errors.ts";

const MACHINE_AT = 18;
const HEAD_BYTES = MACHINE_AT + 2;
/** `e_machine`, and Kubernetes' word. */
const ARCHITECTURES = new Map([
  [62, "amd64"],
  [183, "arm64"],
]);

/** Of the first bytes of a file; undefined where they are of no program, or of another machine's. */
export function architectureIn(head: Buffer): string | undefined {
  const isElf = head.length >= HEAD_BYTES && head.toString("latin1", 0, 4) === "\x7fELF";
  return isElf ? ARCHITECTURES.get(head.readUInt16LE(MACHINE_AT)) : undefined;
}

function headOf(path: string): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  const file = openSync(path, "r");
  try {
    return head.subarray(0, readSync(file, head, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(file);
  }
}

/** @throws OperatorError where there is no such file, or it is for other machines than these. */
export function mustBeFor(arch: string, path: string): void {
  let found: string | undefined;
  try {
    found = architectureIn(headOf(path));
  } catch (cause) {
    throw new OperatorError(`${path} cannot be read: ${messageOf(cause)}`, { cause });
  }
  if (found !== undefined && found !== arch) {
    throw new OperatorError(`${path} is for ${found}, and not for ${arch}`);
  }
}
