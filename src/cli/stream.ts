/**
 * exec and attach over a WebSocket: the first byte of each message is its channel
 * (v5.channel.k8s.io).
 */
import { OperatorError } from "#base/errors.ts";
import { StatusFailure, send } from "#cli/api.ts";
import type { Session } from "#cli/session.ts";

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const STATUS = 3;
const RESIZE = 4;
const CLOSE = 255;
const PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/** What may wait to be sent before the reading of standard input pauses. */
const BACKLOG_BYTES_MAX = 1024 * 1024;
const BACKLOG_LOOK_MS = 5;

interface ExecStatus {
  status?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: { causes?: Array<{ reason?: string; message?: string }> };
}

export interface Output {
  stdout(bytes: Uint8Array): void;
  stderr(bytes: Uint8Array): void;
}

export interface Stream {
  /** The command's exit status. @throws OperatorError where it could not be run. */
  readonly exit: Promise<number>;
  write(bytes: Uint8Array): Promise<void>;
  endInput(): void;
  resize(size: { width: number; height: number }): void;
}

function exitOf(status: ExecStatus): number {
  if (status.status === "Success") return 0;
  const code = status.details?.causes?.find(({ reason }) => reason === "ExitCode")?.message;
  if (status.reason === "NonZeroExitCode" && code !== undefined) return Number(code);
  throw new OperatorError(status.message ?? "the command failed");
}

/** What a plain request to the same path is told, as a WebSocket hides why it was refused. */
async function refusal(session: Session, path: string): Promise<Error> {
  try {
    await send(session.client, { path });
  } catch (error) {
    const upgrade = error instanceof StatusFailure && error.message.includes("WebSocket");
    if (!upgrade && error instanceof Error) return error;
  }
  return new OperatorError("the connection was refused");
}

export async function openStream(session: Session, path: string, output: Output): Promise<Stream> {
  const socket = session.socket(path, PROTOCOLS);
  const exit = Promise.withResolvers<number>();
  const opened = Promise.withResolvers<void>();
  let isOpen = false;
  socket.onopen = () => {
    isOpen = true;
    opened.resolve();
  };
  socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
    const bytes = new Uint8Array(data);
    const rest = bytes.subarray(1);
    if (bytes[0] === STDOUT && rest.length > 0) output.stdout(rest);
    else if (bytes[0] === STDERR && rest.length > 0) output.stderr(rest);
    else if (bytes[0] === STATUS) {
      try {
        exit.resolve(exitOf(JSON.parse(new TextDecoder().decode(rest)) as ExecStatus));
      } catch (error) {
        exit.reject(error);
      }
    }
  };
  socket.onclose = ({ code, reason }) => {
    const words = reason === "" ? `code ${code}` : reason;
    if (isOpen) exit.reject(new OperatorError(`the connection was closed: ${words}`));
    else void refusal(session, path).then(opened.reject);
  };
  exit.promise.catch(() => {});
  await opened.promise;
  const message = (channel: number, bytes: Uint8Array): void => {
    if (socket.readyState === WebSocket.OPEN)
      socket.send(Buffer.concat([Uint8Array.of(channel), bytes]));
  };
  return {
    exit: exit.promise.finally(() => socket.close()),
    async write(bytes) {
      message(STDIN, bytes);
      while (socket.bufferedAmount > BACKLOG_BYTES_MAX && socket.readyState === WebSocket.OPEN) {
        await new Promise((resolve) => setTimeout(resolve, BACKLOG_LOOK_MS));
      }
    },
    endInput() {
      if (socket.protocol === PROTOCOLS[0]) message(CLOSE, Uint8Array.of(STDIN));
    },
    resize({ width, height }) {
      message(RESIZE, Buffer.from(JSON.stringify({ Width: width, Height: height })));
    },
  };
}
