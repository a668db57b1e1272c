import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type FrameError, OPCODE, readFrame, writeFrame } from "#api/wire/frames.ts";
import { tries } from "#test/support/property.ts";

const MAX = 1 << 20;

/** What a client sends: the same frame, masked. */
function masked(opcode: number, payload: Buffer, final = true): Buffer {
  const plain = writeFrame(opcode, payload);
  const head = Buffer.from(plain.subarray(0, plain.length - payload.length));
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = (head[1] ?? 0) | 0x80;
  const mask = Buffer.from([1, 2, 3, 4]);
  const body = Buffer.from(payload.map((byte, at) => byte ^ (mask[at & 3] ?? 0)));
  return Buffer.concat([head, mask, body]);
}

function codeOf(input: Buffer, bytesMax = MAX): number {
  try {
    readFrame(input, bytesMax);
    return 0;
  } catch (error) {
    return (error as FrameError).code;
  }
}

describe("frames", () => {
  test("property: of every length are read as they were written", () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536, 70_000), (length) => {
        const payload = Buffer.alloc(length, "abc");
        const input = Buffer.concat([masked(OPCODE.binary, payload), Buffer.from("rest")]);
        const next = readFrame(input, MAX);
        expect(next?.frame).toEqual({ final: true, opcode: OPCODE.binary, payload });
        expect(input.subarray(next?.size).toString()).toBe("rest");
      }),
      tries(100),
    );
  });

  test("that are not whole yet are waited for", () => {
    const input = masked(OPCODE.text, Buffer.alloc(300, "x"));
    for (let end = 0; end < input.length; end += 1) {
      expect(readFrame(input.subarray(0, end), MAX)).toBeUndefined();
    }
  });

  test("against the rules close the connection", () => {
    const good = masked(OPCODE.binary, Buffer.from("x"));
    const with0 = (first: number) => Buffer.concat([Buffer.of(first), good.subarray(1)]);
    expect(codeOf(writeFrame(OPCODE.binary, Buffer.from("x")))).toBe(1002);
    expect(codeOf(with0(0xc2))).toBe(1002);
    expect(codeOf(masked(OPCODE.ping, Buffer.from("x"), false))).toBe(1002);
    expect(codeOf(masked(OPCODE.ping, Buffer.alloc(126)))).toBe(1002);
    expect(codeOf(masked(OPCODE.binary, Buffer.alloc(11)), 10)).toBe(1009);
  });
});
