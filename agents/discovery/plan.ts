/**
 * DNS-SD over mDNS as data: the records of what we announce, the answer to a question, and what
 * others' records say (RFC 6762, RFC 6763). Pure; `announcer.ts`, `browser.ts` and `lan.ts` send
 * and listen.
 */
import type { Answer, Packet, Question } from "dns-packet";

export const SERVICE_TYPE = "_bramble._tcp.local";
const ALL_TYPES = "_services._dns-sd._udp.local";
/** Seconds. Records that name an address are short-lived (RFC 6762 section 10). */
const TTL_HOST = 120;
const TTL_OTHER = 4_500;
/** For a resolver that asks from another port than 5353 (RFC 6762 section 6.7). */
const TTL_LEGACY = 10;
const FLUSH_MS = 1_000;
const LABEL_BYTES_MAX = 63;

/** What a server or a waiting device says of itself. */
export interface Announcement {
  /** The node's name. */
  name: string;
  port: number;
  /** Short facts: `version`, `role`, `cluster`, `ca` … Each pair has at most 255 bytes. */
  txt: Readonly<Record<string, string>>;
}

export interface Found {
  /** Unique on the LAN. */
  instance: string;
  port: number;
  /** IPv4 first. */
  addresses: readonly string[];
  txt: Readonly<Record<string, string>>;
}

export interface Records {
  type: Answer;
  pointer: Answer;
  service: Answer;
  text: Answer;
  hosts: readonly Answer[];
}

/** One label: dots would make several of it. */
export function labelOf(name: string, attempt: number): string {
  const suffix = attempt === 1 ? "" : `-${attempt}`;
  return name.replaceAll(".", "-").slice(0, LABEL_BYTES_MAX - suffix.length) + suffix;
}

export const instanceOf = (label: string): string => `${label}.${SERVICE_TYPE}`;

/** The records of one interface: each tells its own addresses. */
export function recordsOf(
  announcement: Announcement,
  label: string,
  addresses: readonly string[],
): Records {
  const instance = instanceOf(label);
  const host = `${label}-bramble`.slice(-LABEL_BYTES_MAX).replace(/^-+/, "");
  const target = `${host}.local`;
  const pairs = Object.entries(announcement.txt).map(([key, value]) => `${key}=${value}`);
  return {
    type: { type: "PTR", name: ALL_TYPES, ttl: TTL_OTHER, data: SERVICE_TYPE },
    pointer: { type: "PTR", name: SERVICE_TYPE, ttl: TTL_OTHER, data: instance },
    service: {
      type: "SRV",
      name: instance,
      ttl: TTL_HOST,
      flush: true,
      data: { port: announcement.port, target, priority: 0, weight: 0 },
    },
    text: { type: "TXT", name: instance, ttl: TTL_OTHER, flush: true, data: pairs },
    hosts: addresses.map((data) => ({
      type: data.includes(":") ? ("AAAA" as const) : ("A" as const),
      name: target,
      ttl: TTL_HOST,
      flush: true,
      data,
    })),
  };
}

const lower = (name: string | undefined): string => (name ?? "").toLowerCase();

function asks(question: Question, record: Answer): boolean {
  if (lower(question.name) !== lower(record.name)) return false;
  return question.type === record.type || (question.type as string) === "ANY";
}

/** What the asker says it knows already, with at least half of its time left, is not said again. */
function knows(query: Packet, record: Answer): boolean {
  if (record.type !== "PTR") return false;
  return (query.answers ?? []).some(
    (answer) =>
      answer.type === "PTR" &&
      lower(answer.name) === lower(record.name) &&
      lower(answer.data) === lower(record.data) &&
      (answer.ttl ?? 0) * 2 >= (record.ttl ?? 0),
  );
}

/** The answer to a query, or undefined where it is not about us. */
export function answer(query: Packet, records: Records): Packet | undefined {
  const { type, pointer, service, text, hosts } = records;
  const all = [type, pointer, service, text, ...hosts];
  const answers = all.filter(
    (record) =>
      (query.questions ?? []).some((question) => asks(question, record)) && !knows(query, record),
  );
  if (answers.length === 0) return undefined;
  const more = answers.includes(pointer) ? [service, text, ...hosts] : [];
  const extra = answers.includes(service) ? hosts : more;
  return {
    type: "response",
    flags: 0x0400,
    answers,
    additionals: extra.filter((record) => !answers.includes(record)),
  };
}

/**
 * For one resolver that is no mDNS peer: with its id and question, short-lived, nothing to flush.
 */
export function legacyAnswer(query: Packet, response: Packet): Packet {
  const plain = (record: Answer): Answer =>
    record.type === "OPT" ? record : { ...record, flush: false, ttl: TTL_LEGACY };
  return {
    ...response,
    id: query.id ?? 0,
    questions: query.questions ?? [],
    answers: (response.answers ?? []).map(plain),
    additionals: (response.additionals ?? []).map(plain),
  };
}

export function announcePacket(records: Records, over = false): Packet {
  const { type, pointer, service, text, hosts } = records;
  // The type itself goes on with the other instances on the LAN.
  const all = over ? [pointer, service, text, ...hosts] : [type, pointer, service, text, ...hosts];
  const answers = all.map((record) =>
    over && record.type !== "OPT" ? { ...record, ttl: 0 } : record,
  );
  return { type: "response", flags: 0x0400, answers };
}

/** Asks whether the name is taken before it is used. */
export function probePacket(records: Records): Packet {
  const question = { type: "ANY", name: records.service.name } as unknown as Question;
  return { type: "query", questions: [question], authorities: [records.service] };
}

/** Known instances go along, so that they need not answer. */
export function browsePacket(known: readonly string[]): Packet {
  return {
    type: "query",
    questions: [{ type: "PTR", name: SERVICE_TYPE }],
    answers: known.map((data) => ({ type: "PTR", name: SERVICE_TYPE, ttl: TTL_OTHER, data })),
  };
}

/** Asks for what is missing of an instance. */
export function resolvePacket(instance: string): Packet {
  return {
    type: "query",
    questions: [
      { type: "SRV", name: instance },
      { type: "TXT", name: instance },
    ],
  };
}

/** Whether a response shows that another host uses the name. */
export function conflicts(packet: Packet, records: Records, own: readonly string[]): boolean {
  const { service } = records;
  if (service.type !== "SRV" || packet.type !== "response") return false;
  const { target, port } = service.data;
  return [...(packet.answers ?? []), ...(packet.additionals ?? [])].some((record) => {
    // An announcement of our own, from before an address changed, comes with a time to live of 0.
    if (record.type === "OPT" || (record.ttl ?? 0) === 0) return false;
    if (record.type === "SRV" && lower(record.name) === lower(service.name)) {
      return lower(record.data.target) !== lower(target) || record.data.port !== port;
    }
    const isAddress = record.type === "A" || record.type === "AAAA";
    return isAddress && lower(record.name) === lower(target) && !own.includes(record.data);
  });
}

function textPairs(data: unknown): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const part of Array.isArray(data) ? data : [data]) {
    const text = String(part);
    const at = text.indexOf("=");
    if (at > 0) pairs[text.slice(0, at)] = text.slice(at + 1);
  }
  return pairs;
}

interface Heard {
  /** Name of our interface that it was heard on. */
  link: string;
  heardMs: number;
  untilMs: number;
}

/**
 * A packet has all addresses of a host on one of its interfaces; of others on the same network they
 * come at about the same time. What is older is gone after a renumbering (RFC 6762 section 10.2).
 */
function flushOlder(addresses: Map<string, Heard>, on: { link: string; nowMs: number }): void {
  for (const [address, { link, heardMs }] of addresses) {
    if (link === on.link && on.nowMs - heardMs >= FLUSH_MS) addresses.delete(address);
  }
}

interface Known {
  instance: string;
  port?: number;
  target?: string;
  txt?: Record<string, string>;
  untilMs: number;
}

/** What responses said so far. Times in milliseconds of a clock that never jumps. */
export class Directory {
  readonly #instances = new Map<string, Known>();
  readonly #hosts = new Map<string, Map<string, Heard>>();

  /** `link`: our interface that it came by; each has its own view of a host. */
  take(packet: Packet, nowMs: number, link = ""): void {
    const records = [...(packet.answers ?? []), ...(packet.additionals ?? [])];
    for (const record of records) {
      if (record.type === "OPT") continue;
      const untilMs = nowMs + (record.ttl ?? TTL_HOST) * 1_000;
      const name = lower(record.name);
      if (record.type === "PTR" && name === SERVICE_TYPE) {
        this.#instance(record.data, untilMs);
      } else if (record.type === "SRV" && name.endsWith(`.${SERVICE_TYPE}`)) {
        const known = this.#instance(record.name, untilMs);
        known.port = record.data.port;
        known.target = lower(record.data.target);
      } else if (record.type === "TXT" && name.endsWith(`.${SERVICE_TYPE}`)) {
        this.#instance(record.name, untilMs).txt = textPairs(record.data);
      }
    }
    this.#takeHosts(records, { nowMs, link });
  }

  /** Complete entries by instance. */
  found(nowMs: number): Found[] {
    const found: Found[] = [];
    for (const { instance, port, target, txt, untilMs } of this.#instances.values()) {
      if (untilMs <= nowMs || port === undefined || target === undefined || !txt) continue;
      const hosts = [...(this.#hosts.get(target) ?? [])].filter(
        ([, { untilMs: until }]) => until > nowMs,
      );
      const addresses = hosts.map(([address]) => address);
      addresses.sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
      if (addresses.length > 0) found.push({ instance, port, addresses, txt });
    }
    return found;
  }

  /** Instances that were named but not described. */
  incomplete(nowMs: number): string[] {
    const done = new Set(this.found(nowMs).map(({ instance }) => instance));
    return [...this.#instances.values()]
      .filter(({ instance, untilMs }) => untilMs > nowMs && !done.has(instance))
      .map(({ instance }) => instance);
  }

  /** Forgets what has run out. */
  expire(nowMs: number): void {
    for (const [key, { untilMs }] of this.#instances) {
      if (untilMs <= nowMs) this.#instances.delete(key);
    }
    for (const [host, addresses] of this.#hosts) {
      for (const [address, { untilMs }] of addresses) {
        if (untilMs <= nowMs) addresses.delete(address);
      }
      if (addresses.size === 0) this.#hosts.delete(host);
    }
  }

  #takeHosts(records: readonly Answer[], on: { nowMs: number; link: string }): void {
    const flushed = new Set<string>();
    for (const record of records) {
      if (record.type !== "A" && record.type !== "AAAA") continue;
      const host = lower(record.name);
      const addresses = this.#hosts.get(host) ?? new Map<string, Heard>();
      if (record.flush === true && !flushed.has(host)) flushOlder(addresses, on);
      flushed.add(host);
      const untilMs = on.nowMs + (record.ttl ?? TTL_HOST) * 1_000;
      addresses.set(record.data, { link: on.link, heardMs: on.nowMs, untilMs });
      this.#hosts.set(host, addresses);
    }
  }

  #instance(instance: string, untilMs: number): Known {
    const known = this.#instances.get(lower(instance)) ?? { instance, untilMs };
    known.untilMs = untilMs;
    this.#instances.set(lower(instance), known);
    return known;
  }
}
