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

/** A kept connection without a request is at rest: its server spoke last, and not just now. */
function isBusy(line: string, queued: number): boolean {
  if (queued > 0 || line.startsWith("SYN-RECV")) return true;
  if (figure(line, "bytes_received") === 0 || figure(line, "bytes_sent") === 0) return true;
  const sentMs = figure(line, "lastsnd");
  return figure(line, "lastrcv") < sentMs || sentMs <= RECENT_MS;
}

/** Pure. Connections from elsewhere with something under way, of the words of `ss -tanHiO`. */
export function busyConnections(text: string): number {
  const lines = text.split("\n").map((line) => [line, line.split(/\s+/, 5)] as const);
  const listening = new Set<string>();
  for (const [, [state, , , local = ""]] of lines) {
    if (state === "LISTEN") listening.add(portOf(local));
  }
  return lines.filter(([line, [state = "", received, sent, local = "", peer = ""]]) => {
    if (!OPEN.has(state) || !listening.has(portOf(local)) || LOOPBACK.test(peer)) return false;
    return isBusy(line, Number(received) + Number(sent));
  }).length;
}

/** @throws Error where the kernel cannot be asked. */
export async function owesAnswers(run: Run, netnsPath: string): Promise<boolean> {
  const argv = ["nsenter", `--net=${netnsPath}`, "ss", "-tanHiO"];
  const { exitCode, stdout, stderr } = await run(argv);
  if (exitCode !== 0) throw new Error(`${argv.join(" ")}: ${stderr.trim()}`);
  return busyConnections(stdout) > 0;
}
