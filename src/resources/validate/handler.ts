/**
 * Probes and lifecycle hooks (core validation; "Configure Probes", "Container Lifecycle Hooks").
 */
import { type Cause, forbidden, invalid, notSupported, required } from "#resources/field.ts";
import type { HTTPGetAction, Lifecycle, PodOS, Probe } from "#resources/types.gen.ts";
import {
  byRule,
  notNegative,
  port,
  portOrName,
  present,
  supported,
} from "#resources/validate/basic.ts";
import { headerNameErrors } from "#resources/validate/text.ts";

interface Handler {
  exec?: { command?: string[] };
  httpGet?: HTTPGetAction;
  tcpSocket?: { port: number | string };
  grpc?: { port: number };
  sleep?: { seconds: number };
}

const HANDLERS = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] as const;

const httpCauses = (action: HTTPGetAction, path: string): Cause[] => [
  ...present(action.path, `${path}.path`),
  ...portOrName(action.port, `${path}.port`),
  ...supported(action.scheme ?? "", ["HTTP", "HTTPS"], `${path}.scheme`),
  ...(action.httpHeaders ?? []).flatMap((header) =>
    byRule(headerNameErrors, header.name ?? "", `${path}.httpHeaders`),
  ),
];

function sleepCauses(seconds: number, graceSeconds: number | undefined, path: string): Cause[] {
  if (graceSeconds === undefined || (seconds >= 0 && seconds <= graceSeconds)) return [];
  const most = `terminationGracePeriodSeconds (${graceSeconds})`;
  const detail = `must be non-negative and less than ${most}`;
  return [invalid(path, seconds, detail)];
}

function actionCauses(handler: Handler, graceSeconds: number | undefined, path: string): Cause[] {
  const { exec, httpGet, tcpSocket, grpc, sleep } = handler;
  if (exec) return present(exec.command?.length, `${path}.exec.command`);
  if (httpGet) return httpCauses(httpGet, `${path}.httpGet`);
  if (tcpSocket) return portOrName(tcpSocket.port, `${path}.tcpSocket.port`);
  if (grpc) return port(grpc.port, `${path}.grpc.port`);
  return sleep ? sleepCauses(sleep.seconds, graceSeconds, `${path}.sleep`) : [];
}

/** One way to act, and that one complete. */
function handlerCauses(handler: Handler, graceSeconds: number | undefined, path: string): Cause[] {
  const [first, ...more] = HANDLERS.filter((name) => handler[name]);
  if (first === undefined) return [required(path, "must specify a handler type")];
  return [
    ...actionCauses(handler, graceSeconds, path),
    ...more.map((name) => forbidden(`${path}.${name}`, "may not specify more than 1 handler type")),
  ];
}

const COUNTS = [
  "initialDelaySeconds",
  "timeoutSeconds",
  "periodSeconds",
  "successThreshold",
  "failureThreshold",
] as const;

type ProbeName = "livenessProbe" | "readinessProbe" | "startupProbe";

function probeCauses(probe: Probe | undefined, name: ProbeName, containerPath: string): Cause[] {
  if (!probe) return [];
  const path = `${containerPath}.${name}`;
  const causes = [
    ...handlerCauses(probe, undefined, path),
    ...COUNTS.flatMap((count) => notNegative(probe[count], `${path}.${count}`)),
  ];
  const graceSeconds = probe.terminationGracePeriodSeconds;
  const at = `${path}.terminationGracePeriodSeconds`;
  if (graceSeconds !== undefined && graceSeconds <= 0) {
    causes.push(invalid(at, graceSeconds, "must be greater than 0"));
  }
  if (name === "readinessProbe") {
    if (graceSeconds !== undefined) {
      causes.push(invalid(at, graceSeconds, "must not be set for readinessProbes"));
    }
  } else if (probe.successThreshold !== 1) {
    causes.push(invalid(`${path}.successThreshold`, probe.successThreshold ?? 0, "must be 1"));
  }
  return causes;
}

const SIGNALS = [
  ..."ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT".split(" "),
  ..."SEGV STKFLT STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ".split(
    " ",
  ),
  "RTMIN",
  ...Array.from({ length: 15 }, (_, index) => `RTMIN+${index + 1}`),
  ...Array.from({ length: 14 }, (_, index) => `RTMAX-${14 - index}`),
  "RTMAX",
].map((name) => `SIG${name}`);

function signalCauses(signal: string, os: PodOS | undefined, path: string): Cause[] {
  if (!os) {
    return [forbidden(path, "may not be set for containers with empty `spec.os.name`")];
  }
  const valid = os.name === "windows" ? ["SIGKILL", "SIGTERM"] : SIGNALS;
  return valid.includes(signal) ? [] : [notSupported(path, signal, [...valid].sort())];
}

interface Hooked {
  lifecycle?: Lifecycle;
  livenessProbe?: Probe;
  readinessProbe?: Probe;
  startupProbe?: Probe;
}

/** Of containers that stay: regular ones and sidecars. */
export function checkHandlers(
  container: Hooked,
  pod: { graceSeconds: number | undefined; os: PodOS | undefined },
  path: string,
): Cause[] {
  const causes: Cause[] = [];
  const { postStart, preStop, stopSignal } = container.lifecycle ?? {};
  const at = `${path}.lifecycle`;
  if (postStart) causes.push(...handlerCauses(postStart, pod.graceSeconds, `${at}.postStart`));
  if (preStop) causes.push(...handlerCauses(preStop, pod.graceSeconds, `${at}.preStop`));
  if (stopSignal) causes.push(...signalCauses(stopSignal, pod.os, `${at}.stopSignal`));
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe"] as const) {
    causes.push(...probeCauses(container[name], name, path));
  }
  return causes;
}
