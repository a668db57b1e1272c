/** Connections to endpoints: opened for a request, kept for the next one. */
import { createConnection, type Socket } from "node:net";
import type { EndpointState } from "#agents/ingress/balancer.ts";
import { limits } from "#base/limits.ts";

/** What a connection tells the request that has it. */
export interface UpstreamUser {
  connected(): void;
  received(chunk: Buffer): void;
  /** It takes more again. */
  drained(): void;
  /** No more will come; with an error it broke. */
  ended(error?: Error): void;
}

/** A kept connection. */
export interface Spare {
  readonly usedMs: number;
  close(): void;
}

export class Upstream implements Spare {
  readonly state: EndpointState;
  readonly #socket: Socket;
  #user: UpstreamUser | undefined;
  #isOver = false;
  usedMs = 0;
  isOpen = false;
  /** It served a request before this one. */
  wasUsed = false;

  constructor(state: EndpointState, user: UpstreamUser) {
    this.state = state;
    this.#user = user;
    const { address: host, port } = state.endpoint;
    const socket = createConnection({ host, port, noDelay: true, keepAlive: true });
    this.#socket = socket;
    socket.on("connect", () => {
      this.isOpen = true;
      this.#user?.connected();
    });
    socket.on("data", (chunk: Buffer) => this.#received(chunk));
    socket.on("drain", () => this.#user?.drained());
    socket.on("end", () => this.#over());
    socket.on("error", (error) => this.#over(error));
    socket.on("close", () => this.#over());
  }

  #received(chunk: Buffer): void {
    if (this.#user !== undefined) this.#user.received(chunk);
    // Nobody asked: no answer of ours may begin with it.
    else this.#over();
  }

  #over(error?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { spares } = this.state;
    const at = spares.indexOf(this);
    if (at >= 0) spares.splice(at, 1);
    this.#socket.destroy();
    const user = this.#user;
    this.#user = undefined;
    user?.ended(error);
  }

  /** False: wait for `drained` before more. */
  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes);
  }

  writeHead(text: string): boolean {
    return this.#socket.write(text, "latin1");
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** The user is told nothing more. */
  close(): void {
    this.#user = undefined;
    this.#over();
  }

  /** For the next request. */
  keep(nowMs: number): void {
    const { spares, gone } = this.state;
    this.#user = undefined;
    if (this.#isOver || gone || spares.length >= limits.ingressSparesMax) {
      this.close();
      return;
    }
    // The client may have been the slower one.
    this.#socket.resume();
    this.usedMs = nowMs;
    this.wasUsed = true;
    spares.push(this);
  }

  give(user: UpstreamUser): void {
    this.#user = user;
  }
}

/** A kept connection used within `spareMsMax`, or a new one. */
export function reach(
  state: EndpointState,
  user: UpstreamUser,
  { nowMs, spareMsMax }: { nowMs: number; spareMsMax: number },
): Upstream {
  const spare = state.spares.at(-1);
  if (spare instanceof Upstream && nowMs - spare.usedMs <= spareMsMax) {
    state.spares.pop();
    spare.give(user);
    return spare;
  }
  return new Upstream(state, user);
}
