/**
 * The first process of pods that share their process namespace: it waits for ever and lets the
 * kernel reap what is left to it. A program of some 200 bytes, written here in machine code, in an
 * image made on the spot: nothing to fetch, and no page of memory worth counting. Other pods need
 * none.
 */
import { createHash } from "node:crypto";

export const PAUSE_IMAGE = "bramble.local/pause:1";
/** No container of a pod can have this name: theirs have no capitals. */
export const PAUSE_NAME = "POD";

const BASE = 0x400000;
const EHDR = 64;
const PHDR = 56;
const SIG_IGN = 1;
const SA_NOCLDWAIT = 2;

/** struct sigaction of the kernel: handler, flags, restorer, mask. */
function ignoreChildren(): Buffer {
  const out = Buffer.alloc(32);
  out.writeUInt32LE(SIG_IGN, 0);
  out.writeUInt32LE(SA_NOCLDWAIT, 8);
  return out;
}

/** rt_sigaction(SIGCHLD, &act, 0, 8), then pause() for ever. */
function codeX64(): Buffer {
  const before = [
    [0xb8, 0x0d, 0, 0, 0], // mov eax, 13 (rt_sigaction)
    [0xbf, 0x11, 0, 0, 0], // mov edi, 17 (SIGCHLD)
    [0x48, 0x8d, 0x35, 0x11, 0, 0, 0], // lea rsi, [rip + 17]: past what follows
    [0x31, 0xd2], // xor edx, edx
    [0x41, 0xba, 0x08, 0, 0, 0], // mov r10d, 8
    [0x0f, 0x05], // syscall
    [0xb8, 0x22, 0, 0, 0], // mov eax, 34 (pause)
    [0x0f, 0x05], // syscall
    [0xeb, 0xf7], // jmp back to the mov
  ].flat();
  // From the end of lea to the data.
  before[13] = before.length - 17;
  return Buffer.concat([Buffer.from(before), ignoreChildren()]);
}

const movz = (register: number, value: number): number => 0xd2800000 + value * 32 + register;

/** The same; arm64 has no pause, so ppoll() of nothing without an end. */
function codeArm64(): Buffer {
  const svc = 0xd4000001;
  const words = [
    movz(8, 134), // rt_sigaction
    movz(0, 17),
    0, // adr x1, act
    movz(2, 0),
    movz(3, 8),
    svc,
    movz(0, 0),
    movz(1, 0),
    movz(2, 0),
    movz(3, 0),
    movz(4, 0),
    movz(8, 73), // ppoll
    svc,
    0x17fffff9, // b back by 7
    0xd503201f, // nop: the data is aligned to eight bytes
    0xd503201f,
  ];
  const distance = (words.length - 2) * 4;
  words[2] = 0x10000000 + (distance >> 2) * 32 + 1;
  const code = Buffer.alloc(words.length * 4);
  for (const [i, word] of words.entries()) code.writeUInt32LE(word, i * 4);
  return Buffer.concat([code, ignoreChildren()]);
}

/** A static ELF executable of one segment. Architecture as GOARCH. */
export function pauseProgram(architecture: "amd64" | "arm64"): Buffer {
  const code = architecture === "amd64" ? codeX64() : codeArm64();
  const size = EHDR + PHDR + code.length;
  const out = Buffer.alloc(EHDR + PHDR);
  out.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  out.writeUInt16LE(2, 16); // executable
  out.writeUInt16LE(architecture === "amd64" ? 62 : 183, 18);
  out.writeUInt32LE(1, 20);
  out.writeBigUInt64LE(BigInt(BASE + EHDR + PHDR), 24); // entry
  out.writeBigUInt64LE(BigInt(EHDR), 32); // program headers
  out.writeUInt16LE(EHDR, 52);
  out.writeUInt16LE(PHDR, 54);
  out.writeUInt16LE(1, 56);
  out.writeUInt32LE(1, EHDR); // load
  out.writeUInt32LE(5, EHDR + 4); // read, execute
  out.writeBigUInt64LE(BigInt(BASE), EHDR + 16);
  out.writeBigUInt64LE(BigInt(BASE), EHDR + 24);
  out.writeBigUInt64LE(BigInt(size), EHDR + 32);
  out.writeBigUInt64LE(BigInt(size), EHDR + 40);
  out.writeBigUInt64LE(0x1000n, EHDR + 48);
  return Buffer.concat([out, code]);
}

interface TarEntry {
  name: string;
  data: Buffer;
  mode: number;
}

/** POSIX ustar. */
function tar(entries: readonly TarEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const { name, data, mode } of entries) {
    const head = Buffer.alloc(512);
    const octal = (value: number, length: number) => value.toString(8).padStart(length - 1, "0");
    head.write(name, 0);
    head.write(octal(mode, 8), 100);
    head.write(octal(0, 8), 108);
    head.write(octal(0, 8), 116);
    head.write(octal(data.length, 12), 124);
    head.write(octal(0, 12), 136);
    head.write("        ", 148);
    head.write("0", 156);
    head.write("ustar\u000000", 257);
    const sum = head.reduce((total, byte) => total + byte, 0);
    head.write(`${octal(sum, 7)}\u0000 `, 148);
    parts.push(head, data, Buffer.alloc((512 - (data.length % 512)) % 512));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");

/** A docker-archive with the image, as `Runtime.load` takes it. */
export function pauseImage(architecture: "amd64" | "arm64"): Buffer {
  const layer = tar([{ name: "pause", data: pauseProgram(architecture), mode: 0o755 }]);
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: "linux",
      config: { Entrypoint: ["/pause"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
    }),
  );
  const configName = `${sha256(config)}.json`;
  const manifest = [{ Config: configName, RepoTags: [PAUSE_IMAGE], Layers: ["layer.tar"] }];
  return tar([
    { name: "layer.tar", data: layer, mode: 0o644 },
    { name: configName, data: config, mode: 0o644 },
    { name: "manifest.json", data: Buffer.from(JSON.stringify(manifest)), mode: 0o644 },
  ]);
}
