/**
 * Programs of 64-bit ARM on this machine: the kernel hands them to qemu, as `binfmt_misc` is told.
 * What is told holds for the whole machine, so only programs with this process's mark are meant;
 * any other one stays what it is here, a program of a foreign machine.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mustRun } from "#test/support/instance.ts";

const QEMU = "/usr/bin/qemu-aarch64-static";
/** Where libc6-arm64-cross puts ARM's C library. */
export const SYSROOT = "/usr/aarch64-linux-gnu";
/** Bytes of an ELF header that nobody reads (elf(5), EI_PAD): the mark's place. */
const MARK_AT = 9;
const MARK_BYTES = 7;
const EM_AARCH64 = 183;

const hex = (bytes: Iterable<number>): string =>
  [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");

export interface Foreign {
  /** A copy of the program in `path`, with the mark. */
  marked(program: string, path: string): string;
  /** The kernel is told no longer. */
  close(): Promise<void>;
}

/** What a program begins with is enough to know it by; the kernel compares no more than 256 bytes. */
const KNOWN_BYTES = 128;

/**
 * Tells the kernel, also of `programs` that come without a mark; `dir` gets a folder.
 * @throws Error where the machine has no binfmt_misc
 */
export async function arm64Programs(dir: string, programs: Buffer[] = []): Promise<Foreign> {
  if (Bun.which(QEMU) === null) throw new Error("qemu-user-static is missing");
  const mark = Buffer.from(String(process.pid).padStart(MARK_BYTES, "b"));
  const at = join(dir, "binfmt");
  const names: string[] = [];
  mkdirSync(at);
  await mustRun(["mount", "-t", "binfmt_misc", "binfmt_misc", at]);
  const head = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, ...mark];
  const type = [2, 0];
  const magic = hex([...head, ...type, EM_AARCH64, 0]);
  // Executables of either type, 2 and 3.
  const mask = hex([...head.map(() => 0xff), 0xfe, 0xff, 0xff, 0xff]);
  const tell = (bytes: string, bits = ""): void => {
    const name = `bramble-test-${process.pid}-${names.length}`;
    // F: qemu is opened now, so that it is found from within containers, too.
    writeFileSync(join(at, "register"), `:${name}:M:0:${bytes}:${bits}:${QEMU}:F`);
    names.push(name);
  };
  tell(magic, mask);
  for (const program of programs) tell(hex(program.subarray(0, KNOWN_BYTES)));
  return {
    marked(program, path) {
      const bytes = readFileSync(program);
      if (bytes.readUInt16LE(18) !== EM_AARCH64) throw new Error(`${program} is not for arm64`);
      bytes.set(mark, MARK_AT);
      writeFileSync(path, bytes, { mode: 0o755 });
      return path;
    },
    async close() {
      for (const name of names) writeFileSync(join(at, name), "-1");
      await mustRun(["umount", at]);
      rmSync(at, { recursive: true });
    },
  };
}
