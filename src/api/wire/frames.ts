/** WebSocket frames, as a server reads and writes them (RFC 6455, section 5). */

export const OPCODE = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Frame {
  readonly final: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** What ends the connection, with its close code. */
export class FrameError extends Error {
  override name = "FrameError";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

function unmask(payload: Buffer, mask: Buffer): Buffer {
  const out = Buffer.allocUnsafe(payload.length);
  for (let at = 0; at < payload.length; at += 1) {
    out[at] = (payload[at] ?? 0) ^ (mask[at & 3] ?? 0);
  }
  return out;
}

/** Bytes of the length field after the second byte. */
const lengthBytes = (short: number): number => (short === 127 ? 8 : short === 126 ? 2 : 0);

function lengthOf(input: Buffer, short: number): number {
  if (short < 126) return short;
  if (short === 126) return input.readUInt16BE(2);
  return Number(input.readBigUInt64BE(2));
}

/** The first whole frame of the input and its size there. @throws FrameError */
export function readFrame(
  input: Buffer,
  bytesMax: number,
): { frame: Frame; size: number } | undefined {
  const [first, second] = input;
  if (first === undefined || second === undefined) return undefined;
  if ((first & 0x70) !== 0) throw new FrameError(1002, "reserved bits are set");
  if ((second & 0x80) === 0) throw new FrameError(1002, "a client's frame must be masked");
  const short = second & 0x7f;
  const start = 2 + lengthBytes(short);
  if (input.length < start) return undefined;
  const length = lengthOf(input, short);
  const opcode = first & 0x0f;
  const final = (first & 0x80) !== 0;
  if (opcode >= 8 && (short > 125 || !final)) throw new FrameError(1002, "bad control frame");
  if (length > bytesMax) throw new FrameError(1009, "message too long");
  const end = start + 4 + length;
  if (input.length < end) return undefined;
  const payload = unmask(input.subarray(start + 4, end), input.subarray(start, start + 4));
  return { frame: { final, opcode, payload }, size: end };
}

export function writeFrame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const out = Buffer.allocUnsafe(2 + extra + length);
  out[0] = 0x80 | opcode;
  out[1] = extra === 0 ? length : extra === 2 ? 126 : 127;
  if (extra === 2) out.writeUInt16BE(length, 2);
  if (extra === 8) out.writeBigUInt64BE(BigInt(length), 2);
  out.set(payload, 2 + extra);
  return out;
}
