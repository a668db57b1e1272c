/**
 * UDP has no end of connection: the kernel keeps sending a client's packets where its first one
 * went. Flows of a Service to what is no backend of it (any more, or not yet) are deleted, so that
 * the next packet is balanced anew.
 */
import type { Backend, ServicePortPlan } from "#agents/proxy/plan.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";

/** Selects flows for `conntrack -D`. */
interface StaleFlows {
  /** Undefined: any address of the node. */
  dst: string | undefined;
  port: number;
  /** Who answers them. */
  answeredBy: string;
}

const FLOW = /src=\S+ dst=(\S+) sport=\d+ dport=(\d+).*? src=(\S+) /;

const backendsOf = (port: ServicePortPlan | undefined): Set<string> =>
  new Set(port === undefined ? [] : [...port.everywhere, ...port.here].map(({ ip }) => ip));

const sameSet = (a: Set<string>, b: Set<string>): boolean =>
  a.size === b.size && [...a].every((item) => b.has(item));

/** Pure. Where rules of these ports send connections of TCP. */
export function tcpBackends(ports: readonly ServicePortPlan[]): Backend[] {
  return ports.flatMap(({ protocol, everywhere, here, internalLocal, externalLocal }) => {
    if (protocol !== "tcp") return [];
    // Of a node's own pods one on its way out may be among those that nobody is sent to.
    return internalLocal || externalLocal ? [...everywhere, ...here] : everywhere;
  });
}

const isUdp = ({ protocol }: ServicePortPlan): boolean => protocol === "udp";

/**
 * Pure. UDP ports whose flows may be stale: those with other backends than before, also with none.
 */
export function changedUdpPorts(
  before: readonly ServicePortPlan[],
  after: readonly ServicePortPlan[],
): ServicePortPlan[] {
  // Nearly all: a start plans thousands of them at once.
  if (!before.some(isUdp) && !after.some(isUdp)) return [];
  const old = new Map(before.map((port) => [port.id, port]));
  const changed = after.filter(
    (port) => isUdp(port) && !sameSet(backendsOf(old.get(port.id)), backendsOf(port)),
  );
  const kept = new Set(after.map(({ id }) => id));
  for (const port of before) {
    if (!isUdp(port) || kept.has(port.id)) continue;
    changed.push({ ...port, everywhere: [], here: [] });
  }
  return changed;
}

/**
 * Pure. TCP backends that these ports lead to no more: a client whose first packet one of them
 * dropped sends it again by its old entry, to where nobody may be.
 */
export function leftTcpBackends(
  before: readonly ServicePortPlan[],
  after: readonly ServicePortPlan[],
): Backend[] {
  const left = new Map<string, Backend>();
  for (const backend of tcpBackends(before)) left.set(`${backend.ip} ${backend.port}`, backend);
  if (left.size === 0) return [];
  for (const { ip, port } of tcpBackends(after)) left.delete(`${ip} ${port}`);
  return [...left.values()];
}

/** Pure. What to delete, from the output of `conntrack -L -p udp`. */
export function staleFlows(listing: string, ports: readonly ServicePortPlan[]): StaleFlows[] {
  const byFront = new Map<string, Set<string>>();
  const byNodePort = new Map<number, Set<string>>();
  for (const port of ports) {
    const backends = backendsOf(port);
    for (const ip of [...port.clusterIps, ...port.externalIps, ...port.loadBalancerIps]) {
      byFront.set(`${ip} ${port.port}`, backends);
    }
    if (port.nodePort !== undefined) byNodePort.set(port.nodePort, backends);
  }
  const stale = new Map<string, StaleFlows>();
  for (const line of listing.split("\n")) {
    const [, dst = "", dport = "", answeredBy = ""] = FLOW.exec(line) ?? [];
    const port = Number(dport);
    const front = byFront.get(`${dst} ${port}`);
    if (front !== undefined && !front.has(answeredBy)) {
      stale.set(`${dst} ${port} ${answeredBy}`, { dst, port, answeredBy });
    }
    // A flow of this port that was never translated may be anyone's, to a host outside.
    const node = front === undefined && answeredBy !== dst ? byNodePort.get(port) : undefined;
    if (node !== undefined && !node.has(answeredBy)) {
      stale.set(`* ${port} ${answeredBy}`, { dst: undefined, port, answeredBy });
    }
  }
  return [...stale.values()];
}

/**
 * Best effort: without the program only UDP clients that keep their port notice, for some minutes.
 */
export async function clearStaleFlows(
  ports: readonly ServicePortPlan[],
  { run, log, family }: { run: Run; log: Log; family: "IPv4" | "IPv6" },
): Promise<void> {
  if (ports.length === 0) return;
  const select = ["-f", family === "IPv6" ? "ipv6" : "ipv4", "-p", "udp"];
  try {
    const listed = await run(["conntrack", "-L", ...select]);
    if (listed.exitCode !== 0) throw new Error(listed.stderr.trim());
    for (const { dst, port, answeredBy } of staleFlows(listed.stdout, ports)) {
      const to = dst === undefined ? [] : ["--orig-dst", dst];
      const which = [...to, "--dport", String(port), "--reply-src", answeredBy];
      const result = await run(["conntrack", "-D", ...select, ...which]);
      // The flow may have ended in between: "0 flow entries have been deleted".
      const gone = result.exitCode === 0 || result.stderr.includes("0 flow entries");
      if (!gone) throw new Error(result.stderr.trim());
    }
  } catch (error) {
    log.warn("stale UDP flows not cleared", { error: messageOf(error) });
  }
}
