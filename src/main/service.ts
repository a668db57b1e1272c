/**
 * What the service manager is told and asked: sd_notify(3) over its socket, and whether the whole
 * machine goes down. Without systemd nothing is told; SIGUSR2 then says that the machine goes down.
 */
import { dlopen } from "bun:ffi";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { runProcess } from "#base/process.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;

/** `struct sockaddr_un`; a path that begins with `@` is in the abstract namespace. */
export function socketAddress(path: string): Uint8Array {
  const name = Buffer.from(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`);
  const address = new Uint8Array(2 + name.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  return address;
}

function send(path: string, text: string): void {
  const { symbols, close } = dlopen("libc.so.6", {
    socket: { args: ["int", "int", "int"], returns: "int" },
    sendto: { args: ["int", "ptr", "usize", "int", "ptr", "u32"], returns: "i64" },
    close: { args: ["int"], returns: "int" },
  });
  const fd = symbols.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  try {
    const message = Buffer.from(text);
    const address = socketAddress(path);
    const sent = symbols.sendto(fd, message, message.length, MSG_NOSIGNAL, address, address.length);
    if (Number(sent) !== message.length) throw new Error(`cannot send to ${path}`);
  } finally {
    symbols.close(fd);
    close();
  }
}

export interface ServiceOptions {
  env: Record<string, string | undefined>;
  clock: Clock;
  log: Log;
  /** Sends one message to the socket of that path. */
  send?: (path: string, text: string) => void;
  run?: typeof runProcess;
}

/** Takes systemd's variables out of `env`: a container's runtime would take them for its own. */
export class Service {
  readonly #options: ServiceOptions;
  readonly #socket: string | undefined;
  #isReady = false;
  #machineGoesDown = false;

  constructor(options: ServiceOptions) {
    this.#options = options;
    const { env } = options;
    this.#socket = env["NOTIFY_SOCKET"];
    const watchdogMs = Number(env["WATCHDOG_USEC"] ?? 0) / 1_000;
    for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
    if (this.#socket !== undefined && watchdogMs > 0) this.#watch(watchdogMs / 2);
  }

  /** The event loop that answers here is the one that serves all else. */
  #watch(everyMs: number): void {
    this.#tell("WATCHDOG=1");
    this.#options.clock.after(everyMs, () => this.#watch(everyMs));
  }

  #tell(text: string): void {
    if (this.#socket === undefined) return;
    try {
      (this.#options.send ?? send)(this.#socket, text);
    } catch (error) {
      this.#options.log.warn("the service manager was not told", { error: messageOf(error) });
    }
  }

  /** Once: it works, or waits for something that only others can give. */
  ready(status: string): void {
    this.#tell(this.#isReady ? `STATUS=${status}` : `READY=1\nSTATUS=${status}`);
    this.#isReady = true;
  }

  stopping(): void {
    this.#tell("STOPPING=1");
  }

  /** SIGUSR2: an init script says that the machine goes down. */
  machineGoesDown(): void {
    this.#machineGoesDown = true;
  }

  /** Whether this end is the machine's, and not that of a service which is back in a moment. */
  async machineStops(): Promise<boolean> {
    if (this.#machineGoesDown || this.#socket === undefined) return this.#machineGoesDown;
    try {
      const run = this.#options.run ?? runProcess;
      const { stdout } = await run(["systemctl", "is-system-running"]);
      return stdout.trim() === "stopping";
    } catch (error) {
      this.#options.log.warn("systemd does not say its state", { error: messageOf(error) });
      return false;
    }
  }
}
