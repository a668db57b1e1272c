/** One probe of a container: what it asks and what it takes for an answer. */
import type { Socket } from "bun";
import { bracketed, dial, dialText } from "#agents/kubelet/dial.ts";
import { grpcHealth } from "#agents/kubelet/grpchealth.ts";
import { askHttp } from "#agents/kubelet/httpask.ts";
import type { Runtime } from "#agents/runtime/runtime.ts";
import { messageOf } from "#base/errors.ts";
import type { Container, HTTPGetAction, IntOrString, Probe } from "#resources/types.gen.ts";

export interface ProbeAnswer {
  ok: boolean;
  message: string;
}

export interface ProbeTarget {
  containerId: string;
  container: Container;
  ip: string;
}

/** Asks once; never throws. */
export type Prober = (target: ProbeTarget, probe: Probe) => Promise<ProbeAnswer>;

/** A number, or the name of one of the container's ports. */
export function portNumber(port: IntOrString, container: Container): number | undefined {
  if (typeof port === "number") return port;
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  if (named !== undefined) return named;
  return /^\d+$/.test(port) ? Number(port) : undefined;
}

/** As upstream, and as browsers once did. */
const REDIRECTS_MAX = 10;

/** @throws TypeError where a name or value is none that HTTP knows. */
function probeHeaders(action: HTTPGetAction): Headers {
  const headers = new Headers({ "user-agent": "kube-probe/1.34", accept: "*/*" });
  const given = new Set<string>();
  for (const { name, value } of action.httpHeaders ?? []) {
    const key = name.toLowerCase();
    if (key === "accept" || key === "user-agent") {
      // Theirs takes the place of ours; an empty one means none.
      if (!given.has(key)) headers.delete(name);
      given.add(key);
      if (value === "") continue;
    }
    headers.append(name, value);
  }
  return headers;
}

/**
 * Success is a status of 200 to 399; a redirect to another host counts as one without being
 * followed.
 */
export async function httpGet(
  action: HTTPGetAction,
  container: Container,
  ip: string,
  timeoutMs: number,
): Promise<ProbeAnswer> {
  const port = portNumber(action.port, container);
  if (port === undefined) return { ok: false, message: `couldn't find port: ${action.port}` };
  const scheme = (action.scheme ?? "HTTP").toLowerCase();
  const path = (action.path ?? "/").replace(/^(?!\/)/, "/");
  const first = `${scheme}://${bracketed(action.host || ip)}:${port}${path}`;
  try {
    const headers = probeHeaders(action);
    let url = new URL(first);
    for (let hop = 0; ; hop++) {
      const { status, location } = await askHttp({ url, headers, timeoutMs });
      if (status >= 300 && status < 400 && location !== undefined && hop < REDIRECTS_MAX) {
        const target = new URL(location, url);
        if (target.hostname === url.hostname) {
          url = target;
          continue;
        }
      }
      if (status >= 200 && status < 400) return { ok: true, message: "" };
      return { ok: false, message: `HTTP probe failed with statuscode: ${status}` };
    }
  } catch (error) {
    return { ok: false, message: `Get "${first}": ${messageOf(error)}` };
  }
}

const TCP = {
  open: ({ data }: Socket<PromiseWithResolvers<void>>) => data.resolve(),
  data: () => {},
  error: ({ data }: Socket<PromiseWithResolvers<void>>, error: Error) => data.reject(error),
};

async function tcpConnect(host: string, port: number, timeoutMs: number): Promise<ProbeAnswer> {
  const connected = Promise.withResolvers<void>();
  const late = `${dialText(host, port)}: i/o timeout`;
  try {
    await dial(connected, { host, port, data: connected, handlers: TCP, timeoutMs, late });
    return { ok: true, message: "" };
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}

async function exec(
  runtime: Runtime,
  target: ProbeTarget,
  command: readonly string[],
  timeoutMs: number,
): Promise<ProbeAnswer> {
  try {
    const { exitCode, output } = await runtime.execSync(target.containerId, command, timeoutMs);
    return { ok: exitCode === 0, message: output };
  } catch (error) {
    return { ok: false, message: messageOf(error) };
  }
}

export function createProber(runtime: Runtime): Prober {
  return async (target, probe) => {
    const timeoutMs = (probe.timeoutSeconds ?? 1) * 1000;
    if (probe.exec) return exec(runtime, target, probe.exec.command ?? [], timeoutMs);
    if (probe.httpGet) return httpGet(probe.httpGet, target.container, target.ip, timeoutMs);
    if (probe.tcpSocket) {
      const port = portNumber(probe.tcpSocket.port, target.container);
      if (port === undefined) {
        return { ok: false, message: `couldn't find port: ${probe.tcpSocket.port}` };
      }
      return tcpConnect(probe.tcpSocket.host || target.ip, port, timeoutMs);
    }
    if (probe.grpc) {
      return grpcHealth(target.ip, probe.grpc.port, probe.grpc.service ?? "", timeoutMs);
    }
    return { ok: true, message: "" };
  };
}
