/** Containers of a pod or of a template, with their state where there is one. */
import { quantityLines, timeText, type Writer } from "#cli/describe/writer.ts";
import type {
  Container,
  ContainerState,
  ContainerStatus,
  EnvVar,
  Probe,
} from "#resources/types.gen.ts";

function handlerText(probe: Probe): string {
  if (probe.exec) return `exec [${(probe.exec.command ?? []).join(" ")}]`;
  if (probe.httpGet) {
    const { scheme = "HTTP", host = "", port, path = "" } = probe.httpGet;
    const slash = path.startsWith("/") || path === "" ? path : `/${path}`;
    return `http-get ${scheme.toLowerCase()}://${host}:${port}${slash}`;
  }
  if (probe.tcpSocket) return `tcp-socket ${probe.tcpSocket.host ?? ""}:${probe.tcpSocket.port}`;
  if (probe.grpc) return `grpc <pod>:${probe.grpc.port} ${probe.grpc.service ?? ""}`;
  return "unknown";
}

function probeText(probe: Probe): string {
  const { initialDelaySeconds = 0, timeoutSeconds = 1, periodSeconds = 10 } = probe;
  const { successThreshold = 1, failureThreshold = 3 } = probe;
  return (
    `${handlerText(probe)} delay=${initialDelaySeconds}s timeout=${timeoutSeconds}s ` +
    `period=${periodSeconds}s #success=${successThreshold} #failure=${failureThreshold}`
  );
}

function state(writer: Writer, label: string, value: ContainerState): void {
  const { running, waiting, terminated } = value;
  if (running) {
    writer.field(2, label, "Running").line(3, `Started:\t${timeText(running.startedAt)}`);
  } else if (terminated) {
    writer.field(2, label, "Terminated");
    if (terminated.reason) writer.field(3, "Reason", terminated.reason);
    if (terminated.message) writer.field(3, "Message", terminated.message);
    writer.field(3, "Exit Code", String(terminated.exitCode));
    if (terminated.signal) writer.field(3, "Signal", String(terminated.signal));
    writer.field(3, "Started", timeText(terminated.startedAt));
    writer.field(3, "Finished", timeText(terminated.finishedAt));
  } else {
    writer.field(2, label, "Waiting");
    if (waiting?.reason) writer.field(3, "Reason", waiting.reason);
    if (waiting?.message) writer.field(3, "Message", waiting.message);
  }
}

function envText({ name, value, valueFrom }: EnvVar, resolve: FieldOf): string {
  if (valueFrom === undefined) return `${name}:\t${(value ?? "").replaceAll("\n", "\n\t\t")}`;
  const { configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef } = valueFrom;
  const key = configMapKeyRef ?? secretKeyRef;
  if (key !== undefined) {
    const what = configMapKeyRef ? "of config map" : "in secret";
    const optional = String(key.optional ?? false);
    const source = `<set to the key '${key.key}' ${what} '${key.name}'>`;
    return `${name}:\t${source}\tOptional: ${optional}`;
  }
  if (fieldRef) {
    const { apiVersion = "v1", fieldPath } = fieldRef;
    return `${name}:\t${resolve(fieldPath)} (${apiVersion}:${fieldPath})`;
  }
  if (resourceFieldRef) return `${name}:\t (${resourceFieldRef.resource})`;
  return `${name}:\t`;
}

function environment(writer: Writer, container: Container, resolve: FieldOf): void {
  const { env = [], envFrom = [] } = container;
  if (envFrom.length > 0) {
    writer.line(2, "Environment Variables from:");
    for (const { configMapRef, secretRef, prefix } of envFrom) {
      const [what, ref] = configMapRef ? ["ConfigMap", configMapRef] : ["Secret", secretRef];
      const with_ = prefix ? ` with prefix '${prefix}'` : "";
      writer.line(3, `${ref?.name ?? ""}\t${what}${with_}\tOptional: ${ref?.optional ?? false}`);
    }
  }
  writer.line(2, env.length === 0 ? "Environment:\t<none>" : "Environment:");
  for (const each of env) writer.line(3, envText(each, resolve));
}

function mounts(writer: Writer, { volumeMounts = [], volumeDevices = [] }: Container): void {
  writer.line(2, volumeMounts.length === 0 ? "Mounts:\t<none>" : "Mounts:");
  const sorted = [...volumeMounts].sort((a, b) => (a.mountPath < b.mountPath ? -1 : 1));
  for (const { mountPath, name, readOnly, subPath } of sorted) {
    const flags = [readOnly ? "ro" : "rw", ...(subPath ? [`path="${subPath}"`] : [])];
    writer.line(3, `${mountPath} from ${name} (${flags.join(",")})`);
  }
  if (volumeDevices.length > 0) writer.line(2, "Devices:");
  for (const { devicePath, name } of volumeDevices) writer.line(3, `${devicePath} from ${name}`);
}

const words = (writer: Writer, label: string, list: readonly string[] | undefined): void => {
  if (list === undefined || list.length === 0) return;
  writer.line(2, `${label}:`);
  for (const each of list) for (const line of each.split("\n")) writer.line(3, line);
};

function basics(writer: Writer, container: Container, status: ContainerStatus | undefined): void {
  if (status !== undefined) writer.field(2, "Container ID", status.containerID ?? "");
  writer.field(2, "Image", container.image ?? "");
  if (status !== undefined) writer.field(2, "Image ID", status.imageID ?? "");
  const ports = container.ports ?? [];
  const several = ports.length > 1 ? "Ports" : "Port";
  const inner = ports.map(({ containerPort, protocol = "TCP" }) => `${containerPort}/${protocol}`);
  const outer = ports.map(({ hostPort = 0, protocol = "TCP" }) => `${hostPort}/${protocol}`);
  writer.field(2, several, inner.join(", ") || "<none>");
  writer.field(2, `Host ${several}`, outer.join(", ") || "<none>");
  words(writer, "Command", container.command);
  words(writer, "Args", container.args);
}

function resources(writer: Writer, { limits, requests }: NonNullable<Container["resources"]>) {
  for (const [label, map] of [
    ["Limits", limits],
    ["Requests", requests],
  ] as const) {
    const lines = quantityLines(map);
    if (lines.length > 0) writer.line(2, `${label}:`);
    for (const line of lines) writer.line(3, line);
  }
}

type FieldOf = (path: string) => string;

export interface ContainersOptions {
  label: string;
  containers: readonly Container[] | undefined;
  statuses?: readonly ContainerStatus[] | undefined;
  /** What a field of the pod is; nothing within a template. */
  fieldOf?: FieldOf;
  /** Within a template everything is further in. */
  inTemplate: boolean;
}

export function describeContainers(writer: Writer, options: ContainersOptions): void {
  const { label, containers = [], statuses = [], inTemplate } = options;
  const space = inTemplate ? "  " : "";
  if (containers.length === 0 && label !== "Containers") return;
  writer.line(0, containers.length === 0 ? `${space}${label}: <none>` : `${space}${label}:`);
  for (const container of containers) {
    const status = statuses.find(({ name }) => name === container.name);
    writer.line(1, `${inTemplate ? " " : ""}${container.name}:`);
    basics(writer, container, status);
    if (status !== undefined) {
      state(writer, "State", status.state ?? {});
      const { terminated } = status.lastState ?? {};
      if (terminated) state(writer, "Last State", status.lastState ?? {});
      writer.field(2, "Ready", status.ready ? "True" : "False");
      writer.field(2, "Restart Count", String(status.restartCount));
    }
    resources(writer, container.resources ?? {});
    if (container.livenessProbe) writer.field(2, "Liveness", probeText(container.livenessProbe));
    if (container.readinessProbe) writer.field(2, "Readiness", probeText(container.readinessProbe));
    if (container.startupProbe) writer.field(2, "Startup", probeText(container.startupProbe));
    environment(writer, container, options.fieldOf ?? (() => ""));
    mounts(writer, container);
  }
}
