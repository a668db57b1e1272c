/** A server under attack: raw connections to it, and what it costs. */
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { eventually } from "#test/support/instance.ts";

/** A connection of an attacker. */
export class Attacker {
  readonly socket: Socket;
  text = "";
  ended = false;

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("data", (bytes) => {
      if (this.text.length < TEXT_MAX) this.text += bytes.toString("latin1");
    });
    this.socket.on("close", () => {
      this.ended = true;
    });
    this.socket.on("error", () => {});
  }

  /** Resolves when the kernel has taken it, or the connection is over. */
  async send(data: string | Uint8Array): Promise<void> {
    if (this.ended || this.socket.destroyed || this.socket.write(data)) return;
    await new Promise<void>((done) => {
      const over = (): void => {
        this.socket.off("drain", over).off("close", over);
        done();
      };
      this.socket.on("drain", over).on("close", over);
    });
  }

  /** Sends until the server takes no more. True: it never stopped taking. */
  async flood(data: Uint8Array, times: number, stallMs: number): Promise<boolean> {
    for (let at = 0; at < times && !this.ended; at++) {
      const late = Bun.sleep(stallMs).then(() => true);
      if (await Promise.race([this.send(data).then(() => false), late])) return false;
    }
    return !this.ended;
  }

  until(pattern: RegExp): Promise<string> {
    return eventually(`${pattern}`, 20_000, async () => pattern.exec(this.text)?.[0]);
  }

  over(): Promise<boolean> {
    return eventually("the end of the connection", 20_000, async () => this.ended);
  }
}

const TEXT_MAX = 1 << 20;
const PROGRAM = new URL("attackedserver.ts", import.meta.url).pathname;
const PAGE_BYTES = 4096;
/** Of `/proc/PID/stat`: a hundredth of a second. */
const TICK_MS = 10;

export interface Attacked {
  readonly port: number;
  connect(): Attacker;
  /** Resident memory, in bytes. */
  memory(): number;
  /** CPU time so far, in milliseconds. */
  cpuMs(): number;
  /** The answer of `/readyz` to a new connection, and how long it took. */
  ready(): Promise<{ code: number; ms: number }>;
  stop(): Promise<void>;
}

export async function startAttacked(): Promise<Attacked> {
  const child = Bun.spawn([process.execPath, PROGRAM], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const first = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(first.value));
  const open = new Set<Attacker>();
  return {
    port,
    connect() {
      const attacker = new Attacker(port);
      open.add(attacker);
      return attacker;
    },
    memory: () =>
      Number(readFileSync(`/proc/${child.pid}/statm`, "utf8").split(" ")[1]) * PAGE_BYTES,
    cpuMs() {
      const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ");
      return (Number(fields?.[11]) + Number(fields?.[12])) * TICK_MS;
    },
    async ready() {
      const sinceMs = performance.now();
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { keepalive: false });
      await answer.text();
      return { code: answer.status, ms: performance.now() - sinceMs };
    },
    async stop() {
      for (const { socket } of open) socket.destroy();
      child.stdin.end();
      await child.exited;
    },
  };
}
