/** Which entries of the kernel's connection tracking are meant, in the words of `conntrack`. Pure. */
import { addressValue } from "#base/cidr.ts";

/** Where connections arrive, after any translation. */
export interface FlowsTo {
  ip: string;
  /** Left out: any. */
  port?: number;
  /** Only those whose first packet has got no answer: the others go on. */
  unanswered: boolean;
}

const isV6 = (ip: string): boolean => ip.includes(":");
const familyOf = (ip: string): string => (isV6(ip) ? "ipv6" : "ipv4");
/** The same for every way to write an address of IPv6. */
const placeOf = (ip: string): string => `${isV6(ip) ? 6 : 4} ${addressValue(ip) ?? ip}`;
const nameOf = ({ ip, port, unanswered }: FlowsTo): string =>
  `${ip} ${port ?? "*"} ${unanswered ? "unanswered" : "all"}`;

/** Each once, and none that another one is a part of. */
export function distinctFlows(targets: readonly FlowsTo[]): FlowsTo[] {
  const all = new Map(targets.map((target) => [nameOf(target), target]));
  return [...all.values()].filter(({ ip, port, unanswered }) => {
    const wider = [
      ...(port === undefined ? [] : [{ ip, unanswered }]),
      ...(unanswered ? [{ ip, unanswered: false }] : []),
      ...(unanswered && port !== undefined ? [{ ip, port, unanswered: false }] : []),
    ];
    return !wider.some((each) => all.has(nameOf(each)));
  });
}

/** Entries of one state towards one place. */
export interface Deletion {
  ip: string;
  port?: number;
  state: State;
}

/**
 * Those that still lead packets to where they point: first ones that are sent again, those of a
 * connection under way, and of who gets the port of one that was reset. Not TIME_WAIT: the kernel
 * gives such an entry up for a new connection, and `conntrack` deletes by addresses what it read
 * before, so that who has the port by then would lose what has just begun.
 */
const STATES = [
  "SYN_SENT",
  "SYN_RECV",
  "ESTABLISHED",
  "FIN_WAIT",
  "CLOSE_WAIT",
  "LAST_ACK",
  "CLOSE",
] as const;
type State = (typeof STATES)[number];

/** All that may have to be deleted. */
export function deletionsOf({ ip, port, unanswered }: FlowsTo): Deletion[] {
  const states: readonly State[] = unanswered ? ["SYN_SENT"] : STATES;
  return states.map((state) => ({ ip, ...(port !== undefined && { port }), state }));
}

/** Of a whole listing: nearly all in it has ended, and there may be thousands of lines. */
const ENTRIES = new RegExp(
  `^tcp +6 \\d+ (${STATES.join("|")}) src=\\S+ dst=\\S+ sport=\\d+ dport=\\d+ ` +
    ".*?src=(\\S+) dst=\\S+ sport=(\\d+) ",
  "gm",
);

/** Those of which the listing (of `lookFor`) has an entry. */
export function presentFlows(deletions: readonly Deletion[], listing: string): Deletion[] {
  const present = new Set<string>();
  for (const [, state = "", ip = "", port = ""] of listing.matchAll(ENTRIES)) {
    const place = `${state} ${placeOf(ip)}`;
    present.add(place).add(`${place} ${port}`);
  }
  return deletions.filter(({ ip, port, state }) => {
    const place = `${state} ${placeOf(ip)}`;
    return present.has(port === undefined ? place : `${place} ${port}`);
  });
}

/** Arguments of `conntrack`, for each time that it is to read all that the kernel tracks. */
export function lookFor(deletions: readonly Deletion[]): string[][] {
  const families = Map.groupBy(deletions, ({ ip }) => familyOf(ip));
  return [...families].flatMap(([family, own]) => {
    const ips = new Set(own.map(({ ip }) => ip));
    const states = new Set(own.map(({ state }) => state));
    const looks =
      ips.size < states.size
        ? [...ips].map((ip) => ["--reply-src", ip])
        : [...states].map((state) => ["--state", state]);
    return looks.map((look) => ["-L", "-f", family, "-p", "tcp", ...look]);
  });
}

/** Arguments of `conntrack`. */
export function deletionArgs({ ip, port, state }: Deletion): string[] {
  const at = port === undefined ? [] : ["--reply-port-src", String(port)];
  return ["-D", "-f", familyOf(ip), "-p", "tcp", "--state", state, "--reply-src", ip, ...at];
}
