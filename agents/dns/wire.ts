/**
 * DNS messages in bytes (RFC 1035, RFC 6891), as far as a server needs them. Own code, because
 * answers must fit into one datagram: dns-packet writes every name in full, a headless Service has
 * many.
 */

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  ANY: 255,
} as const;
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
} as const;

const HEADER_BYTES = 12;
const OPT_BYTES = 11;
const FLAG = {
  response: 0x8000,
  opcode: 0x7800,
  authoritative: 0x0400,
  truncated: 0x0200,
} as const;
const RECURSION = { desired: 0x0100, available: 0x0080 } as const;
/** What fits into one datagram on any path (dnsflagday.net/2020). */
export const UDP_BYTES = 1232;
const UDP_BYTES_PLAIN = 512;
const NAME_BYTES_MAX = 255;
const POINTERS_MAX = 64;

export interface Query {
  id: number;
  flags: number;
  /** Lower case, without the last dot; a dot inside a label is `\.`. */
  name: string;
  type: number;
  class: number;
  /** Where the question ends. */
  end: number;
  edns: { bytes: number; version: number; dnssec: boolean } | undefined;
}

export interface SoaData {
  mname: string;
  rname: string;
  serial: number;
  refresh: number;
  retry: number;
  expire: number;
  minimum: number;
}

export type DnsRecord = { name: string; ttl: number } & (
  | { type: "A" | "AAAA" | "CNAME" | "PTR" | "NS" | "TXT"; data: string }
  | { type: "SRV"; data: { priority: number; weight: number; port: number; target: string } }
  | { type: "SOA"; data: SoaData }
);

/** A name at `at`, and where it ends; undefined where it is broken. */
export function readName(bytes: Uint8Array, at: number): { name: string; end: number } | undefined {
  const labels: string[] = [];
  let end = -1;
  let size = 0;
  for (let jumps = 0; jumps < POINTERS_MAX; ) {
    const length = bytes[at];
    if (length === undefined) return undefined;
    if (length === 0) return { name: labels.join("."), end: end < 0 ? at + 1 : end };
    if (length >= 0xc0) {
      const low = bytes[at + 1];
      if (low === undefined) return undefined;
      if (end < 0) end = at + 2;
      at = ((length & 0x3f) << 8) | low;
      jumps++;
      continue;
    }
    size += length + 1;
    if (length > 63 || size > NAME_BYTES_MAX || at + 1 + length > bytes.length) return undefined;
    let label = "";
    for (let i = at + 1; i <= at + length; i++) {
      const code = bytes[i] ?? 0;
      if (code === 0x2e) label += "\\.";
      else label += String.fromCharCode(code >= 0x41 && code <= 0x5a ? code + 32 : code);
    }
    labels.push(label);
    at += length + 1;
  }
  return undefined;
}

const uint16 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
export const uint32 = (bytes: Uint8Array, at: number): number =>
  uint16(bytes, at) * 0x10000 + uint16(bytes, at + 2);

/** Undefined: nothing to answer. A number: answer with this code. */
export function readQuery(bytes: Uint8Array): Query | number | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const flags = uint16(bytes, 2);
  if ((flags & FLAG.response) !== 0) return undefined;
  if ((flags & FLAG.opcode) !== 0) return RCODE.NOTIMP;
  if (uint16(bytes, 4) !== 1) return RCODE.FORMERR;
  const name = readName(bytes, HEADER_BYTES);
  if (name === undefined || name.end + 4 > bytes.length) return RCODE.FORMERR;
  const query: Query = {
    id: uint16(bytes, 0),
    flags,
    name: name.name,
    type: uint16(bytes, name.end),
    class: uint16(bytes, name.end + 2),
    end: name.end + 4,
    edns: undefined,
  };
  for (const record of records(bytes, query.end)) {
    if (record === undefined) return RCODE.FORMERR;
    if (record.type !== TYPE.OPT) continue;
    const flagsAt = record.at + 4;
    query.edns = {
      bytes: uint16(bytes, record.at + 2),
      version: bytes[flagsAt + 1] ?? 0,
      dnssec: ((bytes[flagsAt + 2] ?? 0) & 0x80) !== 0,
    };
  }
  return query;
}

export interface RawRecord {
  name: string;
  type: number;
  /** Of the type; the TTL is 4 bytes on. */
  at: number;
  /** Of the data. */
  dataAt: number;
  dataBytes: number;
  section: "answer" | "authority" | "additional";
}

/** All records behind the question; undefined once where the message is broken. */
export function* records(bytes: Uint8Array, at: number): Generator<RawRecord | undefined> {
  const sections = [
    ["answer", uint16(bytes, 6)],
    ["authority", uint16(bytes, 8)],
    ["additional", uint16(bytes, 10)],
  ] as const;
  for (const [section, count] of sections) {
    for (let i = 0; i < count; i++) {
      const name = readName(bytes, at);
      const fixed = name === undefined ? bytes.length : name.end;
      const dataBytes = uint16(bytes, fixed + 8);
      if (name === undefined || fixed + 10 + dataBytes > bytes.length) {
        yield undefined;
        return;
      }
      const type = uint16(bytes, fixed);
      yield { name: name.name, type, at: fixed, dataAt: fixed + 10, dataBytes, section };
      at = fixed + 10 + dataBytes;
    }
  }
}

/** Most bytes of an answer that the asker takes. */
export function answerBytesMax(query: Query, stream: boolean): number {
  if (stream) return 65_535;
  return Math.max(UDP_BYTES_PLAIN, Math.min(query.edns?.bytes ?? 0, UDP_BYTES));
}

class Writer {
  readonly bytes: Buffer;
  readonly #names = new Map<string, number>();
  at = 0;

  constructor(bytesMax: number) {
    this.bytes = Buffer.allocUnsafe(bytesMax + 1_024);
  }

  uint16(value: number): void {
    this.at = this.bytes.writeUInt16BE(value & 0xffff, this.at);
  }

  uint32(value: number): void {
    this.at = this.bytes.writeUInt32BE(value >>> 0, this.at);
  }

  /** A name that stands at `at` already: the question's. */
  knownName(name: string, at: number): void {
    // With a dot inside a label the text is longer than the bytes.
    if (name.includes("\\")) return;
    for (let rest = name, offset = at; rest !== ""; ) {
      this.#names.set(rest, offset);
      const dot = rest.indexOf(".");
      if (dot < 0) break;
      rest = rest.slice(dot + 1);
      offset += dot + 1;
    }
  }

  name(name: string, compress = true): void {
    for (let rest = name.toLowerCase(); rest !== ""; ) {
      const known = compress ? this.#names.get(rest) : undefined;
      if (known !== undefined) {
        this.uint16(0xc000 | known);
        return;
      }
      if (compress && this.at < 0x4000) this.#names.set(rest, this.at);
      const dot = rest.indexOf(".");
      const label = dot < 0 ? rest : rest.slice(0, dot);
      this.at = this.bytes.writeUInt8(Math.min(label.length, 63), this.at);
      this.at += this.bytes.write(label.slice(0, 63), this.at, "latin1");
      rest = dot < 0 ? "" : rest.slice(dot + 1);
    }
    this.at = this.bytes.writeUInt8(0, this.at);
  }

  record(record: DnsRecord): void {
    this.name(record.name);
    this.uint16(TYPE[record.type]);
    this.uint16(1);
    this.uint32(record.ttl);
    const lengthAt = this.at;
    this.at += 2;
    this.#data(record);
    this.bytes.writeUInt16BE(this.at - lengthAt - 2, lengthAt);
  }

  /** Names that a record wrote and that are cut off with it are no targets of pointers. */
  cut(at: number): void {
    this.at = at;
    for (const [name, offset] of this.#names) if (offset >= at) this.#names.delete(name);
  }

  #data(record: DnsRecord): void {
    switch (record.type) {
      case "A":
        for (const part of record.data.split(".")) {
          this.at = this.bytes.writeUInt8(Number(part) & 255, this.at);
        }
        return;
      case "AAAA":
        for (const group of ipv6Groups(record.data)) this.uint16(group);
        return;
      case "TXT":
        this.at = this.bytes.writeUInt8(Math.min(record.data.length, 255), this.at);
        this.at += this.bytes.write(record.data.slice(0, 255), this.at, "latin1");
        return;
      case "SRV":
        this.uint16(record.data.priority);
        this.uint16(record.data.weight);
        this.uint16(record.data.port);
        this.name(record.data.target, false);
        return;
      case "SOA": {
        const { mname, rname, serial, refresh, retry, expire, minimum } = record.data;
        this.name(mname);
        this.name(rname);
        for (const value of [serial, refresh, retry, expire, minimum]) this.uint32(value);
        return;
      }
      default:
        this.name(record.data);
    }
  }
}

function ipv6Groups(text: string): number[] {
  const [head = "", tail] = text.split("::");
  const parse = (part: string) => (part === "" ? [] : part.split(":").map((g) => Number(`0x${g}`)));
  const front = parse(head);
  const back = tail === undefined ? [] : parse(tail);
  const zeros = new Array<number>(Math.max(0, 8 - front.length - back.length)).fill(0);
  return [...front, ...zeros, ...back];
}

export interface Response {
  rcode: number;
  authoritative: boolean;
  answers: readonly DnsRecord[];
  authorities?: readonly DnsRecord[];
  additionals?: readonly DnsRecord[];
}

function fill(writer: Writer, records: readonly DnsRecord[], bytesMax: number): number {
  let count = 0;
  for (const record of records) {
    const before = writer.at;
    writer.record(record);
    if (writer.at > bytesMax) {
      writer.cut(before);
      break;
    }
    count++;
  }
  return count;
}

/**
 * The answer in bytes; where answers do not fit, those that do and the truncation flag (RFC 2181
 * section 9).
 */
export function writeResponse(
  question: Uint8Array,
  query: Query,
  response: Response,
  bytesMax: number,
): Uint8Array {
  const writer = new Writer(bytesMax);
  const { answers, authorities = [], additionals = [] } = response;
  const room = bytesMax - (query.edns === undefined ? 0 : OPT_BYTES);
  writer.bytes.set(question.subarray(0, query.end), 0);
  writer.at = query.end;
  writer.knownName(query.name, HEADER_BYTES);
  const answered = fill(writer, answers, room);
  const whole = answered === answers.length;
  const authority = whole ? fill(writer, authorities, room) : 0;
  let extra = whole ? fill(writer, additionals, room) : 0;
  if (query.edns !== undefined) {
    extra++;
    writer.at = writer.bytes.writeUInt8(0, writer.at);
    writer.uint16(TYPE.OPT);
    writer.uint16(UDP_BYTES);
    // Only version 0 of EDNS is spoken: BADVERS is 16, whose upper bits stand here.
    writer.uint32((query.edns.version > 0 ? 0x01000000 : 0) + (query.edns.dnssec ? 0x8000 : 0));
    writer.uint16(0);
  }
  const end = writer.at;
  writer.at = 2;
  writer.uint16(
    FLAG.response |
      (response.authoritative ? FLAG.authoritative : 0) |
      (whole ? 0 : FLAG.truncated) |
      (query.flags & RECURSION.desired) |
      RECURSION.available |
      (response.rcode & 15),
  );
  for (const count of [1, answered, authority, extra]) writer.uint16(count);
  return writer.bytes.subarray(0, end);
}

/** An error for a message that may be broken behind its header: no question goes along. */
export function writeError(message: Uint8Array, rcode: number): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.set(message.subarray(0, 2), 0);
  const kept = uint16(message, 2) & (FLAG.opcode | RECURSION.desired);
  bytes.writeUInt16BE(FLAG.response | kept | RECURSION.available | rcode, 2);
  return bytes;
}
