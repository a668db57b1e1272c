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

const ENTRY =
  /\b(SYN_SENT|ESTABLISHED) src=\S+ dst=\S+ sport=\d+ dport=\d+ .*?src=(\S+) dst=\S+ sport=(\d+) /;

/** Those of which the listing (of `lookFor`) has an entry. */
export function presentFlows(targets: readonly FlowsTo[], listing: string): FlowsTo[] {
  const waiting = new Set<string>();
  const any = new Set<string>();
  for (const line of listing.split("\n")) {
    const [, state = "", ip = "", port = ""] = ENTRY.exec(line) ?? [];
    if (ip === "") continue;
    const place = placeOf(ip);
    for (const found of state === "SYN_SENT" ? [waiting, any] : [any]) {
      found.add(place).add(`${place} ${port}`);
    }
  }
  return targets.filter(({ ip, port, unanswered }) => {
    const place = port === undefined ? placeOf(ip) : `${placeOf(ip)} ${port}`;
    return (unanswered ? waiting : any).has(place);
  });
}

/** What a client would use for ever; entries of what has ended give way to a new one. */
export function lookFor(targets: readonly FlowsTo[]): string[][] {
  const looks = new Set<string>();
  for (const { ip, unanswered } of targets) {
    for (const state of unanswered ? ["SYN_SENT"] : ["SYN_SENT", "ESTABLISHED"]) {
      looks.add(`-L -f ${familyOf(ip)} -p tcp --state ${state}`);
    }
  }
  return [...looks].map((look) => look.split(" "));
}

/** Arguments of `conntrack`. */
export function deletionOf({ ip, port, unanswered }: FlowsTo): string[] {
  const state = unanswered ? ["--state", "SYN_SENT"] : [];
  const at = port === undefined ? [] : ["--reply-port-src", String(port)];
  return ["-D", "-f", familyOf(ip), "-p", "tcp", ...state, "--reply-src", ip, ...at];
}
