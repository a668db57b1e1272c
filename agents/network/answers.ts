/**
 * Whether the servers in a pod's network namespace still owe somebody an answer, by what the kernel
 * tells of their connections. Who kills a pod before that resets its clients.
 */
import type { Run } from "#base/process.ts";

/** A connection on which bytes went out this long ago may be in the middle of an answer. */
const RECENT_MS = 100;
const OPEN = new Set(["ESTAB", "SYN-RECV", "CLOSE-WAIT"]);
const LOOPBACK = /^(127\.|\[::1\]|\[::ffff:127\.)/;

const portOf = (address: string): string => address.slice(address.lastIndexOf(":") + 1);

/** Zero is not printed. */
const figure = (line: string, name: string): number =>
  Number(new RegExp(`\\b${name}:(\\d+)`).exec(line)?.[1] ?? 0);

/** What a pod's servers owe. */
export interface Owed {
  /** Connections in the middle of an answer, or without a request so far. */
  going: number;
  /** Those that asked and have heard nothing at all: their end resets a request. */
  unanswered: number;
}

/** A kept connection without a request is at rest: its server spoke last, and not just now. */
function isGoing(line: string, queued: number): boolean {
  if (queued > 0) return true;
  if (figure(line, "bytes_received") === 0 || figure(line, "bytes_sent") === 0) return true;
  const sentMs = figure(line, "lastsnd");
  return figure(line, "lastrcv") < sentMs || sentMs <= RECENT_MS;
}

/** Not yet taken by its server, or asked and told nothing. */
function isUnanswered(line: string, unread: number): boolean {
  if (line.startsWith("SYN-RECV")) return true;
  return figure(line, "bytes_sent") === 0 && (unread > 0 || figure(line, "bytes_received") > 0);
}

/** Pure. Connections from elsewhere with something under way, of the words of `ss -tanHiO`. */
export function owedBy(text: string): Owed {
  const lines = text.split("\n").map((line) => [line, line.split(/\s+/, 5)] as const);
  const listening = new Set<string>();
  for (const [, [state, , , local = ""]] of lines) {
    if (state === "LISTEN") listening.add(portOf(local));
  }
  const owed: Owed = { going: 0, unanswered: 0 };
  for (const [line, [state = "", received, sent, local = "", peer = ""]] of lines) {
    if (!OPEN.has(state) || !listening.has(portOf(local)) || LOOPBACK.test(peer)) continue;
    if (isUnanswered(line, Number(received))) owed.unanswered++;
    else if (isGoing(line, Number(received) + Number(sent))) owed.going++;
  }
  return owed;
}

/** @throws Error where the kernel cannot be asked. */
export async function owedAnswers(run: Run, netnsPath: string): Promise<Owed> {
  const argv = ["nsenter", `--net=${netnsPath}`, "ss", "-tanHiO"];
  const { exitCode, stdout, stderr } = await run(argv);
  if (exitCode !== 0) throw new Error(`${argv.join(" ")}: ${stderr.trim()}`);
  return owedBy(stdout);
}
