/** The part of ASN.1's DER that certificates need (ITU-T X.690): write values, read any. */

export interface DerNode {
  readonly tag: number;
  /** The content, without tag and length. */
  readonly content: Uint8Array;
  /** The whole, as it stood in the input. */
  readonly bytes: Uint8Array;
}

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

function lengthOf(size: number): number[] {
  if (size < 0x80) return [size];
  const bytes: number[] = [];
  for (let rest = size; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

function tagged(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const size = contents.reduce((sum, content) => sum + content.length, 0);
  return Buffer.concat([Uint8Array.from([tag, ...lengthOf(size)]), ...contents]);
}

/** Base 128, highest group first, every byte but the last with its top bit set. */
function base128(number: number): number[] {
  const bytes = [number % 128];
  for (let rest = Math.floor(number / 128); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.unshift(0x80 | (rest % 128));
  }
  return bytes;
}

function time(atMs: number): Uint8Array {
  const digits = new Date(atMs).toISOString().replace(/\.\d+/, "").replace(/[-:T]/g, "");
  // RFC 5280, 4.1.2.5: years 1950 to 2049 have two digits, all others four.
  const short = /^(19[5-9]|20[0-4])/.test(digits);
  const text = Buffer.from(short ? digits.slice(2) : digits);
  return tagged(short ? TAG.utcTime : TAG.generalizedTime, text);
}

function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const short = bytes.subarray(start);
  const negative = ((short[0] ?? 0) & 0x80) !== 0;
  return tagged(TAG.integer, ...(negative ? [Uint8Array.of(0)] : []), short);
}

function oid(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return tagged(TAG.oid, Uint8Array.from([first * 40 + second, ...rest.flatMap(base128)]));
}

export const der = {
  sequence: (...items: readonly Uint8Array[]) => tagged(TAG.sequence, ...items),
  set: (...items: readonly Uint8Array[]) => tagged(TAG.set, ...items),
  /** Context-specific: `[number]`, with values inside or with plain bytes. */
  inside: (number: number, ...items: readonly Uint8Array[]) => tagged(0xa0 | number, ...items),
  plain: (number: number, content: Uint8Array) => tagged(0x80 | number, content),
  boolean: (value: boolean) => tagged(TAG.boolean, Uint8Array.of(value ? 0xff : 0)),
  /** An unsigned number, highest byte first. */
  integer,
  oid,
  octets: (content: Uint8Array) => tagged(TAG.octetString, content),
  bits: (content: Uint8Array, unused = 0) => tagged(TAG.bitString, Uint8Array.of(unused), content),
  text: (text: string) => tagged(TAG.utf8String, Buffer.from(text)),
  time,
};

function readOne(bytes: Uint8Array, at: number): DerNode {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) throw new Error("DER: the data ends too early");
  if ((tag & 0x1f) === 0x1f) throw new Error("DER: long tags are not used here");
  let size = first;
  let start = at + 2;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new Error("DER: bad length");
    size = 0;
    for (let i = 0; i < count; i++) size = size * 256 + (bytes[start + i] ?? 0);
    start += count;
  }
  const end = start + size;
  if (end > bytes.length) throw new Error("DER: the data ends too early");
  return { tag, content: bytes.subarray(start, end), bytes: bytes.subarray(at, end) };
}

/** The values that follow one another in `bytes`. Throws Error for anything else. */
export function readDer(bytes: Uint8Array): DerNode[] {
  const nodes: DerNode[] = [];
  for (let at = 0; at < bytes.length; ) {
    const node = readOne(bytes, at);
    nodes.push(node);
    at += node.bytes.length;
  }
  return nodes;
}

/** The bytes of `-----BEGIN LABEL-----`; throws Error when there is no such block. */
export function fromPem(pem: string, label: string): Uint8Array {
  const pattern = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`);
  const base64 = pattern.exec(pem)?.[1];
  if (base64 === undefined) throw new Error(`no PEM block "${label}"`);
  return Buffer.from(base64, "base64");
}

export function toPem(bytes: Uint8Array, label: string): string {
  const lines =
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
