/** One probe of a container: what it asks and what it takes for an answer. */

import { grpcHealth } from "#agents/kubelet/grpchealth.ts";
import type { Runtime } from "#agents/runtime/runtime.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
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

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);

async function bodyText(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
    if (size >= limits.probeBodyBytesMax) {
      await reader.cancel();
      break;
    }
  }
  return Buffer.concat(chunks).subarray(0, limits.probeBodyBytesMax).toString("utf8");
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
  const url = `${scheme}://${bracketed(action.host || ip)}:${port}${path}`;
  const headers = new Headers({ "user-agent": "kube-probe/1.34", accept: "*/*" });
  for (const { name, value } of action.httpHeaders ?? []) {
    if (value === "" && /^(accept|user-agent)$/i.test(name)) headers.delete(name);
    else headers.append(name, value);
  }
  try {
    let current = url;
    for (let hop = 0; ; hop++) {
      const response = await fetch(current, {
        headers,
        redirect: "manual",
        keepalive: false,
        signal: AbortSignal.timeout(timeoutMs),
        ...(scheme === "https" && { tls: { rejectUnauthorized: false } }),
      });
      const next = response.headers.get("location");
      if (response.status >= 300 && response.status < 400 && next !== null && hop < 10) {
        const target = new URL(next, current);
        if (target.hostname === new URL(url).hostname) {
          await response.body?.cancel();
          current = target.href;
          continue;
        }
      }
      const body = await bodyText(response);
      if (response.status >= 200 && response.status < 400) return { ok: true, message: body };
      return { ok: false, message: `HTTP probe failed with statuscode: ${response.status}` };
    }
  } catch (error) {
    return { ok: false, message: `Get "${url}": ${messageOf(error)}` };
  }
}

async function tcpConnect(host: string, port: number, timeoutMs: number): Promise<ProbeAnswer> {
  const outcome = Promise.withResolvers<string>();
  const timer = setTimeout(() => outcome.resolve("i/o timeout"), timeoutMs);
  const connecting = Bun.connect({
    hostname: host,
    port,
    socket: {
      open: () => outcome.resolve(""),
      data: () => {},
      error: (_socket, error) => outcome.resolve(messageOf(error)),
      connectError: (_socket, error) => outcome.resolve(messageOf(error)),
    },
  });
  connecting.catch((error: unknown) => outcome.resolve(messageOf(error)));
  const problem = await outcome.promise;
  clearTimeout(timer);
  connecting.then(
    (socket) => socket.end(),
    () => {},
  );
  if (problem === "") return { ok: true, message: "" };
  return { ok: false, message: `dial tcp ${bracketed(host)}:${port}: ${problem}` };
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
