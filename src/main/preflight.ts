/**
 * What a node needs of its machine, checked before anything is started: one clear line for what is
 * missing.
 */
import { existsSync } from "node:fs";
import { connect, createServer } from "node:net";
import { messageOf, OperatorError } from "#base/errors.ts";
import { findProgram } from "#base/programs.ts";
import { everyAddress } from "./machine.ts";
import type { NodeSettings } from "./settings.ts";

const PROGRAMS: ReadonlyArray<{ program: string; hint: string }> = [
  { program: "ip", hint: "apt-get install iproute2" },
  { program: "iptables-restore", hint: "apt-get install iptables" },
  { program: "runc", hint: "apt-get install runc" },
];

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    if (!existsSync(socketPath)) return resolve(false);
    const socket = connect(socketPath);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/**
 * Throws OperatorError where somebody else listens. The real socket is opened later, when all is
 * ready for it.
 */
export async function checkPort(settings: { bindAddress?: string | undefined; httpsPort: number }) {
  const { bindAddress: host = everyAddress(), httpsPort: port } = settings;
  const probe = createServer();
  const opened = new Promise<void>((resolve, reject) => {
    probe.once("error", reject).listen({ host, port, exclusive: true }, resolve);
  });
  try {
    await opened;
  } catch (cause) {
    const place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    throw new OperatorError(`cannot listen on ${place}: ${messageOf(cause)}`, {
      cause,
      hint: "stop what listens there, or choose another port with --https-port",
    });
  }
  await new Promise((resolve) => probe.close(resolve));
}

/** Throws OperatorError for the first thing that is missing. */
export async function checkMachine(settings: NodeSettings): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new OperatorError("a node must run as root", { hint: "use sudo, or --no-agent" });
  }
  for (const { program, hint } of PROGRAMS) {
    if (findProgram(program) === null) throw new OperatorError(`${program} is missing`, { hint });
  }
  if (findProgram(settings.nerdctl) === null) {
    throw new OperatorError(`nerdctl is missing: ${settings.nerdctl}`, {
      hint: "install nerdctl 1.7 or newer, or name it with --nerdctl",
    });
  }
  for (const plugin of ["bridge", "host-local", "loopback"]) {
    if (!existsSync(`${settings.cniBinDir}/${plugin}`)) {
      throw new OperatorError(`CNI plugin ${plugin} is missing in ${settings.cniBinDir}`, {
        hint: "apt-get install containernetworking-plugins, or name their folder: --cni-bin-dir",
      });
    }
  }
  if (!(await answers(settings.containerdAddress))) {
    throw new OperatorError(`containerd does not answer on ${settings.containerdAddress}`, {
      hint: "start containerd, or name its socket with --containerd-address",
    });
  }
}
