/** bramble port-forward: local ports that lead into a pod, one WebSocket a connection. */
import { createServer, type Server, type Socket } from "node:net";
import { messageOf, OperatorError, UsageError } from "#base/errors.ts";
import { ask } from "#cli/api.ts";
import { podFor, podPath } from "#cli/pods.ts";
import { discover, findResource } from "#cli/resources.ts";
import { act, type Options, type Session, textOf } from "#cli/session.ts";
import type { VerbModule } from "#cli/verb.ts";
import { pathOf } from "#client/http.ts";
import { services } from "#resources/kinds/service.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod, Service } from "#resources/types.gen.ts";

interface Forward {
  /** 0 takes any. */
  local: number;
  remote: number;
  /** What was asked for, where a Service maps it. */
  shown: number;
}

const PROTOCOL = "v4.channel.k8s.io";
const DATA = 0;
/** The port, in two bytes, comes first on each channel. */
const GREETING_BYTES = 2;
const BACKLOG_BYTES_MAX = 1024 * 1024;

function parsePorts(text: string): { local: string; remote: string } {
  const [first = "", second, more] = text.split(":");
  if (more !== undefined || (second ?? first) === "") {
    throw new UsageError(`invalid port format '${text}'`);
  }
  return { local: second === undefined ? first : first || "0", remote: second ?? first };
}

function containerPort(pod: Pod, text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const ports = (pod.spec?.containers ?? []).flatMap(({ ports = [] }) => ports);
  const found = ports.find(({ name }) => name === text);
  if (found !== undefined) return found.containerPort;
  throw new OperatorError(`Pod '${pod.metadata?.name}' does not have a named port '${text}'`);
}

/** The pod's port behind a Service's. */
function servicePort(service: Stored<Service>, pod: Pod, text: string) {
  const port = (service.spec?.ports ?? []).find(
    (each) => String(each.port) === text || each.name === text,
  );
  if (port === undefined) {
    throw new OperatorError(
      `Service ${service.metadata.name} does not have a service port ${text}`,
    );
  }
  const target = service.spec?.clusterIP === "None" ? port.port : (port.targetPort ?? port.port);
  return { remote: containerPort(pod, String(target)), shown: port.port };
}

async function serviceOf(session: Session, word: string): Promise<Stored<Service> | undefined> {
  const [type = "", name] = word.split("/");
  if (name === undefined) return undefined;
  const resource = findResource(await discover(session.client), type);
  if (resource.kind !== "Service" || resource.group !== "") return undefined;
  const { namespace } = session;
  return ask<Stored<Service>>(session.client, { path: pathOf(services, { namespace, name }) });
}

function carry(session: Session, pod: Stored<Pod>, remote: number, socket: Socket): void {
  const path = `${podPath(pod, "portforward")}?ports=${remote}`;
  const tunnel = session.socket(path, [PROTOCOL]);
  let greetings = 0;
  socket.pause();
  tunnel.onopen = () => socket.resume();
  tunnel.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
    const bytes = new Uint8Array(data);
    // The greetings of both channels come before all else.
    if (greetings < 2 && bytes.length === 1 + GREETING_BYTES) greetings += 1;
    else if (bytes[0] === DATA) socket.write(bytes.subarray(1));
    else session.io.err(`error: ${new TextDecoder().decode(bytes.subarray(1)).trim()}\n`);
  };
  tunnel.onclose = () => socket.end();
  socket.on("data", (chunk: Buffer) => {
    tunnel.send(Buffer.concat([Uint8Array.of(DATA), chunk]));
    if (tunnel.bufferedAmount < BACKLOG_BYTES_MAX) return;
    socket.pause();
    const look = setInterval(() => {
      if (tunnel.bufferedAmount >= BACKLOG_BYTES_MAX) return;
      clearInterval(look);
      socket.resume();
    }, 5);
  });
  socket.on("close", () => tunnel.close());
  socket.on("error", () => tunnel.close());
}

async function listen(session: Session, pod: Stored<Pod>, forward: Forward, address: string) {
  const { io } = session;
  const server: Server = createServer((socket) => {
    const { port } = server.address() as { port: number };
    io.out(`Handling connection for ${port}\n`);
    carry(session, pod, forward.remote, socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(forward.local, address, resolve);
  });
  const { port } = server.address() as { port: number };
  const host = address.includes(":") ? `[${address}]` : address;
  io.out(`Forwarding from ${host}:${port} -> ${forward.remote}\n`);
  return port;
}

/** `localhost` is both of its addresses, the second one only where the machine has it. */
async function open(session: Session, pod: Stored<Pod>, forward: Forward, addresses: string[]) {
  for (const address of addresses) {
    if (address !== "localhost") {
      await listen(session, pod, forward, address);
      continue;
    }
    const local = await listen(session, pod, forward, "127.0.0.1");
    await listen(session, pod, { ...forward, local }, "::1").catch(() => undefined);
  }
}

async function portForward(session: Session, args: string[], options: Options): Promise<void> {
  const [word, ...ports] = args;
  if (word === undefined || ports.length === 0) {
    throw new UsageError("TYPE/NAME and list of ports are required for port-forward");
  }
  const wanted = ports.map(parsePorts);
  const service = await serviceOf(session, word);
  const pod = await podFor(session, word);
  if (pod.status?.phase !== "Running") {
    throw new OperatorError(
      `unable to forward port because pod is not running. Current status=${pod.status?.phase}`,
    );
  }
  const addresses = (textOf(options, "address") ?? "localhost").split(",");
  for (const { local, remote: text } of wanted) {
    const { remote, shown } =
      service === undefined
        ? { remote: containerPort(pod, text), shown: containerPort(pod, text) }
        : servicePort(service, pod, text);
    const chosen = /^\d+$/.test(local) ? Number(local) : shown;
    try {
      await open(session, pod, { local: chosen, remote, shown }, addresses);
    } catch (error) {
      throw new OperatorError(`unable to listen on port ${local}: ${messageOf(error)}`);
    }
  }
  await new Promise(() => {});
}

export const define: VerbModule["define"] = (command, io) => {
  command.option("--address <list>", "addresses to listen on", "localhost");
  act(command, io, portForward);
};
