/**
 * One question to one answer: the cluster's names from the zone, fixed hosts, all others from
 * upstream.
 */
import type { Forwarder } from "#agents/dns/forward.ts";
import type { Meaning, ZoneConfig } from "#agents/dns/plan.ts";
import { inside, reverseAddress, soa, type Zone } from "#agents/dns/plan.ts";
import { type Forwarding, upstreamsFor } from "#agents/dns/upstreams.ts";
import type { DnsRecord, Query } from "#agents/dns/wire.ts";
import * as wire from "#agents/dns/wire.ts";
import { contains } from "#base/cidr.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";

const { RCODE, TYPE } = wire;
const CLASS_IN = 1;
const HEADER_BYTES = 12;
const ALIASES_MAX = 8;
/** Seconds of fixed hosts. */
const TTL_HOSTS = 30;

export interface ResolverOptions {
  config: ZoneConfig;
  /** Service and pod CIDRs: an address in them that we do not know has no name anywhere. */
  cidrs: readonly string[];
  zone: Zone;
  forwarder: Forwarder;
  forwarding: () => Promise<Forwarding>;
  random: Random;
}

type Reply = Uint8Array | undefined;

/** Whose question it is: the same one has the same answer but for this. */
const ID_BYTES = 2;

export class Resolver {
  readonly #options: ResolverOptions;
  /** Own answers by question, in bytes; forgotten when anything in the cluster changes. */
  readonly #datagrams = new Map<string, Uint8Array>();
  readonly #streamed = new Map<string, Uint8Array>();

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** Something that names depend on changed. */
  forget(): void {
    this.#datagrams.clear();
    this.#streamed.clear();
  }

  /**
   * Undefined: no answer at all. At once for names of the cluster, in bytes that are good until the
   * next call.
   */
  answer(message: Buffer, stream: boolean, aliases = 0): Reply | Promise<Reply> {
    const answers = stream ? this.#streamed : this.#datagrams;
    const key = message.toString("latin1", ID_BYTES);
    const known = answers.get(key);
    if (known !== undefined) {
      for (let at = 0; at < ID_BYTES; at++) known[at] = message[at] ?? 0;
      return known;
    }
    const query = wire.readQuery(message);
    if (query === undefined) return undefined;
    if (typeof query === "number") return wire.writeError(message, query);
    if (query.edns !== undefined && query.edns.version > 0) {
      return this.#write(message, query, { rcode: RCODE.NOERROR, answers: [] }, stream);
    }
    if (query.class !== CLASS_IN) {
      return this.#write(message, query, { rcode: RCODE.REFUSED, answers: [] }, stream);
    }
    const meaning = this.#meaning(query);
    if (meaning === undefined) return this.#forward(message, query, stream);
    if (meaning.alias !== undefined) {
      return this.#alias(message, query, meaning, { stream, aliases: aliases + 1 });
    }
    const bytes = this.#write(message, query, this.#shuffled(meaning), stream);
    // Several answers come in another order each time, so that clients that take the first one
    // spread.
    const kept = this.#datagrams.size + this.#streamed.size;
    if (meaning.answers.length <= 1 && kept < limits.dnsAnswersMax) {
      answers.set(key, bytes);
    }
    return bytes;
  }

  #meaning(query: Query): Meaning | undefined {
    const { zone, cidrs } = this.#options;
    const meaning = zone.lookup(query.name, query.type);
    if (meaning !== undefined) return meaning;
    const ip = reverseAddress(query.name);
    if (ip !== undefined && cidrs.some((cidr) => contains(cidr, ip))) {
      return { rcode: RCODE.NXDOMAIN, answers: [] };
    }
    return undefined;
  }

  #shuffled(meaning: Meaning): Meaning {
    const answers = [...meaning.answers];
    for (let i = answers.length - 1; i > 0; i--) {
      const j = Math.floor(this.#options.random.next() * (i + 1));
      [answers[i], answers[j]] = [answers[j] as DnsRecord, answers[i] as DnsRecord];
    }
    return { ...meaning, answers };
  }

  #write(message: Uint8Array, query: Query, meaning: Meaning, stream: boolean): Uint8Array {
    const { config } = this.#options;
    const { rcode, answers, additionals = [] } = meaning;
    const ours = inside(query.name, config.domain) !== undefined || answers.length > 0;
    const nothing = answers.length === 0 && rcode !== RCODE.REFUSED && ours;
    return wire.writeResponse(
      message,
      query,
      {
        rcode,
        authoritative: rcode !== RCODE.REFUSED,
        answers,
        // Says for how long "nothing" may be believed (RFC 2308).
        authorities: nothing ? [soa(config)] : [],
        additionals,
      },
      wire.answerBytesMax(query, stream),
    );
  }

  async #forward(message: Uint8Array, query: Query, stream: boolean): Promise<Reply> {
    const forwarding = await this.#options.forwarding();
    const fixed = forwarding.hosts.get(query.name);
    if (fixed !== undefined) {
      const answers = hostRecords(query, fixed);
      return this.#write(message, query, { rcode: RCODE.NOERROR, answers }, stream);
    }
    const upstreams = upstreamsFor(query.name, forwarding);
    try {
      return await this.#options.forwarder.ask(message, query, upstreams, stream);
    } catch {
      // The forwarder has told which servers do not answer.
      const failed = { rcode: RCODE.SERVFAIL, authoritative: false, answers: [] };
      return wire.writeResponse(message, query, failed, wire.answerBytesMax(query, stream));
    }
  }

  /**
   * A CNAME out of the zone, with what stands behind it: resolvers in pods do not ask on by
   * themselves.
   */
  async #alias(
    message: Uint8Array,
    query: Query,
    meaning: Meaning,
    { stream, aliases }: { stream: boolean; aliases: number },
  ): Promise<Reply> {
    const question = Buffer.from(questionFor(meaning.alias ?? "", query.type));
    // Services that name each other in a circle lead nowhere.
    const reply = aliases > ALIASES_MAX ? undefined : await this.answer(question, false, aliases);
    const behind = reply === undefined ? [] : addressRecords(reply);
    const rcode = reply === undefined ? RCODE.SERVFAIL : (reply[3] ?? 0) & 15;
    const answers = [...meaning.answers, ...behind];
    return wire.writeResponse(
      message,
      query,
      { rcode, authoritative: false, answers },
      wire.answerBytesMax(query, stream),
    );
  }
}

function hostRecords(query: Query, ips: readonly string[]): DnsRecord[] {
  return ips.flatMap((data): DnsRecord[] => {
    const type = data.includes(":") ? ("AAAA" as const) : ("A" as const);
    const wanted = query.type === TYPE[type] || query.type === TYPE.ANY;
    return wanted ? [{ name: query.name, ttl: TTL_HOSTS, type, data }] : [];
  });
}

/** A question of our own, with room for a long answer (EDNS). */
function questionFor(name: string, type: number): Uint8Array {
  const labels = name.split(".");
  const bytes = Buffer.alloc(HEADER_BYTES + name.length + 2 + 4 + 11);
  bytes.writeUInt16BE(0x0100, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(1, 10);
  let at = HEADER_BYTES;
  for (const label of labels) {
    at = bytes.writeUInt8(Math.min(63, label.length), at);
    at += bytes.write(label.slice(0, 63), at, "latin1");
  }
  at = bytes.writeUInt8(0, at);
  at = bytes.writeUInt16BE(type, at);
  at = bytes.writeUInt16BE(CLASS_IN, at);
  at = bytes.writeUInt16BE(TYPE.OPT, at + 1);
  at = bytes.writeUInt16BE(wire.UDP_BYTES, at);
  return bytes.subarray(0, at + 6);
}

/** Addresses and aliases of an answer. */
function addressRecords(message: Uint8Array): DnsRecord[] {
  const question = wire.readName(message, HEADER_BYTES);
  if (question === undefined) return [];
  const found: DnsRecord[] = [];
  for (const record of wire.records(message, question.end + 4)) {
    if (record === undefined || record.section !== "answer") break;
    const { name, dataAt } = record;
    const ttl = wire.uint32(message, record.at + 4);
    const data = message.subarray(dataAt, dataAt + record.dataBytes);
    if (record.type === TYPE.A && data.length === 4) {
      found.push({ name, ttl, type: "A", data: data.join(".") });
    } else if (record.type === TYPE.AAAA && data.length === 16) {
      found.push({ name, ttl, type: "AAAA", data: ipv6Text(data) });
    } else if (record.type === TYPE.CNAME) {
      const target = wire.readName(message, dataAt)?.name;
      if (target !== undefined) found.push({ name, ttl, type: "CNAME", data: target });
    }
  }
  return found;
}

function ipv6Text(bytes: Uint8Array): string {
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) {
    groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  }
  return groups.join(":");
}
